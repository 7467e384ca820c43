"""From what the user names (files, folders, globs, `-`) to streams of plain bytes."""

import errno
import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from select import select
from typing import TYPE_CHECKING

from msgspec import Struct

from eventbridge_cli.errors import ClashError, UsageError
from eventbridge_cli.flow import source_name

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 64 * 1024
"""Bytes read at a time: enough to make calls rare, few enough for the allocator to take the same memory again."""

STDIN = "-"
ENDINGS = (".ndjson", ".jsonl", ".json")
"""What a file in a folder must be called to be taken; a compressed one adds its own ending."""

_LONGEST_NAME = 255
_SHOWN_OF_NAME = 40
_COMPRESSED_ENDINGS = ("", ".gz", ".bz2", ".xz", ".zst")
_MAGIC = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\x00": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"\x50\x2a\x4d\x18": "unzstd",  # a frame to be passed over, with which pzstd begins
}

DAMAGED = (EOFError, OSError)
"""What reading a damaged file or a failing disk raises."""


class Meter(Struct):
    """How far reading has come, in bytes on disk. `total` is None where a source has no size (a pipe)."""

    total: int | None = None
    read: int = 0


class _Metered(RawIOBase):
    """A raw stream that counts what is read from it. It leaves closing to whoever opened the stream.

    The first read gives no less than what a magic number is told by, however small the pieces in which it comes. A
    file that ends before what was there when it was opened is damaged: who cuts log files short need not wait for us.
    """

    def __init__(self, raw: FileIO, meter: Meter) -> None:
        self._raw = raw
        self._meter = meter
        self._is_new = True
        status = os.fstat(raw.fileno())
        self._missing = status.st_size - raw.tell() if stat.S_ISREG(status.st_mode) else 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        count = self._wait_for(view)
        while self._is_new and _begins_magic(bytes(view[:count])) and (more := self._wait_for(view[count:])):
            count += more
        self._is_new = False
        return count

    def _wait_for(self, view: memoryview) -> int:
        while (count := self._raw.readinto(view)) is None:  # non-blocking, and nothing is there yet
            select([self._raw], [], [])
        if not count and self._missing > 0:
            raise OSError("the file became shorter while it was read")
        self._missing -= count
        self._meter.read += count
        return count


def _begins_magic(start: bytes) -> bool:
    """Whether more has to be read to tell if a magic number stands here; of no layout's first byte that is true."""
    return bool(start) and any(len(start) < len(magic) and magic.startswith(start) for magic in _MAGIC)


class Source(Struct, frozen=True):
    """One file, or standard input (`path` is None)."""

    name: str
    path: Path | None


def resolve(inputs: Sequence[str], *, written: Sequence[Path] = (), pass_over: Sequence[Path] = ()) -> list[Source]:
    """Find what `inputs` name, in their order; a folder's files are sorted by path.

    `written` are files that this run writes itself. A folder or glob passes over them and over `pass_over`.

    Raises:
        UsageError: something is not there, or cannot be read as a file.
        ClashError: something is written by this very run.
    """
    own, passed = (set(map(os.path.realpath, paths)) for paths in (written, pass_over))
    sources: list[Source] = []
    for text in inputs or [STDIN]:
        if text == STDIN:
            sources.append(Source("<stdin>", None))
            continue
        if not text:
            raise UsageError(
                'An input has an empty name ("").',
                "If the name comes from a variable, set it. The current folder is ., standard input is -.",
            )
        try:
            sources += [Source(source_name(item), item) for item in _files_of(text, own, passed)]
        except (OSError, ValueError) as error:  # the second for a zero byte in a name
            raise _unreadable(text, error) from error
    for source in sources:
        _check_readable(source)
    return sources


def _files_of(text: str, own: AbstractSet[str], passed: AbstractSet[str]) -> list[Path]:
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    if stat.S_ISDIR(mode):
        found = [item for item in _files_below(path) if os.path.realpath(item) not in own | passed]
        if not found:
            raise UsageError(
                f"There is no event file in the folder {text}.",
                f"A folder's files are taken if they end in {', '.join(ENDINGS)}, or those with "
                ".gz, .bz2, .xz or .zst behind them. Name the file itself to read any other.",
            )
        return found
    if mode:
        if os.path.realpath(path) in own:
            raise ClashError(
                f"{text} is an input and is written by this run as well.",
                "Give the output another name.",
            )
        return [path]
    _check_folders_of(text)
    matches = (Path(match) for match in sorted(glob.glob(text, recursive=True)))  # noqa: PTH207
    found = [match for match in matches if not match.is_dir() and os.path.realpath(match) not in own | passed]
    if not found:
        raise UsageError(f"There is no file {text}.", "Check the name and the folder you are in.")
    return found


def _check_folders_of(pattern: str) -> None:
    """Whether the folders in which a glob looks can be read: it would pass over those that can't without a word.

    Raises:
        PermissionError: one can't be.
    """
    parts = (os.curdir, *Path(pattern).parts)
    for number, part in enumerate(parts[1:], 1):
        needed = os.R_OK | os.X_OK if glob.has_magic(part) else os.X_OK
        for match in glob.glob(os.path.join(*parts[:number]), recursive=True):  # noqa: PTH118, PTH207
            if Path(match).is_dir() and not os.access(match, needed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), match)


def _files_below(folder: Path) -> list[Path]:
    """The event files in a folder and below, hidden ones left out; links are followed.

    Raises:
        OSError: a folder can't be read.
    """
    endings = tuple(ending + packed for ending in ENDINGS for packed in _COMPRESSED_ENDINGS)
    found: list[Path] = []
    seen: set[str] = set()  # links may lead around in a circle
    for here, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        events = [Path(here, name) for name in names if name.lower().endswith(endings) and not name.startswith(".")]
        found += [] if real in seen else [path for path in events if path.is_file() or not path.exists()]
        seen.add(real)
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _check_readable(source: Source) -> None:
    try:
        if source.path is not None and stat.S_ISREG(source.path.stat().st_mode):
            source.path.open("rb").close()
    except OSError as error:
        raise _unreadable(source.name, error) from error


def _unreadable(name: str, error: OSError | ValueError) -> UsageError:
    if isinstance(error, OSError) and error.filename:  # a folder below the one that was named
        name = os.fsdecode(error.filename)
    # What is longer than any name of a file may be events, put where their file's name belongs.
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_SHOWN_OF_NAME]}..."
    what = error.strerror if isinstance(error, OSError) else error
    return UsageError(
        f"{shown} cannot be read: {what}.", "Check the name, where links lead, and the file's permissions."
    )


def size_of(sources: Sequence[Source]) -> int | None:
    """Bytes on disk of all sources together, or None if one of them is a stream."""
    total = 0
    for source in sources:
        status = source.path.stat() if source.path else None
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total


@contextmanager
def open_packed(source: Source, meter: Meter) -> Iterator[BufferedReader]:
    """Open a source as it is, compressed or not; reading waits for what is to come, also where a stream does not."""
    file = 0 if source.path is None else source.path
    with FileIO(file, closefd=source.path is not None) as raw:  # standard input is not ours to close
        yield BufferedReader(_Metered(raw, meter), BLOCK)


@contextmanager
def open_source(source: Source, meter: Meter) -> Iterator[Callable[[int], bytes]]:
    """Open a source and undo its compression, told by its first bytes.

    Gives a function that reads at most so many bytes, and fewer whenever fewer are there by now; an empty answer
    is the end. Memory stays flat whatever the compression ratio.
    """
    with open_packed(source, meter) as buffered:
        start = buffered.peek(8)
        packed = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        if packed is None:
            yield buffered.read1
            return
        from eventbridge_cli.intake import unpacking  # noqa: PLC0415 - four libraries that most runs have no use for

        yield getattr(unpacking, packed)(buffered)
