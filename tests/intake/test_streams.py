"""Streams as they come: in pieces, after a while, from a pipe that does not block."""

import os
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from queue import SimpleQueue
from termios import FIONREAD
from threading import Thread

import pytest
from conftest import Server
from packers import EVERY_PACKER, Pack
from support import clean_environment, lines

from eventbridge_cli.intake.sources import Meter, Source, open_source


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
        while process.poll() is None and not list(copies.glob("*/*")):  # then it is reading
            time.sleep(0.01)
        os.write(pipe, lines(3))
        os.close(pipe)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr.decode()
    assert len(server.events()) == 3


def read_from(path: Path, blocks: "SimpleQueue[bytes]") -> None:
    with open_source(Source("x", path), Meter()) as read_block:
        while block := read_block(1_000_000):
            blocks.put(block)
    blocks.put(b"")


@contextmanager
def pipe_to(path: Path) -> Iterator[tuple[int, "SimpleQueue[bytes]"]]:
    """A named pipe to write to, and the blocks that come out of it as a source."""
    os.mkfifo(path)
    blocks: SimpleQueue[bytes] = SimpleQueue()
    reader = Thread(target=read_from, args=(path, blocks))
    reader.start()
    pipe = os.open(path, os.O_WRONLY)
    try:
        yield pipe, blocks
    finally:
        os.close(pipe)
        reader.join()


def write_apart(pipe: int, *pieces: bytes) -> None:
    """Write pieces, each once the one before it has been read."""
    for piece in pieces:
        os.write(pipe, piece)
        waiting = array("i", [1])
        while waiting[0]:
            ioctl(pipe, FIONREAD, waiting)


@EVERY_PACKER
@pytest.mark.parametrize("sizes", [[1], [2], [1, 1, 1, 1, 1], [5]], ids=str)
def test_a_magic_number_in_pieces(tmp_path: Path, pack: Pack, sizes: list[int]) -> None:
    """Compression is told also where the first bytes come one by one."""
    packed, pieces = pack(lines(50)), []
    for size in sizes:
        pieces.append(packed[:size])
        packed = packed[size:]
    with pipe_to(tmp_path / "pipe") as (pipe, blocks):
        write_apart(pipe, *pieces, packed)
    assert b"".join(iter(blocks.get, b"")) == lines(50)


@pytest.mark.parametrize("start", [b"{", b"[", b" ", b"\n", b"\xef", b'"', b"1", b"\x1f\x8c", b"BZ2", b"(x"])
def test_what_is_no_magic_number_is_given_at_once(tmp_path: Path, start: bytes) -> None:
    """A slow stream is not held back for the sake of a magic number that can't follow any more."""
    with pipe_to(tmp_path / "pipe") as (pipe, blocks):
        write_apart(pipe, *(start[index : index + 1] for index in range(len(start))))
        assert blocks.get(timeout=30) == start
        os.write(pipe, b"rest")
    assert b"".join(iter(blocks.get, b"")) == b"rest"


@pytest.mark.parametrize("start", [b"", b"\x1f", b"B", b"BZ", b"\xfd7zXZ", b"("])
def test_an_end_within_a_magic_number(tmp_path: Path, start: bytes) -> None:
    """A stream that ends where a magic number might go on is given as it is."""
    with pipe_to(tmp_path / "pipe") as (pipe, blocks):
        os.write(pipe, start)
    assert b"".join(iter(blocks.get, b"")) == start
