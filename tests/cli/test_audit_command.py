"""`ebingest audit` and `ebingest status`, on the files of real runs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ebingest, line, lines
from typer.testing import CliRunner

from eventbridge_cli.cli.app import app
from eventbridge_cli.ledger.history import same_place, verify
from eventbridge_cli.sandbox.process import SandboxProcess

FILE = "ingestion_audit.jsonl"


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    """Two runs: 30 events in chunks of 10 with a copy and a bad record, then the same once more."""
    (tmp_path / "calls.ndjson").write_bytes(lines(30) + line(3) + b"\nnonsense\n")
    for _ in range(2):
        ebingest("ingest", "calls.ndjson", "--chunk-events", "10", cwd=tmp_path, env=server.settings, check=[1])
    return tmp_path


def tampered(folder: Path, number: int, *instead: bytes) -> list[tuple[int, str]]:
    """The findings once line `number` is replaced by `instead`."""
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    copy = folder / "tampered.jsonl"
    copy.write_bytes(b"".join([*whole[: number - 1], *instead, *whole[number:]]))
    return [(finding.line, finding.what) for finding in verify(copy)]


def test_a_whole_file(folder: Path) -> None:
    """The files of real runs are whole: exit 0."""
    run = ebingest("audit", "verify", cwd=folder, check=[0])
    assert b"whole" in run.stdout


def test_tampering_is_named(folder: Path) -> None:
    """A changed, removed, swapped, put-in or doubled line is named with its number."""
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    assert tampered(folder, 4, whole[3].replace(b'"time":"20', b'"time":"21'))[0] == (
        5,
        "line 4 was changed, or lines between it and this one were removed or moved",
    )
    assert tampered(folder, 4)[0][0] == 4
    assert tampered(folder, 1)[0] == (1, "this was not the first line: the lines before it were removed")
    assert "put in or moved" in tampered(folder, 4, whole[3], whole[5])[1][1]
    assert tampered(folder, 4, whole[3], whole[3])[0][0] == 5
    assert "another hand" in tampered(folder, 4, b"all is well\n", whole[3])[0][1]
    forged = tampered(folder, 4, whole[4], whole[3], whole[5])
    assert {4, 5} & {number for number, _ in forged}
    assert "half a line" in tampered(folder, len(whole), whole[-1][:-20])[-1][1]


def test_an_account_that_does_not_fit_its_lines_is_named(folder: Path) -> None:
    """The last line has no line after it; what it claims is held against the lines of its run all the same."""
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    cheat = whole[-1].replace(b'"duplicate":31', b'"duplicate":30').replace(b'"read":32', b'"read":31')
    assert cheat != whole[-1]
    assert "its lines come to" in tampered(folder, len(whole), cheat)[0][1]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found(folder: Path, data: st.DataObject) -> None:
    """Whatever byte before the last line is changed to whatever: verify finds it."""
    whole = (folder / FILE).read_bytes()
    last = whole.rindex(b"\n", 0, -1)
    at = data.draw(st.integers(0, last))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    copy = folder / "changed.jsonl"
    copy.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert list(verify(copy))


@pytest.mark.parametrize(
    "forged",
    [
        b'"event":"RUN_FINISHED","previous":"p"',
        b'"event":"RUN_FINISHED","previous":"p","exit_code":0,"counts":[],"stopped":null',
        b'"event":"INGESTION_SUCCEEDED","previous":"p","records":7,"request_id":"r"',
        b'"event":"INGESTION_FAILED","previous":"p","records":[[]],"request_id":7,"outcome":"x"',
        b'"event":["x"],"previous":["p"]',
        b'"event":"TOKEN_ISSUED","previous":"p","time":"yesterday"',
        b'"event":"TOKEN_ISSUED","previous":"p","time":"2026-03-02T09:15:03.123"',
        b'"event":"TOKEN_ISSUED","previous":"p","time":"9999-12-31T23:59:59Z"',
        b'"event":"RUN_FINISHED","previous":"p","exit_code":0,"counts":"abc","stopped":null',
        b'"event":"RUN_FINISHED","previous":"p","exit_code":0,"counts":{"read":"x"},"stopped":null',
        b'"event":"INGESTION_SUCCEEDED","previous":"p","records":[5],"request_id":"r"',
        b'"event":"BATCH_SUBMITTED","previous":"p","places":[],"request_id":[]',
    ],
)
def test_a_forged_line_is_a_finding_and_never_a_crash(folder: Path, forged: bytes) -> None:
    """A line with fields that are missing or of another kind is named; `show` and `status` go on past it."""
    with (folder / FILE).open("ab") as file:
        file.write(b'{"time":"2026-03-02T09:15:03.123Z","run":"forged",' + forged + b"}\n")
    assert b"ingestion_audit.jsonl:" in ebingest("audit", "verify", cwd=folder, check=[1]).stdout
    ebingest("audit", "show", cwd=folder, check=[0])
    ebingest("audit", "show", "--interaction", "interaction-3", cwd=folder, check=[0])
    ebingest("audit", "show", "--run", "2", "-o", "json", cwd=folder, check=[0])
    ebingest("status", cwd=folder, check=[0])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", 10**4000, 2**63]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["read", "pending"]), inner),
)


def forge(value: Any, data: st.DataObject) -> Any:
    """The value of a field with something else at one place of it."""
    inner = list(range(len(value))) if isinstance(value, list) else list(value) if isinstance(value, dict) else []
    at = data.draw(st.sampled_from([None, *inner]))
    if at is None:
        return data.draw(ANYTHING)
    copy = value.copy()
    copy[at] = forge(value[at], data)
    return copy


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_forged_value_crashes_a_command(folder: Path, data: st.DataObject) -> None:
    """Whatever stands in a field of a real line: every command that reads the file ends in order."""
    whole = [json.loads(text) for text in (folder / FILE).read_bytes().splitlines()]
    submitted = next(entry for entry in whole if entry["event"] == "INGESTION_SUCCEEDED")
    whole.insert(-1, submitted | {"event": "INGESTION_FAILED", "outcome": "pending", "cause": "timeout"})
    kinds = {entry["event"]: number for number, entry in enumerate(whole)}  # the last line of each kind
    chosen = data.draw(st.sampled_from(list(kinds.values())))
    field = data.draw(st.sampled_from(sorted(whole[chosen])))
    whole[chosen][field] = forge(whole[chosen][field], data)
    copy = folder / "forged.jsonl"
    copy.write_text("".join(f"{json.dumps(entry)}\n" for entry in whole), encoding="utf-8")
    show = ("audit", "show", str(copy))
    for arguments in (
        ("status",),
        ("status", "-o", "json"),
        ("audit", "verify", str(copy)),
        show,
        (*show, "-o", "json"),
        (*show, "--run", "2"),
        (*show, "--run", "2", "-o", "json"),
        (*show, "--place", "calls.ndjson:4", "--interaction", "interaction-3"),
    ):
        variables = {"EBINGEST_AUDIT": str(copy), "EBINGEST_DEAD_LETTERS": str(folder / "dead_letters.ndjson")}
        variables["EBINGEST_STATE"] = str(folder)
        assert CliRunner().invoke(app, arguments, env=variables, catch_exceptions=False).exit_code in {0, 1}


def test_a_line_that_is_nested_deeply_is_shown_as_such(tmp_path: Path) -> None:
    """A value that can be read, but not be told, is no crash."""
    line = b'{"event":"TOKEN_ISSUED","time":"2026-03-02T09:15:03Z","run":"r","previous":"p","scope":%b}\n'
    (tmp_path / FILE).write_bytes(line % (b"[" * 600 + b"]" * 600))
    assert b"nested too deeply" in ebingest("audit", "show", "--run", "r", cwd=tmp_path, check=[0]).stdout


def test_what_became_of_a_record(folder: Path) -> None:
    """`show` answers for an interaction, a place, a request and a run, over all runs."""
    by_interaction = ebingest("audit", "show", "--interaction", "interaction-3", cwd=folder, check=[0]).stdout.decode()
    assert by_interaction.count("INGESTION_SUCCEEDED") == 1
    assert by_interaction.count("DUPLICATE_DROPPED") == 3
    by_place = ebingest("audit", "show", "--place", "calls.ndjson:32", cwd=folder, check=[0]).stdout.decode()
    assert by_place.count("INGESTION_REJECTED") == 2
    entries = ebingest("audit", "show", "--place", "./calls.ndjson:4", "-o", "json", cwd=folder, check=[0]).stdout
    found = [json.loads(text) for text in entries.splitlines()]
    assert [entry["event"] for entry in found] == ["BATCH_SUBMITTED", "INGESTION_SUCCEEDED", "DUPLICATE_DROPPED"]
    assert len(found[1]["records"]) == 1
    request = found[1]["request_id"]
    assert request.encode() in ebingest("audit", "show", "--request", request[:8], cwd=folder, check=[0]).stdout
    assert b"Nothing" in ebingest("audit", "show", "--place", "calls.ndjson:99", cwd=folder, check=[1]).stdout


def test_all_runs_are_summed_up(folder: Path) -> None:
    """Without a question `show` has a line for each run; one that did not finish says so."""
    text = ebingest("audit", "show", cwd=folder, check=[0]).stdout.decode()
    assert [part in text for part in ("30 delivered", "31 duplicate", "exit 1")] == [True] * 3
    stories = [json.loads(each) for each in ebingest("audit", "show", "-o", "json", cwd=folder).stdout.splitlines()]
    assert [(each["exit_code"], each["counts"]["delivered"]) for each in stories] == [(1, 30), (1, 0)]
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    submitted = next(number for number, text in enumerate(whole) if b"BATCH_SUBMITTED" in text)
    (folder / FILE).write_bytes(b"".join(whole[: submitted + 1]))
    assert b"did not finish, 1 in flight" in ebingest("audit", "show", cwd=folder, check=[0]).stdout


@pytest.mark.parametrize("command", [["audit", "verify"], ["audit", "show"], ["report"]])
def test_a_missing_file_is_a_usage_error(tmp_path: Path, command: list[str]) -> None:
    """Exit 2, and the message names the file, but no option that the command does not have; a folder is no file."""
    for path in ("nothing.jsonl", "."):
        said = ebingest(*command, path, cwd=tmp_path, check=[2]).stderr.decode()
        assert f"The audit file {path} can't be read" in said
        assert "Give the path of the one that `ingest` wrote." in said
        assert "--audit" not in said


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    """It is the right file: its rights are to be mended."""
    (folder / FILE).chmod(0)
    for command in (["audit", "verify"], ["audit", "show"], ["report"], ["status"]):
        assert b"Mend its rights" in ebingest(*command, cwd=folder, check=[2]).stderr


def test_a_file_without_runs(tmp_path: Path) -> None:
    """`show` says that there is none, exit 1; as JSON that is no line at all."""
    (tmp_path / FILE).touch()
    assert ebingest("audit", "show", cwd=tmp_path, check=[1]).stdout == f"There is no run in {FILE}.\n".encode()
    assert ebingest("audit", "show", "-o", "json", cwd=tmp_path, check=[1]).stdout == b""


def test_one_is_not_many(tmp_path: Path) -> None:
    """What there is one of is told in the singular."""
    every = b'"time":"2026-03-02T09:15:03Z","run":"r","previous":"p"'
    own = b'"event":"BATCH_SUBMITTED","request_id":"q","events":1,"bytes":9,"places":["a:1"]'
    (tmp_path / FILE).write_bytes(b"{%b,%b}\n" % (every, own))
    assert b"1 line, not whole: 1 finding\n" in ebingest("audit", "verify", cwd=tmp_path, check=[1]).stdout
    assert b"1 request without an outcome" in ebingest("status", cwd=tmp_path, check=[0]).stdout


@pytest.mark.parametrize(
    ("asked", "place", "same"),
    [
        ("a:3", "a:3", True),
        ("a:3", "a:1-5", True),
        ("a:6", "a:1-5", False),
        ("b:3", "a:1-5", False),
        ("a[2]", "a[0-9]", True),
        ("a[2]", "a:7[2]", True),
        ("a:7", "a:7[2]", True),
        ("a:7[3]", "a:7[2]", False),
        ("a:3", "a[0-9]", False),
        ("c:/x:3", "c:/x:3", True),
    ],
)
def test_places(asked: str, place: str, same: bool) -> None:  # noqa: FBT001 - a table
    """A place is found in what the audit file writes for one record or for a range of them."""
    assert same_place(asked, place) == same


def test_status_says_where_things_stand(folder: Path) -> None:
    """Delivered, the last run, dead letters by reason, and what to type next; it makes no file."""
    before = sorted(folder.rglob("*"))
    text = ebingest("status", cwd=folder, check=[0]).stdout.decode()
    assert "30 events delivered by 1 run," in text
    assert "Last run" in text
    assert "2 invalid_json" in text
    assert "ebingest replay" in text
    assert sorted(folder.rglob("*")) == before
    report = json.loads(ebingest("status", "-o", "json", cwd=folder, check=[0]).stdout)
    assert (report["scopes"][0]["delivered"], report["pending"], report["scopes"][0]["held_by"]) == (30, 0, None)


def test_status_counts_what_the_last_run_delivered(tmp_path: Path, server: Server) -> None:
    """What a first run delivered counts at once; what a second one sends again counts once."""

    def delivered() -> tuple[int, int]:
        [scope] = json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)["scopes"]
        assert scope["newest"]
        return scope["delivered"], scope["runs"]

    ebingest("ingest", "--chunk-events", "7", cwd=tmp_path, env=server.settings, stdin=lines(30), check=[0])
    assert delivered() == (30, 1)
    ebingest("ingest", "--resend", cwd=tmp_path, env=server.settings, stdin=lines(32), check=[0])
    assert delivered() == (32, 2)


def test_status_of_letters_that_can_not_be_read(tmp_path: Path) -> None:
    """A folder in their place is a usage error that names it; what is nested too deeply, or no letter, is counted."""
    run = ebingest("status", cwd=tmp_path, env={"EBINGEST_DEAD_LETTERS": str(tmp_path)}, check=[2])
    assert f"The dead letters {tmp_path} can't be read" in run.stderr.decode()
    nested = b'{"reason":"refused","record":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    (tmp_path / "dead_letters.ndjson").write_bytes(nested + b'[]\n{"reason":"refused","record":"{}"}\n')
    report = json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)
    assert report["dead"] == {"unreadable letter": 2, "refused": 1}


def test_status_of_nothing(tmp_path: Path) -> None:
    """Where nothing is on record it says so, exit 0."""
    assert b"nothing is on record" in ebingest("status", cwd=tmp_path, check=[0]).stdout
    assert list(tmp_path.iterdir()) == []


def test_status_without_the_audit_file(folder: Path) -> None:
    """What is pending can't be told: it names the file that it looked for, and how to name another."""
    for number, content in enumerate([None, b"", b'{"torn'], 1):
        audit = folder / f"{number}.jsonl"
        if content is not None:
            audit.write_bytes(content)
        text = ebingest("status", "--audit", audit.name, cwd=folder, check=[0]).stdout.decode()
        assert f"none is on record in the audit file {audit.name}, so what is pending can't be told" in text
        assert "Next: name the audit file of the runs with --audit" in text
        assert "settled" not in text
        run = ebingest("status", "--audit", audit.name, "-o", "json", cwd=folder, check=[0])
        report = json.loads(run.stdout)
        assert (report["audit"], report["last_run"], report["pending"]) == (audit.name, None, None)


def test_status_of_files_that_are_named(folder: Path) -> None:
    """--audit and --dead-letters name what `ingest` wrote elsewhere."""
    (folder / FILE).rename(folder / "other.jsonl")
    (folder / "dead_letters.ndjson").rename(folder / "other.ndjson")
    named = ("--audit", "other.jsonl", "--dead-letters", "other.ndjson")
    report = json.loads(ebingest("status", *named, "-o", "json", cwd=folder, check=[0]).stdout)
    assert (report["last_run"]["exit_code"], report["dead"]) == (1, {"invalid_json": 2})


def advice(folder: Path) -> list[str]:
    """What `status` says to type next."""
    text = ebingest("status", cwd=folder, check=[0]).stdout.decode()
    return [line.removeprefix("Next: ") for line in text.splitlines() if line.startswith("Next: ")]


def test_an_interaction_whose_record_was_rejected(tmp_path: Path, server: Server) -> None:
    """Nothing is on record under its id, which nobody has vouched for; it is said what is."""
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=line(1, schemaVersion=9), check=[1])
    shown = ebingest("audit", "show", "--interaction", "interaction-1", cwd=tmp_path, check=[1]).stdout
    assert b"A rejected record is found by its place alone: --place" in shown
    assert b"INGESTION_REJECTED" in ebingest("audit", "show", "--place", "<stdin>:1", cwd=tmp_path, check=[0]).stdout


def test_status_after_a_run_that_was_cut_short(tmp_path: Path, server: Server) -> None:
    """All that was read is delivered, but not all was read: the summary, the audit file and `status` say so."""
    text = lines(200) + b"x\n" * 3 + lines(5_000)
    arguments = ("ingest", "--max-errors", "2", "-o", "json")
    run = ebingest(*arguments, cwd=tmp_path, env=server.settings, stdin=text, check=[4])
    assert json.loads(run.stdout)["read_to_end"] is False
    assert b"not read to its end" in run.stderr
    assert b"the input was not read to its end" in ebingest("status", cwd=tmp_path, check=[0]).stdout
    assert "raise --max-errors, then run the same ingest command again" in advice(tmp_path)[0]
    run = ebingest("ingest", "-o", "json", cwd=tmp_path, env=server.settings, stdin=text, check=[1])
    assert json.loads(run.stdout)["read_to_end"] is True
    assert b"not read to its end" not in run.stderr


def test_status_keeps_a_letter_whose_place_another_one_shares(tmp_path: Path, server: Server) -> None:
    """Of two piped runs' letters from <stdin>:1 one is mended: the replay delivers it, and rejects the other one."""
    for bad in (b"{}\n", b"nonsense\n"):
        ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=bad, check=[1])
    letters = tmp_path / "dead_letters.ndjson"
    letters.write_bytes(letters.read_bytes().replace(b'"record":"{}"', b'"record":' + line(7)))
    ebingest("replay", letters.name, cwd=tmp_path, env=server.settings, check=[1])

    def dead() -> int:
        report = json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)
        return sum(report["dead"].values())

    assert dead() == 2
    letters.write_bytes(letters.read_bytes().replace(b'"record":"nonsense"', b'"record":' + line(8)))
    ebingest("replay", letters.name, cwd=tmp_path, env=server.settings, check=[0])
    assert dead() == 0


def test_status_names_every_run_that_is_not_settled(tmp_path: Path, server: Server) -> None:
    """A later run over something else settles nothing; one over the same inputs, or more than those, does."""

    def report() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)
        return found

    (tmp_path / "big.ndjson").write_bytes(lines(20_000))
    (tmp_path / "other.ndjson").write_bytes(lines(3))
    short = ("ingest", "big.ndjson", "--max-duration", "0.3", "--rate", "5/s")
    runs = []
    for arguments, code in ((short, 5), (short, 5), (("ingest", "other.ndjson"), 0)):
        run = ebingest(*arguments, "-o", "json", cwd=tmp_path, env=server.settings, check=[code])
        runs.append(json.loads(run.stdout))
    first, second, _ = runs
    assert [story["run"] for story in report()["unsettled"]] == [first["run"], second["run"]]
    assert report()["pending"] == second["counts"]["pending"]
    text = ebingest("status", cwd=tmp_path, check=[0]).stdout.decode()
    assert f"Not settled: run {first['run']} over big.ndjson: exit 5; " in text
    assert advice(tmp_path)[0].startswith(f"run the command of run {second['run']} again: that sends what is pending")
    ebingest("ingest", "big.ndjson", "other.ndjson", cwd=tmp_path, env=server.settings, check=[0])
    assert (report()["unsettled"], report()["pending"]) == ([], 0)
    assert advice(tmp_path) == ["nothing: all is settled"]


def test_status_says_where_a_run_went_if_not_where_the_last_one_did(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """What one endpoint has got settles nothing at another one, as where the address was wrong."""
    (tmp_path / "some.ndjson").write_bytes(lines(3))
    where = {"GENESYS_ENV": sandbox.url, "GENESYS_CLIENT_ID": sandbox.client_id}
    where["GENESYS_CLIENT_SECRET"] = sandbox.client_secret
    elsewhere = where | {"GENESYS_INGEST_URL": f"{sandbox.url}/nowhere"}
    ebingest("ingest", "some.ndjson", cwd=tmp_path, env=elsewhere, check=[3])
    text = ebingest("status", cwd=tmp_path, check=[0]).stdout.decode()
    assert "/nowhere" not in text
    ebingest("ingest", "some.ndjson", cwd=tmp_path, env=where, check=[0])
    text = ebingest("status", cwd=tmp_path, check=[0]).stdout.decode()
    assert f" over some.ndjson to {sandbox.url}/nowhere: exit 3; " in text


def test_status_is_done_with_what_a_sandbox_was_sent(tmp_path: Path) -> None:
    """A run against a sandbox that was cut short leaves nothing to go on with: its state has gone, and so has it."""
    (tmp_path / "big.ndjson").write_bytes(lines(20_000))
    short = ("--sandbox", "--max-duration", "0.3", "--rate", "5/s")
    ebingest("ingest", "big.ndjson", *short, cwd=tmp_path, check=[5])
    report = json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)
    assert (report["last_run"]["exit_code"], report["unsettled"], report["pending"]) == (5, [], 0)
    assert advice(tmp_path) == ["nothing: all is settled"]


def test_status_is_short_where_many_runs_are_not_settled(tmp_path: Path) -> None:
    """The newest are named, the others counted."""
    every = '"event":"RUN_STARTED","time":"2026-03-02T09:15:03Z","previous":"p","ingest_url":"u"'
    started = (f'{{{every},"run":"{number}","inputs":["{number}.ndjson"]}}\n' for number in range(50))
    (tmp_path / FILE).write_text("".join(started), encoding="utf-8")
    text = ebingest("status", cwd=tmp_path, check=[0]).stdout.decode()
    assert "Not settled: 44 older runs" in text
    assert "run the commands of runs 49, 48, 47, 46, 45 and 45 more again" in text
    assert len(text.splitlines()) < 10
    assert len(json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)["unsettled"]) == 50


def test_status_after_a_strict_run_that_sent_nothing(tmp_path: Path, server: Server) -> None:
    """The same command would send nothing again."""
    ebingest("ingest", "--strict", cwd=tmp_path, env=server.settings, stdin=lines(3) + b"{}\n", check=[1])
    assert advice(tmp_path)[0].startswith("mend the bad records in the input")


def test_status_after_a_run_that_waits_for_somebody(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Where secret or address are wrong, the same command does not help before that is mended."""
    where = {"GENESYS_ENV": sandbox.url, "GENESYS_CLIENT_ID": sandbox.client_id, "GENESYS_CLIENT_SECRET": "wr0ng"}
    ebingest("ingest", cwd=tmp_path, env=where, stdin=lines(3), check=[3])
    assert advice(tmp_path)[0].startswith("mend what stopped it (credentials; ebingest doctor says more), then run the")
    where |= {"GENESYS_CLIENT_SECRET": sandbox.client_secret, "GENESYS_INGEST_URL": f"{sandbox.url}/nowhere"}
    ebingest("ingest", cwd=tmp_path, env=where, stdin=lines(3), check=[3])
    assert advice(tmp_path)[0].startswith("mend what stopped it (endpoint;")


def test_status_forgets_letters_that_were_replayed(tmp_path: Path, server: Server) -> None:
    """A mended letter whose record has arrived is settled; one that fails again is not, nor is a new one."""
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=b"{}\n[1]\n" + lines(1), check=[1])
    letters = tmp_path / "dead_letters.ndjson"
    assert len(letters.read_bytes().splitlines()) == 2
    letters.write_bytes(letters.read_bytes().replace(b'"record":"{}"', b'"record":' + line(7)))
    ebingest("replay", letters.name, cwd=tmp_path, env=server.settings, check=[1])
    assert json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)["dead"] == {
        "schema_violation": 1
    }
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=b"{}\n", check=[1])
    assert sum(json.loads(ebingest("status", "-o", "json", cwd=tmp_path, check=[0]).stdout)["dead"].values()) == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may enter everything")
@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["status"], {"EBINGEST_STATE": "closed/in"}),
        (["status"], {"EBINGEST_STATE": "closed"}),
        (["status"], {"EBINGEST_AUDIT": "closed/in/audit"}),
        (["sync"], {"EBINGEST_STATE": "closed/in"}),
        (["doctor"], {"EBINGEST_STATE": "closed/in"}),
        (["report", "whole.jsonl", "-o", "closed/in/page"], {}),
    ],
)
def test_a_folder_that_may_not_be_entered(tmp_path: Path, arguments: list[str], variables: dict[str, str]) -> None:
    """What lies below it can't be told: exit 3, and the message names it."""
    (tmp_path / "whole.jsonl").touch()
    (tmp_path / "closed").mkdir(mode=0)
    where = {"GENESYS_ENV": "http://127.0.0.1:1", "GENESYS_CLIENT_ID": "a", "GENESYS_CLIENT_SECRET": "b"}
    run = ebingest(*arguments, cwd=tmp_path, env=where | variables, check=[3])
    said = (run.stdout + run.stderr).decode()
    assert "closed" in said
    assert "Permission denied" in said
