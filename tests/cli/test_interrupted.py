"""`validate` and `dedupe`, interrupted: what was counted is told, and no file is left half written."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import clean_environment, line, lines

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The tool, in a process group of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventbridge_cli", *arguments],
        cwd=folder,
        env=clean_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    ) as process:
        yield process


def ended(process: subprocess.Popen[bytes], number: signal.Signals) -> tuple[bytes, str]:
    """Interrupt it; gives what it still prints and says."""
    os.killpg(process.pid, number)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert b"Traceback" not in said
    return out, said.decode()


@BOTH
@pytest.mark.parametrize(
    ("command", "title"), [(("validate", "--valid-out", "out"), "Validated"), (("dedupe", "-o", "out"), "Deduplicated")]
)
def test_what_was_counted_is_told(tmp_path: Path, number: signal.Signals, command: tuple[str, ...], title: str) -> None:
    """While it waits for more of a stream: the account so far, that it is not all, and the file as it was."""
    (tmp_path / "out").write_bytes(b"before")
    with started(tmp_path, *command, "-") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(2) + b"nonsense\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"<stdin>:3:")
        _, said = ended(process, number)
    assert said.startswith(title)
    assert "  read       3" in said
    assert "Error: The run was interrupted.\nThe counts are of what was read by then" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"before"


@BOTH
@pytest.mark.parametrize("bad", [0, 2, 20_000])
def test_json_is_one_document(tmp_path: Path, number: signal.Signals, bad: int) -> None:
    """It says what stopped it, whether nothing had been printed, or some of it, or nobody has read on for a while."""
    (tmp_path / "bad.ndjson").write_bytes(b"{}\n" * bad)
    with started(tmp_path, "validate", "-o", "json", "--valid-out", "valid", "bad.ndjson", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        begun = b""
        if bad:
            begun = process.stdout.read(1)
        else:
            process.stdin.write(line(1) + b"\n{")
            process.stdin.flush()
            while not (tmp_path / ".valid.part").exists():
                assert process.poll() is None
                time.sleep(0.01)
        out, _ = ended(process, number)
    document = json.loads(begun + out)
    assert document["stopped"]["code"] == "interrupted"
    if bad:
        assert len(document["rejections"]) == document["counts"]["rejected"] <= bad


@BOTH
def test_processes_that_share_the_work_are_the_parents(tmp_path: Path, number: signal.Signals) -> None:
    """A signal to all of them: the parent says that it was interrupted, and not that one was killed."""
    (tmp_path / "many.ndjson").write_bytes(lines(20_000))
    with started(tmp_path, "dedupe", "--jobs", "2", "many.ndjson") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == line(0) + b"\n"
        _, said = ended(process, number)
    assert "Error: The run was interrupted." in said
    assert "was killed" not in said
