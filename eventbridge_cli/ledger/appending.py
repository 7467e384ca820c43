"""A file of lines that only grows, is readable by its owner alone, and never joins a line to half of another."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from eventbridge_cli.errors import ConfigurationError, StorageError, unwritable

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)  # Windows would write two-byte line breaks
_OWNER_ONLY = 0o600
_BLOCK = 64 * 1024


class AppendedLines:
    """Appends whole lines to `path`.

    On opening, a last line without its line break gets it, if it is a whole JSON object: not every editor writes one.
    Half a line, left by a run that was killed while writing, is cut off; `mended` says how many bytes that were.
    `last` is the last whole line, without its line break, if the file had one.

    Args:
        path: the file; made if it is not there.
        begin: how each of its lines begins. A file whose last line doesn't is another's, and half a line that doesn't
            is nobody's to cut off. None: people write to the file, so that any half line stays, and gets its line
            break.
        check: is told the last line before anything is mended; if it raises, the file stays what it is.

    Raises:
        ConfigurationError: the file can't be opened, or is another's, as the end of it shows; it stays what it is.
        StorageError: it can't be written.
    """

    def __init__(self, path: Path, begin: bytes | None, *, check: Callable[[bytes], None] = lambda _last: None) -> None:
        self.path = path
        try:
            self._file = os.open(path, _FLAGS, _OWNER_ONLY)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            self._mend(begin, check)
        except OSError as error:
            os.close(self._file)
            raise self._storage_error(error) from error
        except ConfigurationError:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def append(self, lines: bytes) -> None:
        """Write `lines` and a line break behind the last. A write that fails half-way leaves nothing behind."""
        data = lines + b"\n"
        try:
            written = os.write(self._file, data)
            if written != len(data):
                self._take_back(written)
                raise OSError(28, "no space is left on the disk")  # ENOSPC: all that a short write to a file means
        except OSError as error:
            raise self._storage_error(error) from error

    def _mend(self, begin: bytes | None, check: Callable[[bytes], None]) -> None:
        size = os.fstat(self._file).st_size
        self.last, rest = self._last_line(size)
        whole = _is_object(rest)
        self.mended = 0 if whole else len(rest)
        if whole:
            self.last = rest
        if self.last is not None:
            check(self.last)
        if begin is not None and self.last is not None and not self.last.startswith(begin):
            raise self._another_file("its last line is none that a run has written")
        if whole or (rest and begin is None):
            os.write(self._file, b"\n")
        elif begin is not None and rest[: len(begin)] != begin[: len(rest)]:
            raise self._another_file("it ends in a line without a line break that no run has begun")
        elif rest:
            os.ftruncate(self._file, size - len(rest))

    def _take_back(self, size: int) -> None:
        """Cut off the bytes that were just written, unless another run has written behind them."""
        end = os.lseek(self._file, 0, os.SEEK_CUR)
        if os.fstat(self._file).st_size == end:
            os.ftruncate(self._file, end - size)

    def _last_line(self, size: int) -> tuple[bytes | None, bytes]:
        """The last line that has its line break, and what stands behind it."""
        start, blocks, breaks = size, [], 0
        while start > 0 and breaks < 2:  # noqa: PLR2004 - the one behind the last line, and the one before it
            step = min(_BLOCK, start)
            start -= step
            os.lseek(self._file, start, os.SEEK_SET)  # what is written goes to the end all the same
            blocks.append(os.read(self._file, step))
            breaks += blocks[-1].count(b"\n")
        tail = b"".join(reversed(blocks))
        end = tail.rfind(b"\n")
        if end < 0:
            return None, tail
        return tail[tail.rfind(b"\n", 0, end) + 1 : end], tail[end + 1 :]

    def _another_file(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} is no file of this tool: {reason}.", "Give another file; this one is left as it is."
        )

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} can't be written: {error.strerror}.",
            "Free some space or give another path, then run the same command again: it resumes.",
        )


def _is_object(text: bytes) -> bool:
    if not text.lstrip().startswith(b"{"):  # what is something else may be a file of any size
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def half_a_line(path: Path, size: int) -> str:
    """What to tell of a torn line that was cut off."""
    return f"{path} ended in half a line ({size:,} bytes) of a run that was killed; it is mended."
