"""Standard input as it comes: in pieces, after a while, from a pipe that does not block."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Server
from support import clean_environment, lines


@contextmanager
def without_blocking(folder: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The tool, which reads a pipe that does not block, and the pipe's other end."""
    theirs, ours = os.pipe()
    os.set_blocking(theirs, False)
    env = clean_environment(folder, **variables)
    command = [sys.executable, "-m", "eventbridge_cli", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        yield process, ours


def test_a_pipe_that_does_not_block_is_read_to_its_end(tmp_path: Path) -> None:
    """Where nothing is there yet, that is not the end: what is written later is read as well."""
    with without_blocking(tmp_path, "validate", "-", "--valid-out", "valid") as (process, pipe):
        assert process.stderr is not None
        for number in range(1, 6):
            os.write(pipe, b"nonsense\n")
            assert process.stderr.readline().startswith(b"<stdin>:%d:" % number)
            time.sleep(0.05)  # in which it looks for more, and finds nothing
        os.write(pipe, lines(2))
        os.close(pipe)
        process.communicate(timeout=30)
    assert process.returncode == 1
    assert (tmp_path / "valid").read_bytes() == lines(2)


def test_strict_copies_a_pipe_that_does_not_block(tmp_path: Path, server: Server) -> None:
    """Under --strict, which reads all before it sends, the pipe is read to its end, too."""
    copies = tmp_path / "copies"
    copies.mkdir()
    variables = {**server.settings, "TMPDIR": str(copies)}
    with without_blocking(tmp_path, "ingest", "--strict", "-", **variables) as (process, pipe):
        while process.poll() is None and not list(copies.glob("*/stdin")):  # then it is reading
            time.sleep(0.01)
        os.write(pipe, lines(3))
        os.close(pipe)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr.decode()
    assert len(server.events()) == 3
