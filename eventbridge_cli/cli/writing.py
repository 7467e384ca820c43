"""Files that commands write, each there as a whole or not at all."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from eventbridge_cli.errors import StorageError, unwritable


def is_device(path: Path) -> bool:
    """Whether it is there and neither file nor folder: what is written to a device or a pipe takes nobody's place."""
    # pathlib's questions raise for names that can't be.
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112, PTH113


def is_stdout(path: Path) -> bool:
    """Whether what is written there goes to standard output."""
    return str(path) == "-"


@contextmanager
def written(path: Path | None, *, private: bool = False) -> Iterator[BinaryIO | None]:
    """A file that is there as a whole once the body has ended, and not at all before; None for None, `-` is stdout.

    A file that was there keeps its rights, and its owner where that may be given; a new one that is `private` is its
    owner's alone to read. A pipe or a device is written to as it is: a file put in its place would be the end of it.

    Raises:
        ConfigurationError: it can't be made.
        StorageError: it can't be written.
    """
    if path is None:
        yield None
        return
    if is_stdout(path):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.isdir(path):  # noqa: PTH112 - as below
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    in_place = is_device(path)
    path = path if in_place else Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.part")
    try:
        opened = path.open("wb") if in_place else _opened_in_place_of(path, aside, private=private)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with opened as file:
            yield file
        if not in_place:
            aside.replace(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror}.", "Free some space or give another path."
        ) from error
    finally:
        if not in_place:
            aside.unlink(missing_ok=True)


def _opened_in_place_of(path: Path, aside: Path, *, private: bool) -> BinaryIO:
    """Open `aside` to write what is to take the place of `path`, with its rights; nobody else can read it before."""
    aside.unlink(missing_ok=True)  # what a killed run left has rights of its own
    try:
        old = path.stat()
    except OSError:
        old = None
    aside.touch(mode=0o666 if old is None and not private else 0o600)
    file = aside.open("wb")
    if old is not None:
        if hasattr(os, "chown"):
            with suppress(OSError):  # only the privileged may give a file away
                os.chown(aside, old.st_uid, old.st_gid)
        with suppress(OSError):  # not every file system has rights
            aside.chmod(stat.S_IMODE(old.st_mode))
    return file
