"""`ebingest validate`, run as a user runs it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import clean_environment, ebingest, line, lines


def test_all_valid(tmp_path: Path) -> None:
    """Exit 0, nothing on stdout, a short account on stderr."""
    run = ebingest("validate", cwd=tmp_path, stdin=lines(3), check=[0])
    assert run.stdout == b""
    assert b"valid" in run.stderr


def test_text_names_place_field_found_allowed_and_remedy(tmp_path: Path) -> None:
    """Every problem of a record is a line: file, line, field, what was found, what is allowed, what to do."""
    (tmp_path / "calls.ndjson").write_bytes(lines(1) + line(1, schemaVersion="2", eventType=""))
    run = ebingest("validate", "calls.ndjson", cwd=tmp_path, check=[1])
    shown = [text for text in run.stderr.decode().splitlines() if text.startswith("calls.ndjson:2: ")]
    assert len(shown) == 2
    assert 'schemaVersion: found "2", allowed: an integer from 1 to 3; write' in shown[1]
    assert max(map(len, run.stderr.decode().partition("Validated")[2].splitlines())) <= 80


def test_json_is_one_document(tmp_path: Path) -> None:
    """-o json prints one JSON object: rejections with their problems, the account, the counts by reason and field."""
    run = ebingest("validate", "-o", "json", cwd=tmp_path, stdin=lines(2) + b"nonsense\n{}", check=[1])
    report = json.loads(run.stdout)
    assert report["counts"] == {"read": 4, "valid": 2, "rejected": 2}
    assert [found["line"] for found in report["rejections"]] == [3, 4]
    assert len(report["rejections"][1]["problems"]) == 5
    assert {trouble["path"] for trouble in report["troubles"]} >= {"eventType", "schemaVersion"}
    clean = ebingest("validate", "-o", "json", cwd=tmp_path, stdin=lines(2), check=[0])
    assert json.loads(clean.stdout)["rejections"] == []


def test_github_annotations(tmp_path: Path) -> None:
    """-o github prints an annotation for each problem on stdout, its special characters escaped."""
    (tmp_path / "a,b.ndjson").write_bytes(line(1, eventTime="100% no\nlater"))
    run = ebingest("validate", "-o", "github", "a,b.ndjson", cwd=tmp_path, check=[1])
    [annotation] = run.stdout.decode().splitlines()
    assert annotation.startswith("::error file=a%2Cb.ndjson,line=1,title=schema_violation/bad_time::eventTime: ")
    assert "100%25 no\\nlater" in annotation


def test_valid_and_invalid_go_to_their_files(tmp_path: Path) -> None:
    """--valid-out holds the valid events, --invalid-out the others as they were read; together they are all."""
    bad = b'{"cut": "off'
    ebingest("validate", "--valid-out", "v", "--invalid-out", "i", cwd=tmp_path, stdin=lines(2) + bad, check=[1])
    assert (tmp_path / "v").read_bytes() == lines(2)
    assert (tmp_path / "i").read_bytes() == bad + b"\n"


def test_a_folder_with_what_runs_have_written(tmp_path: Path) -> None:
    """`validate .` beside the files of earlier runs is about the events; who names such a file means it."""
    (tmp_path / "calls.ndjson").write_bytes(lines(3))
    for name in ("ingestion_audit.jsonl", "dead_letters.ndjson"):
        (tmp_path / name).write_bytes(b'{"time":"2026-01-01T00:00:00Z"}\n')
    for inputs in (".", "*.*"):
        report = ebingest("validate", inputs, "-o", "json", cwd=tmp_path, check=[0]).stdout
        assert json.loads(report)["counts"]["read"] == 3
    ebingest("validate", "dead_letters.ndjson", cwd=tmp_path, check=[1])


@pytest.mark.parametrize(("budget", "code"), [("2", 4), ("3", 1), ("29%", 4), ("30%", 1)])
def test_max_errors(tmp_path: Path, budget: str, code: int) -> None:
    """--max-errors ends with exit 4 once there are more, by number or by share."""
    text = lines(7) + b"x\n" * 3
    run = ebingest("validate", "--max-errors", budget, cwd=tmp_path, stdin=text, check=[code])
    assert (b"--max-errors" in run.stderr) == (code == 4)


def test_strict_is_about_times_and_unknown_fields(tmp_path: Path) -> None:
    """--strict rejects a time without an offset and a field too many, which are otherwise taken, with a note."""
    text = line(1, eventTime="2026-03-02 09:15") + b"\n" + line(2, tenant="x")
    run = ebingest("validate", cwd=tmp_path, stdin=text, check=[0])
    assert b"tenant" in run.stderr
    strict = ebingest("validate", "--strict", "-o", "json", cwd=tmp_path, stdin=text, check=[1])
    codes = [found["problems"][0]["code"] for found in json.loads(strict.stdout)["rejections"]]
    assert codes == ["no_offset", "unknown_field"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.ndjson"], b"no file missing.ndjson"),
        ([""], b"empty name"),
        (["x" * 300], b"too long"),
        (["--no-such-option"], b"No such option"),
        (["empty-folder"], b"no event file in the folder"),
        (["--max-errors", "many", "-"], b"--max-errors: many"),
        (["calls.ndjson", "--valid-out", "calls.ndjson"], b"written by this run"),
    ],
)
def test_usage_errors_name_what_is_wrong(tmp_path: Path, arguments: list[str], words: bytes) -> None:
    """A wrong option or a missing file: exit 2, and a message that names it."""
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "calls.ndjson").write_bytes(lines(1))
    run = ebingest("validate", *arguments, cwd=tmp_path, check=[2])
    assert words in run.stderr
    assert b"Traceback" not in run.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """Every wrong variable is named at once; exit 3."""
    env = {"EBINGEST_CONCURRENCY": "many", "EBINGEST_RATE": "fast"}
    run = ebingest("validate", cwd=tmp_path, env=env, check=[3])
    assert b"EBINGEST_CONCURRENCY" in run.stderr
    assert b"EBINGEST_RATE" in run.stderr


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    """SIGINT while it waits for more of a stream: exit 130, no traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventbridge_cli", "validate", "-"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"nonsense\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"<stdin>:1:")  # what comes in is told at once
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


def test_a_wrong_flag_is_a_usage_error(tmp_path: Path) -> None:
    """A flag whose value makes no sense: exit 2, named as the flag it is, each problem on a line."""
    run = ebingest("ingest", "--rate", "fast", "--key", "", "-", cwd=tmp_path, check=[2])
    assert b"--rate: a rate is written as in 240/min" in run.stderr
