"""A folder as data lake."""

import asyncio
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from lake_support import batch, entry, target

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.lake.payload import ndjson
from eventbridge_cli.lake.target import Content, Format


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_batch_is_written_once(tmp_path: Path) -> None:
    """After put the file is there, whole and alone; putting the batch again leaves it untouched."""
    lake, whole = target(tmp_path.as_uri()), batch()
    asyncio.run(lake.check())
    asyncio.run(lake.put(whole))
    path = f"date=2026-03-02/{whole.name}.ndjson"
    assert files(tmp_path) == {path: ndjson(whole, Content.RECEIPTS)}
    before = (tmp_path / path).stat()
    asyncio.run(lake.put(whole))
    asyncio.run(lake.put(batch(entry(5))))
    assert (tmp_path / path).stat() == before
    assert len(files(tmp_path)) == 2
    asyncio.run(lake.aclose())


def test_what_a_killed_run_left_aside_is_overwritten(tmp_path: Path) -> None:
    """Half a file under the hidden name does no harm, and is gone after the next try."""
    whole = batch()
    folder = tmp_path / "date=2026-03-02"
    folder.mkdir()
    (folder / f".{whole.name}.ndjson.part").write_bytes(b"x" * 1_000_000)
    asyncio.run(target(tmp_path.as_uri()).put(whole))
    assert files(tmp_path) == {f"date=2026-03-02/{whole.name}.ndjson": ndjson(whole, Content.RECEIPTS)}


def test_two_tries_at_once_write_one_file(tmp_path: Path) -> None:
    """A try that nobody waits for any more and the next one do not get in each other's way."""
    lake, whole = target(tmp_path.as_uri()), batch(*map(entry, range(500)))

    async def twice() -> None:
        await asyncio.gather(*(lake.put(whole) for _ in range(8)))

    asyncio.run(twice())
    assert files(tmp_path) == {f"date=2026-03-02/{whole.name}.ndjson": ndjson(whole, Content.RECEIPTS)}


def test_events_as_parquet(tmp_path: Path) -> None:
    """The folder takes Parquet, too."""
    whole = batch()
    asyncio.run(target(tmp_path.as_uri(), Content.EVENTS, Format.PARQUET).put(whole))
    [(path, data)] = files(tmp_path).items()
    assert (path, data[:4]) == (f"date=2026-03-02/{whole.name}.parquet", b"PAR1")


def test_the_name_is_the_same_however_the_folder_is_written(tmp_path: Path) -> None:
    """A slash at the end, localhost or an escape make no other target."""
    folder = tmp_path / "my lake"
    urls = [folder.as_uri(), f"{folder.as_uri()}/", f"file://localhost{folder}"]
    assert {target(url).name for url in urls} == {folder.as_uri()}


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    """A missing folder fails the check, and is not made by a put."""
    lake = target((tmp_path / "nowhere").as_uri())
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        asyncio.run(lake.check())
    with pytest.raises(TargetError, match="No such file or directory") as caught:
        asyncio.run(lake.put(batch()))
    assert not caught.value.permanent
    assert not files(tmp_path)


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """A file where the folder of a date belongs: the error names the place."""
    (tmp_path / "date=2026-03-02").write_text("")
    with pytest.raises(TargetError, match="date=2026-03-02"):
        asyncio.run(target(tmp_path.as_uri()).put(batch()))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_missing_rights_are_permanent(tmp_path: Path) -> None:
    """A folder that this user may not write to."""
    tmp_path.chmod(0o500)
    lake = target(tmp_path.as_uri())
    with pytest.raises(ConfigurationError, match="Permission denied"):
        asyncio.run(lake.check())
    with pytest.raises(TargetError, match="Permission denied") as caught:
        asyncio.run(lake.put(batch()))
    assert caught.value.permanent


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_passing_fault(tmp_path: Path) -> None:
    """No space left: the batch is to be tried again, no file looks as if it were whole, and what was begun goes."""
    whole = batch()
    folder = tmp_path / "date=2026-03-02"
    folder.mkdir()
    (folder / f".{whole.name}.ndjson.part").symlink_to("/dev/full")
    with pytest.raises(TargetError, match="No space left") as caught:
        asyncio.run(target(tmp_path.as_uri()).put(whole))
    assert not caught.value.permanent
    assert not list(folder.iterdir())


def test_a_full_disk_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do is no matter of rights alone."""

    def no_space(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", no_space)
    with pytest.raises(ConfigurationError, match="No space left") as caught:
        asyncio.run(target(tmp_path.as_uri()).check())
    assert "make room" in caught.value.remedy


def test_a_disk_that_never_answers_does_not_keep_the_process(tmp_path: Path) -> None:
    """A write that hangs (a pipe that nobody reads) blocks neither the event loop nor the end of the process."""
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import asyncio, sys\n"
        "from eventbridge_cli.lake.thread import in_thread\n"
        "async def main():\n"
        "    try: await asyncio.wait_for(in_thread(lambda: open(sys.argv[1], 'wb')), 0.1)\n"
        "    except TimeoutError: print('went on')\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipe")], capture_output=True, text=True, timeout=60, check=True
    )
    assert (run.stdout, run.stderr) == ("went on\n", "")
