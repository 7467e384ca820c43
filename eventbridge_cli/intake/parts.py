"""Divide files of NDJSON into parts that several processes can read side by side."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, overload

from msgspec import MsgspecError

from eventbridge_cli.bulk import WrittenLines
from eventbridge_cli.errors import StorageError
from eventbridge_cli.intake.sources import BLOCK, Source
from eventbridge_cli.members import members_of

if TYPE_CHECKING:
    from array import array

PART = 1_000_000
"""Bytes of a part: so many that handing over is rare, so few that all processes come to their ends together."""


class Part(NamedTuple):
    """The lines of a file that begin at byte `start` or behind it, and before `stop`."""

    source: Source
    start: int
    stop: int


class LinesInFile(WrittenLines):
    """So many lines of a file, from byte `start` to byte `end`, read when they are first looked at.

    With `lengths`, of each line without what ends it, they need not be taken apart to be written.
    """

    def __init__(self, source: Source, start: int, end: int, number: int, lengths: "array[int] | None" = None) -> None:
        self._range = (source, start, end)
        self._number = number
        self._lengths = lengths

    @cached_property
    def _data(self) -> bytes:
        source, start, end = self._range
        with opened(source) as file:
            data = os.pread(file, end - start, start)
        if data.count(b"\n") != self._breaks(data):
            raise changed(source)
        return data

    def _breaks(self, data: bytes) -> int:
        """How many line breaks there have to be: at the end of a file one may be missing."""
        return len(self) - (not data.endswith(b"\n"))

    @cached_property
    def _lengths_before(self) -> list[int] | None:
        """The length of all lines before each; None where lengths are not known, or lines end in CR and LF."""
        if self._lengths is None:
            return None
        before = list(accumulate(self._lengths, initial=0))
        if before[-1] + self._breaks(self._data) == len(self._data):
            return before
        if b"\r" not in self._data:
            raise changed(self._range[0])
        return None

    @cached_property
    def _lines(self) -> list[bytes]:
        lines = self._data.removesuffix(b"\n").split(b"\n")
        return [line.removesuffix(b"\r") for line in lines] if b"\r" in self._data else lines

    def written(self, start: int, stop: int) -> bytes:
        """The lines from one to another, with a line break behind each."""
        if (before := self._lengths_before) and (stop < len(self) or self._data.endswith(b"\n")):
            return self._data[before[start] + start : before[stop] + stop]
        return b"\n".join([*self._lines[start:stop], b""])

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, int) and index >= 0 and (before := self._lengths_before):
            return self._data[before[index] + index : before[index + 1] + index]
        return self._lines[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines)


def changed(source: Source) -> StorageError:
    """What to say when a file is not what it was."""
    return StorageError(f"{source.name} was changed while it was read.", "Run again when nothing writes to it.")


def divide(sources: Sequence[Source]) -> list[tuple[Source, int]]:
    """Sources with the length in bytes of those that can be divided; 0 for one that has to be read as a whole."""
    return [(source, _length(source)) for source in sources]


def parts(divided: Sequence[tuple[Source, int]]) -> Iterator[Part | Source]:
    """The parts of sources in order, or a source as a whole."""
    for source, length in divided:
        if not length:
            yield source
        for start in range(0, length, PART):
            yield Part(source, start, min(start + PART, length))


def _length(source: Source) -> int:
    """How long a file is; 0 if it is no NDJSON, told by its first line: one whole object, and no envelope."""
    if source.path is None:
        return 0
    try:
        status = source.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return 0
        with source.path.open("rb") as file:
            line = file.readline(BLOCK)
        members_of(line)
    except (OSError, MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return status.st_size if line.startswith(b"{") and b'"events"' not in line and line.endswith(b"\n") else 0


@contextmanager
def opened(source: Source) -> Iterator[int]:
    """The file of a source, open.

    Raises:
        StorageError: it was there when the run began, and can't be read any more.
    """
    assert source.path is not None  # noqa: S101 - a stream has no parts
    try:
        file = os.open(source.path, os.O_RDONLY)
        try:
            yield file
        finally:
            os.close(file)
    except OSError as error:
        raise StorageError(
            f"{source.name} can't be read any more: {error.strerror}.", "Put the file back, then run again."
        ) from error


def line_at(file: int, offset: int) -> int:
    """Where the first line begins that begins at `offset` of an open file or behind it."""
    position = max(offset - 1, 0)
    while offset and (block := os.pread(file, BLOCK, position)):
        end = block.find(b"\n")
        if end >= 0:
            return position + end + 1
        position += len(block)
    return position


def reader(file: int, begin: int, end: Callable[[], int]) -> Callable[[int], bytes]:
    """A function that reads an open file from `begin` up to where `end` says by then."""
    position = begin

    def read_block(size: int) -> bytes:
        nonlocal position
        block = os.pread(file, max(0, min(size, end() - position)), position)
        position += len(block)
        return block

    return read_block
