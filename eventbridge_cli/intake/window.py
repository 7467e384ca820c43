"""A window on a stream of bytes that moves forward: where it is, in lines and columns, and what has been seen."""

import re
from collections.abc import Callable

from eventbridge_cli.intake.sources import BLOCK, DAMAGED

SPACE = re.compile(rb"[ \t\r\n]*+")
"""White space as JSON has it; matches nothing, too."""

_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes that go on with a character in UTF-8


class Held:
    """The bytes of one record as they come in, let go once they are more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        """Take the next bytes in, or only count them."""
        self.size += len(part)
        if self.size > self._limit:
            self._parts.clear()
        else:
            self._parts.append(part)

    def join(self, other: "Held") -> None:
        """Take in what another one with this limit has, or only count it."""
        data = other.data
        if data is None:
            self.size += other.size
            self._parts.clear()
        else:
            self.add(data)

    @property
    def data(self) -> bytes | None:
        """The record, or None if it was too large to hold."""
        return b"".join(self._parts) if self.size <= self._limit else None


class Window:
    """The block that is being looked at. While `_held` is set, bytes that are passed over go there.

    Args:
        read_block: reads at most so many bytes; an empty answer is the end.
    """

    def __init__(self, read_block: Callable[[int], bytes]) -> None:
        self._read_block = read_block
        self._buffer = b""
        self._position = 0
        self._base = 0  # how many bytes of the source came before the buffer
        self._line = 1
        self._line_start = 0  # where, in the source, the line begins
        self._counted = 0  # up to where, in the source, the line's continuation bytes are counted
        self._continuations = 0
        self._held: Held | None = None  # the record that is being taken, and where its next bytes begin
        self._mark = 0
        self._ended = False
        self._damage: Exception | None = None

    def _fill(self) -> bool:
        """Read on, dropping what lies before the position. False at the end of the source."""
        if self._ended:
            return False
        if self._held is not None:
            self._flush()
            self._mark = 0
        self._characters()  # while the bytes are here
        try:
            block = self._read_block(max(BLOCK, len(self._buffer) - self._position))
        except DAMAGED as error:
            self._damage = error
            block = b""
        self._ended = not block
        self._base += self._position
        self._buffer = self._buffer[self._position :] + block
        self._position = 0
        return not self._ended

    def _flush(self) -> None:
        if self._held is not None:
            self._held.add(self._buffer[self._mark : self._position])
            self._mark = self._position

    def _hold(self, space: Held) -> None:
        if self._held is not None:
            self._held.join(space)

    def _advance(self, end: int) -> None:
        """Move to `end`, minding the lines on the way."""
        newlines = self._buffer.count(b"\n", self._position, end)
        if newlines:
            self._line += newlines
            self._line_start = self._base + self._buffer.rfind(b"\n", self._position, end) + 1
        self._position = end

    def _skip_space(self, space: "re.Pattern[bytes]" = SPACE) -> bool:
        """Move to the next byte that is no `space`. False if there is none."""
        while True:
            self._advance(match_end(space, self._buffer, self._position))
            if self._position < len(self._buffer):
                return True
            if not self._fill():
                return False

    def _take_space(self, limit: int, space: "re.Pattern[bytes]" = SPACE) -> Held:
        """Move over `space`, and give it, held up to a limit; it belongs to no record yet."""
        self._flush()
        held, taken = self._held, Held(limit)
        self._held, self._mark = taken, self._position
        self._skip_space(space)
        self._flush()
        self._held = held
        return taken

    def _to_end_of_line(self) -> None:
        while True:
            end = self._buffer.find(b"\n", self._position)
            self._position = end if end >= 0 else len(self._buffer)
            if end >= 0 or not self._fill():
                return

    def _characters(self) -> int:
        """The column in characters, from 1."""
        if self._counted < self._line_start:
            self._counted, self._continuations = self._line_start, 0
        text = self._buffer[self._counted - self._base : self._position]
        self._continuations += len(text) - len(text.translate(None, _CONTINUATION))
        self._counted = self._base + self._position
        return self._column() - self._continuations

    def _column(self) -> int:
        """The column in bytes, from 1."""
        return self._base + self._position - self._line_start + 1


def match_end(pattern: "re.Pattern[bytes]", buffer: bytes, start: int) -> int:
    """Where the match of `pattern` at `start` ends; the pattern matches nothing, too."""
    match = pattern.match(buffer, start)
    assert match  # noqa: S101
    return match.end()
