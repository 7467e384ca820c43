"""What commands write to: a file is replaced as a whole, anything else is left what it is."""

import os
import stat
import threading
from pathlib import Path

import pytest
from support import ebingest, lines

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")


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


def test_beside_a_pipe_nothing_is_deleted(tmp_path: Path) -> None:
    """What is written to in place leaves a file that was there under the name of one that is written aside."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".pipe.part").write_bytes(b"precious")
    reader = threading.Thread(target=(tmp_path / "pipe").read_bytes, daemon=True)
    reader.start()
    ebingest("dedupe", "-o", "pipe", cwd=tmp_path, stdin=lines(3), check=[0])
    reader.join(timeout=30)
    assert (tmp_path / ".pipe.part").read_bytes() == b"precious"


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """A file that is there already is replaced by the new one."""
    (tmp_path / "out").write_bytes(b"old")
    ebingest("dedupe", "-o", "out", cwd=tmp_path, stdin=lines(3), check=[0])
    assert (tmp_path / "out").read_bytes() == lines(3)


@POSIX
@pytest.mark.parametrize("rights", [0o600, 0o640, 0o644, 0o666])
def test_a_file_that_is_replaced_keeps_its_rights(tmp_path: Path, rights: int) -> None:
    """Who could not read what was there can't read what takes its place, and who could still can."""
    out = tmp_path / "out"
    out.write_bytes(b"old")
    out.chmod(rights)
    for arguments in (("dedupe", "-o", "out"), ("validate", "--invalid-out", "out")):
        ebingest(*arguments, cwd=tmp_path, stdin=lines(1) + b"{}\n", check=[1])
        assert stat.S_IMODE(out.stat().st_mode) == rights


@POSIX
def test_a_file_that_is_replaced_keeps_its_owner(tmp_path: Path) -> None:
    """Where the tool may give files away, a private file stays readable for the one whose it is."""
    out = tmp_path / "out"
    out.write_bytes(b"old")
    try:
        os.chown(out, 12345, 12345)
    except PermissionError:
        pytest.skip("only the privileged may give a file away")
    ebingest("dedupe", "-o", "out", cwd=tmp_path, stdin=lines(1), check=[0])
    assert (out.stat().st_uid, out.stat().st_gid) == (12345, 12345)


@POSIX
def test_bad_records_are_their_owners_alone_to_read(tmp_path: Path) -> None:
    """A new --invalid-out holds customer data, as the dead letters do; what a killed run left lends it no rights."""
    (tmp_path / ".bad.part").write_bytes(b"")
    (tmp_path / ".bad.part").chmod(0o644)
    ebingest("validate", "--invalid-out", "bad", cwd=tmp_path, stdin=b"{}\n", check=[1])
    assert stat.S_IMODE((tmp_path / "bad").stat().st_mode) == 0o600
