"""`ebingest replay`, run as a user runs it."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import Server
from support import audit_lines, ebingest, event, line, lines


def make_letters(folder: Path, server: Server) -> list[dict[str, object]]:
    """A run with one good event and three bad records of three kinds; gives the dead letters."""
    bad = [line(1, schemaVersion=9), b'{"cut": "off', line(3, attributes={"x": "y"}).replace(b'"y"', b'"\xe9"')]
    (folder / "calls.ndjson").write_bytes(lines(1) + b"\n".join(bad) + b"\n")
    ebingest("ingest", "calls.ndjson", cwd=folder, env=server.settings, check=[1])
    return audit_lines(folder / "dead_letters.ndjson")


def write_letters(folder: Path, letters: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(letter) + "\n" for letter in letters)
    (folder / "dead_letters.ndjson").write_text(text, encoding="utf-8")


def test_mended_letters_are_delivered_under_their_first_place(tmp_path: Path, server: Server) -> None:
    """A letter mended as text or as an object is sent; the audit links it to the first run and place."""
    letters = make_letters(tmp_path, server)
    letters[0]["record"] = line(1).decode()
    letters[1]["record"] = event(2)  # an object will do, too
    write_letters(tmp_path, letters)
    before = (tmp_path / "dead_letters.ndjson").read_bytes()
    run = ebingest("replay", "dead_letters.ndjson", "-o", "json", cwd=tmp_path, env=server.settings, check=[1])
    counts = json.loads(run.stdout)["counts"]
    assert (counts["read"], counts["delivered"], counts["rejected"]) == (3, 2, 1)
    assert [sent["interactionId"] for sent in server.events()] == [f"interaction-{n}" for n in range(3)]
    assert (tmp_path / "dead_letters.ndjson").read_bytes() == before
    audit = audit_lines(tmp_path / "ingestion_audit.jsonl")
    places = [record[0] for entry in audit if entry["event"] == "INGESTION_SUCCEEDED" for record in entry["records"]]
    assert places == ["calls.ndjson:1", "calls.ndjson:2", "calls.ndjson:3"]
    assert audit[-1]["replay_of"] == {audit[0]["run"]: 3}


def test_a_replay_shares_what_its_run_was_given(tmp_path: Path, server: Server) -> None:
    """With the --state, --audit and --key of its run, neither a mended letter nor its mended input goes twice."""
    given = ("--state", "s", "--audit", "a.jsonl", "--key", "interactionId")
    (tmp_path / "calls.ndjson").write_bytes(lines(3) + line(3, schemaVersion=9) + b"\n")
    said = ebingest("ingest", "calls.ndjson", *given, cwd=tmp_path, env=server.settings, check=[1]).stderr.decode()
    advice = "ebingest replay dead_letters.ndjson --key interactionId --audit a.jsonl --state s"
    assert advice in said
    status = ebingest("status", "--state", "s", "--audit", "a.jsonl", cwd=tmp_path, env=server.settings, check=[0])
    assert b"ebingest replay dead_letters.ndjson --audit a.jsonl --state s" in status.stdout
    letters = audit_lines(tmp_path / "dead_letters.ndjson")
    letters[0]["record"] = line(3).decode()
    write_letters(tmp_path, letters)
    ebingest("replay", "dead_letters.ndjson", *given, cwd=tmp_path, env=server.settings, check=[0])
    (tmp_path / "calls.ndjson").write_bytes(lines(5))
    ebingest("ingest", "calls.ndjson", *given, cwd=tmp_path, env=server.settings, check=[0])
    assert sorted(sent["interactionId"] for sent in server.events()) == [f"interaction-{n}" for n in range(5)]
    assert not (tmp_path / "ingestion_audit.jsonl").exists()


@pytest.mark.parametrize("own", ["1.10", "1e400", "1234567890123456789012345678901234567890.0", '[1.50,{"a":2E-0}]'])
def test_a_record_mended_as_an_object_keeps_its_digits(tmp_path: Path, server: Server, own: str) -> None:
    """What is sent is what was written, in a letter on one line and in one that an editor has spread over many."""
    texts = [line(number, attributes={"own": "OWN"}).replace(b'"OWN"', own.encode()) for number in range(2)]
    about = b'"source": "calls\\udcff", "line": 3, "more": {"record": 1, "list": [{}, {"a": ",\\""}]}, "reason": "x"'
    one_line = b'{%b,"record":%b}\n' % (about, texts[0])
    many_lines = b'{\n  %b,\n\t"record" : %b\n,\n  "index": null\n}\n' % (about, texts[1])
    (tmp_path / "letters.ndjson").write_bytes(one_line + many_lines)
    ebingest("replay", "letters.ndjson", cwd=tmp_path, env=server.settings, check=[0])
    [digest] = [entry["sha256"] for entry in audit_lines(tmp_path / "ingestion_audit.jsonl") if "sha256" in entry]
    assert digest == sha256(b'{"events":[%b,%b]}' % (texts[0], texts[1])).hexdigest()


def test_files_whose_names_are_no_utf_8(tmp_path: Path, server: Server) -> None:
    """An input, dead letters and an audit file with such names: all is told, and replayed under the first place.

    A byte that is none stands there as text, since no strict reader of JSON takes half a surrogate.
    """
    bad, letters, audit = (tmp_path / os.fsdecode(name) for name in (b"in\xff", b"letters\xff", b"audit\xff"))
    bad.write_bytes(line(1) + b"\n" + line(2, schemaVersion=9) + b"\n")
    env = server.settings | {"EBINGEST_AUDIT": str(audit), "EBINGEST_DEAD_LETTERS": str(letters)}
    ebingest("ingest", bad.name, cwd=tmp_path, env=env, check=[1])
    letters.write_bytes(letters.read_bytes().replace(b'\\"schemaVersion\\":9', b'\\"schemaVersion\\":2'))
    ebingest("replay", letters, cwd=tmp_path, env=env, check=[0])
    assert [sent["interactionId"] for sent in server.events()] == ["interaction-1", "interaction-2"]
    records = [entry["records"] for entry in audit_lines(audit) if entry["event"] == "INGESTION_SUCCEEDED"]
    assert [place for [[place, *_]] in records] == [r"in\xff:1", r"in\xff:2"]
    for place in (f"{bad.name}:1", r"./in\xff:1"):
        told = ebingest("audit", "show", audit, "--place", place, cwd=tmp_path, check=[0])
        assert b"INGESTION_SUCCEEDED" in told.stdout


def test_what_was_delivered_meanwhile_is_not_sent(tmp_path: Path, server: Server) -> None:
    """A second replay of the same file sends nothing."""
    letters = make_letters(tmp_path, server)[:1]
    letters[0]["record"] = line(1).decode()
    write_letters(tmp_path, letters)
    ebingest("replay", "dead_letters.ndjson", cwd=tmp_path, env=server.settings, check=[0])
    posts = len(server.requests())
    run = ebingest("replay", "dead_letters.ndjson", "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    assert json.loads(run.stdout)["counts"]["duplicate"] == 1
    assert len(server.requests()) == posts


def test_what_is_replayed_goes_to_the_data_lake(tmp_path: Path, server: Server) -> None:
    """With the options of ingest: the events, as they were mended, in the form that is asked for."""
    letters = make_letters(tmp_path, server)[:1]
    letters[0]["record"] = line(1).decode()
    write_letters(tmp_path, letters)
    (tmp_path / "lake").mkdir()
    options = ("--sync", (tmp_path / "lake").as_uri(), "--sync-content", "events", "--sync-format", "ndjson")
    ends = ("--sync-grace", "60", "--sync-required")
    ebingest("replay", "dead_letters.ndjson", *options, *ends, cwd=tmp_path, env=server.settings, check=[0])
    assert [path.read_bytes() for path in (tmp_path / "lake").rglob("*.ndjson")] == [line(1) + b"\n"]


def test_reason_and_dry_run(tmp_path: Path, server: Server) -> None:
    """--reason takes letters of that reason alone; --dry-run sends nothing; bytes that are no text come back whole."""
    make_letters(tmp_path, server)
    arguments = ("replay", "dead_letters.ndjson", "--dry-run", "-o", "json", "--reason")
    run = ebingest(*arguments, "invalid_encoding", cwd=tmp_path, check=[1])
    assert json.loads(run.stdout)["counts"] == {"read": 1, "duplicate": 0, "rejected": 1}
    assert b"invalid_encoding: utf8" in run.stderr
    assert ebingest(*arguments, "no-such-reason", cwd=tmp_path).returncode == 2


def test_a_file_that_holds_no_letters_is_told_so(tmp_path: Path) -> None:
    """Plain events are no dead letters: each is rejected with the remedy."""
    (tmp_path / "events.ndjson").write_bytes(lines(2))
    run = ebingest("replay", "events.ndjson", "--dry-run", cwd=tmp_path, check=[1])
    assert b"no_letter" in run.stderr


def test_letters_that_were_mended_into_something_else(tmp_path: Path) -> None:
    """A reason that is a list is none to be chosen by; base64 that is none is rejected with the remedy."""
    letter = {"source": "calls.ndjson", "line": 3, "reason": ["refused"], "record": None, "record_base64": "é"}
    write_letters(tmp_path, [letter])
    arguments = ("replay", "dead_letters.ndjson", "--dry-run", "-o", "json")
    run = ebingest(*arguments, "--reason", "refused", cwd=tmp_path, check=[0])
    assert json.loads(run.stdout)["counts"]["read"] == 0
    run = ebingest(*arguments, cwd=tmp_path, check=[1])
    assert b"1  unreadable: no_record" in run.stderr


def test_an_empty_name_is_a_usage_error(tmp_path: Path) -> None:
    """An empty name is not taken for the current folder and its files: exit 2."""
    (tmp_path / "dead_letters.ndjson").write_bytes(lines(1))
    run = ebingest("replay", "", "--dry-run", cwd=tmp_path, check=[2])
    assert b"empty name" in run.stderr
