"""One run at a time for each state and audit file, by locks of the kernel that end with the process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from eventbridge_cli.errors import ConfigurationError, EbingestError, StateLockedError, StorageError, is_lack_of_space


@contextmanager
def locked(folder: Path, name: str, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock `name` in `folder`; `what` says in an error what it guards.

    Waits up to `wait` seconds for another run to end.

    Raises:
        StateLockedError: another run holds it.
        ConfigurationError: the folder can't be written.
        StorageError: there is no space.
    """
    pid_file = folder / f"{name}.pid"
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire(timeout=wait)
        pid_file.write_text(str(os.getpid()), encoding="ascii")
    except Timeout as error:
        raise StateLockedError(
            f"Another run{_holder(pid_file)} uses {what}.",
            "Run the same command again when it has ended, or wait for it with --lock-wait SECONDS.",
        ) from error
    except OSError as error:
        lock.release()
        raise _unusable(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # it tells nobody anything without the lock; some file systems can't unlink when full
            pid_file.unlink()
        lock.release()


def try_lock(folder: Path, name: str) -> FileLock | None:
    """Take the lock `name` in `folder`, or None if another process holds it. Whoever takes it releases it.

    Raises:
        ConfigurationError: the folder can't be written.
        StorageError: there is no space.
    """
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as error:
        raise _unusable(folder, error) from error
    return lock


def _unusable(folder: Path, error: OSError) -> EbingestError:
    kind = StorageError if is_lack_of_space(error) else ConfigurationError
    return kind(
        f"The state folder {folder} can't be written: {error.strerror}.",
        "Give another folder with --state, then run the same command again.",
    )


def holder(lock: Path) -> int | None:
    """The process that holds a lock: the pid file says which, the lock itself says whether."""
    if not os.path.exists(lock):  # noqa: PTH110 - pathlib's question raises where a folder may not be entered
        return None
    probe = FileLock(lock)
    try:
        with probe.acquire(blocking=False):
            return None
    except Timeout:
        try:
            return int(lock.with_suffix(".pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0
    except OSError:
        return None


def lock_folder(*, otherwise: Path) -> Path:
    """Where the audit file's lock is: one place for all runs of a user, since `--state` may differ between them."""
    folder = user_state_path("ebingest")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return otherwise
    return folder if os.access(folder, os.W_OK) else otherwise


def audit_lock(audit: Path) -> str:
    """The name of the lock of an audit file."""
    return f"audit-{blake2b(os.fsencode(os.path.realpath(audit)), digest_size=10).hexdigest()}"


def _holder(path: Path) -> str:
    try:
        return f" (process {int(path.read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""
