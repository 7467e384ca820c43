"""The files of the ledger: whole lines, kept keys, locks that end with their process."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from eventbridge_cli.errors import ConfigurationError, StateLockedError, StorageError
from eventbridge_cli.flow import Origin, Problem, Reason, Rejection, Stage
from eventbridge_cli.ledger.appending import AppendedLines
from eventbridge_cli.ledger.audit import CHAIN_START, LINE_BEGIN, AuditLogger, line_hash
from eventbridge_cli.ledger.book import Places, opened
from eventbridge_cli.ledger.dead_letters import DeadLetters
from eventbridge_cli.ledger.delivered import DeliveredStore
from eventbridge_cli.ledger.history import runs_of, verify
from eventbridge_cli.ledger.lock import holder, locked
from eventbridge_cli.ledger.remembered import remembered


def keys(*numbers: int) -> list[bytes]:
    return [number.to_bytes(16) for number in numbers]


@pytest.mark.parametrize("torn", [b"", b'{"ti', LINE_BEGIN, LINE_BEGIN + b"x" * 200_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """What a killed run left of its last line goes, and is told; whole lines stay, long ones too."""
    path = tmp_path / "file"
    long = LINE_BEGIN + b"y" * 150_000
    path.write_bytes(b"one\n" + long + b"\n" + torn)
    with AppendedLines(path, LINE_BEGIN) as lines:
        assert (lines.last, lines.mended) == (long, len(torn))
        lines.append(b"three")
    assert path.read_bytes() == b"one\n" + long + b"\nthree\n"


def test_a_second_run_without_pread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no `os.pread`: the last line is found, and the next one goes to the end, all the same."""
    monkeypatch.delattr(os, "pread", raising=False)
    path, long = tmp_path / "file", LINE_BEGIN + b"y" * 150_000
    path.write_bytes(b"one\n" + long + b"\n")
    with AppendedLines(path, LINE_BEGIN) as lines:
        assert lines.last == long
        lines.append(b"three")
    assert path.read_bytes() == b"one\n" + long + b"\nthree\n"


def test_a_file_of_half_a_line(tmp_path: Path) -> None:
    """Nothing but a torn line is an empty file with something mended."""
    path = tmp_path / "file"
    path.write_bytes(LINE_BEGIN)
    with AppendedLines(path, LINE_BEGIN) as lines:
        assert (lines.last, lines.mended) == (None, len(LINE_BEGIN))
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "theirs",
    [b"line one\nmy precious last line", b'{"a": 1}\n{"a', b" ", b"\0" * 99, b"# notes\n", b'{"a": 1}', b'{"a": 1}\n'],
)
def test_another_file_stays_what_it_is(tmp_path: Path, theirs: bytes) -> None:
    """What no run can have written or begun is somebody's: an error names the file, and nothing is cut or added."""
    path = tmp_path / "notes.txt"
    path.write_bytes(theirs)
    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        AppendedLines(path, LINE_BEGIN)
    assert path.read_bytes() == theirs


def limited(code: str, folder: Path) -> str:
    """What `code` prints, where no file may be larger than 100 bytes."""
    head = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from eventbridge_cli.errors import StorageError\n"
        "from eventbridge_cli.ledger.appending import AppendedLines\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    )
    run = subprocess.run([sys.executable, "-c", head + code], cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("before", [b"", b'{"a": 1}\n'])
@pytest.mark.parametrize("begin", [LINE_BEGIN, None])
def test_a_last_line_that_lacks_its_line_break_alone(tmp_path: Path, before: bytes, begin: bytes | None) -> None:
    """A whole object that an editor left without a line break gets it, and is the last line."""
    path, whole = tmp_path / "file", LINE_BEGIN + b"y" * 150_000 + b'"}'
    path.write_bytes(before + whole)
    with AppendedLines(path, begin) as lines:
        assert (lines.last, lines.mended) == (whole, 0)
        lines.append(b"{}")
    assert path.read_bytes() == before + whole + b"\n{}\n"


def test_an_audit_file_is_refused_before_anything_is_mended(tmp_path: Path) -> None:
    """Half a line of it would get a line break as among dead letters, and no later run could mend it."""
    path = tmp_path / "audit.jsonl"
    torn = LINE_BEGIN + b'1"}\n' + LINE_BEGIN + b"half"
    path.write_bytes(torn)
    with pytest.raises(ConfigurationError, match="is an audit file"), DeadLetters(path, "run"):
        pass
    assert path.read_bytes() == torn


def test_a_write_that_fails_leaves_nothing_half(tmp_path: Path) -> None:
    """At the limit of the disk an append fails with a remedy, and the file ends with its last whole line."""
    code = (
        "with AppendedLines(Path('file'), None) as lines:\n"
        "    lines.append(b'x' * 80)\n"
        "    try: lines.append(b'y' * 80)\n"
        "    except StorageError as error: print(error)\n"
        "    lines.append(b'z')\n"
    )
    assert "can't be written" in limited(code, tmp_path)
    assert (tmp_path / "file").read_bytes() == b"x" * 80 + b"\nz\n"


def test_lines_that_are_appended_together_are_all_there_or_none(tmp_path: Path) -> None:
    """Several lines in one go that don't fit leave nothing, be it that the first ones would."""
    code = (
        "with AppendedLines(Path('file'), None) as lines:\n"
        "    lines.append(b'one\\ntwo')\n"
        "    try: lines.append(b'\\n'.join([b'y' * 20] * 9))\n"
        "    except StorageError as error: print(error)\n"
    )
    assert "can't be written" in limited(code, tmp_path)
    assert (tmp_path / "file").read_bytes() == b"one\ntwo\n"


def test_a_write_that_fails_leaves_the_lines_of_others(tmp_path: Path) -> None:
    """What another run has appended meanwhile stays."""
    code = (
        "with AppendedLines(Path('file'), None) as ours, AppendedLines(Path('file'), None) as theirs:\n"
        "    ours.append(b'x' * 40)\n"
        "    theirs.append(b't' * 40)\n"
        "    try: ours.append(b'y' * 80)\n"
        "    except StorageError as error: print(error)\n"
    )
    assert "can't be written" in limited(code, tmp_path)
    assert (tmp_path / "file").read_bytes() == b"x" * 40 + b"\n" + b"t" * 40 + b"\n"


def test_a_path_that_can_not_be_written(tmp_path: Path) -> None:
    """A folder that is not there: an error that names the file."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        AppendedLines(tmp_path / "nowhere" / "file", LINE_BEGIN)


def test_each_line_carries_the_hash_of_the_one_before(tmp_path: Path) -> None:
    """The chain goes on over runs; a line has its time in UTC, its run and its event, and begins as all do."""
    path = tmp_path / "audit"
    for run in ("one", "two"):
        with AppendedLines(path, LINE_BEGIN) as lines:
            logger = AuditLogger(lines, run, now=lambda: datetime(2026, 3, 2, 9, 15, tzinfo=UTC))
            logger.write("RUN_STARTED", note="é")
            logger.write("RUN_FINISHED")
    raw = path.read_bytes().splitlines()
    assert all(text.startswith(LINE_BEGIN) for text in raw)
    entries = [json.loads(text) for text in raw]
    assert [entry["previous"] for entry in entries] == [CHAIN_START, *map(line_hash, raw[:-1])]
    assert entries[0]["time"] == "2026-03-02T09:15:00.000Z"
    assert [entry["run"] for entry in entries] == ["one", "one", "two", "two"]


def test_lines_of_a_clock_that_nobody_has_set_are_whole(tmp_path: Path) -> None:
    """A machine without a clock of its own begins in 1970: what it wrote is no other hand's."""
    with AppendedLines(tmp_path / "audit", LINE_BEGIN) as lines:
        AuditLogger(lines, "run", now=lambda: datetime(1970, 1, 1, tzinfo=UTC)).write("RUN_STARTED", inputs=["file"])
    assert list(verify(tmp_path / "audit")) == []
    assert [story.inputs for story in runs_of(tmp_path / "audit")] == [["file"]]


def test_dead_letters_keep_the_record_as_it_was(tmp_path: Path) -> None:
    """Text as text, other bytes in base64, what was too large as nothing; no file before the first letter."""
    path = tmp_path / "letters"
    with DeadLetters(path, "run") as letters:
        assert not path.exists()
        for data in (b'{"a": "\xc3\xa9"', b"\xff\x00", None):
            problem = Problem("code", "path", "found", "allowed", "remedy")
            letters.note(Rejection(Origin("f", 3, 1, 2), Stage.READ, Reason.OVERSIZED, (problem,), data))
    found = [json.loads(text) for text in path.read_bytes().splitlines()]
    assert [letter["record"] for letter in found] == ['{"a": "é"', None, None]
    assert found[1]["record_base64"] == "/wA="
    assert (found[0]["source"], found[0]["line"], found[0]["index"], found[0]["reason"]) == ("f", 3, 2, "oversized")


def test_keys_are_found_again(tmp_path: Path) -> None:
    """What one run delivered the next one finds, 1,200 keys at once, with the name of the run."""
    path = tmp_path / "keys.sqlite3"
    with DeliveredStore(path, "first", remember_days=7) as store:
        store.commit(b"".join(keys(*range(1000))))
    with DeliveredStore(path, "second", remember_days=7) as store:
        found = store.find(keys(*range(1200)))
        assert found == dict.fromkeys(keys(*range(1000)), "first")
        assert store.find([]) == {}
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_are_forgotten_after_their_days(tmp_path: Path) -> None:
    """A key older than the days to remember is gone, a younger one is not."""
    path, day = tmp_path / "keys.sqlite3", 86_400
    with DeliveredStore(path, "old", remember_days=7, clock=lambda: 0) as store:
        store.commit(b"".join(keys(1)))
    with DeliveredStore(path, "new", remember_days=7, clock=lambda: 5 * day) as store:
        store.commit(b"".join(keys(2)))
    with remembered(path, remember_days=7, clock=lambda: 8 * day) as known:
        assert known is not None
        assert known.find(keys(1, 2)) == dict.fromkeys(keys(2), "new")
    with DeliveredStore(path, "now", remember_days=7, clock=lambda: 8 * day) as store:
        assert set(store.find(keys(1, 2)).values()) == {"new"}


def test_a_commit_outlives_kill_9(tmp_path: Path) -> None:
    """Killed right after a commit: the keys are there."""
    code = (
        "import os, signal; from pathlib import Path\n"
        "from eventbridge_cli.ledger.delivered import DeliveredStore\n"
        "store = DeliveredStore(Path('keys.sqlite3'), 'killed', remember_days=7)\n"
        "store.commit(b'k' * 16)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert run.returncode == -signal.SIGKILL
    with DeliveredStore(tmp_path / "keys.sqlite3", "next", remember_days=7) as store:
        assert store.find([b"k" * 16]) == {b"k" * 16: "killed"}


def test_a_look_up_that_is_under_way_as_the_store_is_closed(tmp_path: Path) -> None:
    """The thread that reads may still look up keys as a run ends early: it is told so, and nothing crashes."""
    code = (
        "import threading; from pathlib import Path\n"
        "from eventbridge_cli.errors import StorageError\n"
        "from eventbridge_cli.ledger.delivered import DeliveredStore\n"
        "keys = [number.to_bytes(16) for number in range(2000)]\n"
        "def read():\n"
        "    try:\n"
        "        while True: store.find(keys); begun.set()\n"
        "    except StorageError: pass\n"
        "with DeliveredStore(Path('keys.sqlite3'), 'first', remember_days=7) as store: store.commit(b''.join(keys))\n"
        "for number in range(50):\n"
        "    begun = threading.Event()\n"
        "    with DeliveredStore(Path('keys.sqlite3'), f'run-{number}', remember_days=7) as store:\n"
        "        thread = threading.Thread(target=read); thread.start(); begun.wait()\n"
        "    thread.join()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("rubbish", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000, b""])
def test_a_damaged_store_is_set_aside(tmp_path: Path, rubbish: bytes) -> None:
    """A damaged store keeps its bytes under another name and does not block the run."""
    path = tmp_path / "keys.sqlite3"
    path.write_bytes(rubbish)
    with DeliveredStore(path, "run", remember_days=7) as store:
        assert store.set_aside is not None
        assert store.set_aside.read_bytes() == rubbish
        store.commit(b"".join(keys(1)))
    with DeliveredStore(path, "next", remember_days=7) as store:
        assert store.find(keys(1)) == dict.fromkeys(keys(1), "run")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_store_that_could_not_be_made_is_no_damaged_one(tmp_path: Path) -> None:
    """A disk that is full as the store is made leaves nothing that the next run would take for damaged."""
    code = (
        "import resource; from pathlib import Path\n"
        "from eventbridge_cli.errors import StorageError\n"
        "from eventbridge_cli.ledger.delivered import DeliveredStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: DeliveredStore(Path('keys.sqlite3'), 'run', remember_days=7)\n"
        "except StorageError: print('full')\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path) == b"full\n"
    with DeliveredStore(tmp_path / "keys.sqlite3", "next", remember_days=7) as store:
        assert store.set_aside is None


def test_a_new_store_takes_nothing_from_one_that_is_gone(tmp_path: Path) -> None:
    """What SQLite has left beside a store that somebody removed does not get into the new one."""
    path = tmp_path / "keys.sqlite3"
    with DeliveredStore(path, "run", remember_days=7) as store:
        store.commit(b"".join(keys(1)))
        left = path.with_name("keys.sqlite3-wal").read_bytes()
    path.unlink()
    path.with_name("keys.sqlite3-wal").write_bytes(left)
    with DeliveredStore(path, "next", remember_days=7) as store:
        assert store.is_empty
        assert store.set_aside is None


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_store_that_may_not_be_written(tmp_path: Path) -> None:
    """It is a matter of rights, not of space, and running again would not mend it."""
    path = tmp_path / "keys.sqlite3"
    with DeliveredStore(path, "run", remember_days=7) as store:
        store.commit(b"".join(keys(1)))
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        DeliveredStore(path, "next", remember_days=7)


def test_a_store_in_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """A path that can't be: a clear error with the remedy."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="--state"):
        DeliveredStore(tmp_path / "file" / "keys", "run", remember_days=7)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A second holder is told the first one's pid; kill -9 of the first frees the lock."""
    code = (
        "import sys; from pathlib import Path\n"
        "from eventbridge_cli.ledger.lock import locked\n"
        "with locked(Path('.'), 'name', 'it'): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateLockedError, match=str(holder.pid)), locked(tmp_path, "name", "it"):
            pass
        holder.kill()
    with locked(tmp_path, "name", "it"):
        assert (tmp_path / "name.pid").read_text(encoding="ascii") == str(os.getpid())


def test_a_pid_file_that_stays_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full, or read-only by now, and lets nothing be removed: the lock is let go of all the same."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full, locked(tmp_path, "name", "it"):
        full.setattr(Path, "unlink", refuse)
    assert holder(tmp_path / "name.lock") is None
    with locked(tmp_path, "name", "it"):
        pass


def test_a_look_at_the_lock_keeps_no_run_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks whether a run is under way holds its lock meanwhile; a run that starts then tries again."""
    look = FileLock(tmp_path / "scope.lock")
    look.acquire()
    monkeypatch.setattr(time, "sleep", lambda _: look.release())
    places = Places(state=tmp_path, locks=tmp_path, audit=tmp_path / "audit", dead_letters=None)
    with opened("run", places, "scope", remember_days=7, lock_wait=0, warn=print, observe=print) as ledger:
        assert ledger.run == "run"
