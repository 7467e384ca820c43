"""What commands write to: a file is replaced as a whole, anything else is left what it is."""

import os
import stat
import threading
from pathlib import Path

import pytest
from support import ebingest, lines


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """Output that goes to a named pipe comes out of it, and no file is put in the pipe's place."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    ebingest("dedupe", "-o", pipe, cwd=tmp_path, stdin=lines(3), check=[0])
    reader.join(timeout=30)
    assert got == [lines(3)]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert not (tmp_path / ".pipe.part").exists()


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """A file that is there already is replaced by the new one."""
    (tmp_path / "out").write_bytes(b"old")
    ebingest("dedupe", "-o", "out", cwd=tmp_path, stdin=lines(3), check=[0])
    assert (tmp_path / "out").read_bytes() == lines(3)
