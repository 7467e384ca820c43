"""Cut one value from a stream of bytes: find where it ends, or where it must.

Nothing here judges JSON: brackets and strings are followed only as far as it takes to find where a record ends, so
that each record keeps its own bytes. One that has no end is cut off where the next one visibly begins.
"""

import re
from collections.abc import Callable
from functools import cache

from eventbridge_cli.flow import Origin, Problem, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.window import Held, Window, match_end

Record = RawRecord | Rejection

OBJECT, END_OBJECT, ARRAY, END_ARRAY = b"{}[]"
COMMA = ord(",")
_QUOTE, _NEWLINE = b'"\n'
_OPENING = {END_OBJECT: OBJECT, END_ARRAY: ARRAY}

_BLANKS = re.compile(rb"[ \t\r]*+")
_LINE_ENDS = re.compile(rb"[ \t\r]*+\n")
_ANYTHING = re.compile(rb".", re.DOTALL)
# All up to the next bracket or line break, whole strings included; and the rest of a string.
_OUTSIDE = re.compile(rb'(?:[^"{}\[\]\n]++|"(?:[^"\\\n]++|\\[^\n])*+")*+')
_INSIDE = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+')
_STRING_GOES_ON = (b"", b"\\")  # what may be left of a block within one
_SCALAR = re.compile(rb'[^,\[\]{" \t\r\n]*+')
# What a line in the middle of a value may begin with, far left; `{` begins the next record there.
_GOES_ON = re.compile(rb'["}\],:\[]|-?[0-9]|(?:true|false|null)\b')
_GOES_ON_LOOKAHEAD = len(b"false ")
_NESTED = 4  # levels below a record's own; the pattern's length doubles with each
_BEFORE_A_VALUE = b"[,:"
_AFTER_A_VALUE = b"\n[{"  # on the line on which it ends


@cache
def _whole_object() -> "re.Pattern[bytes]":
    """An object on one line, nested a few times at most: found so in a third of the time that following it takes."""
    inside = plain = rb'[^"{}\[\]\n]++|"(?:[^"\\\n]++|\\[^\n])*+"'
    for _ in range(_NESTED):
        inside = rb"%b|\{(?:%b)*+\}|\[(?:%b)*+\]" % (plain, inside, inside)
    return re.compile(rb"\{(?:%b)*+\}" % inside)


class Brackets:
    """The open brackets of a value. Past `limit` they are only counted: such a record is too deep anyway."""

    def __init__(self, first: int, limit: int) -> None:
        self._open = bytearray((first,))
        self._limit = limit
        self._beyond = 0

    def __len__(self) -> int:
        return len(self._open) + self._beyond

    @property
    def inner(self) -> int:
        """The innermost one."""
        return self._open[-1]

    def push(self, bracket: int) -> None:
        """Open another one."""
        if len(self._open) < self._limit:
            self._open.append(bracket)
        else:
            self._beyond += 1

    def close(self, bracket: int) -> bool:
        """Close the innermost bracket of this kind and all within it. False if none is open."""
        if self._beyond:
            self._beyond -= 1
            return True
        at = self._open.rfind(bracket)
        del self._open[max(at, 0) if at >= 0 else len(self._open) :]
        return at >= 0


class Values(Window):
    """The values of one source, one after the other.

    Args:
        name: what the source is called in origins.
        read_block: reads at most so many bytes; an empty answer is the end.
        limit: the size in bytes over which a record is not held but rejected.
        is_part: whether the source is but a part of NDJSON, which begins with a line.
    """

    def __init__(self, name: str, read_block: Callable[[int], bytes], limit: int, *, is_part: bool) -> None:
        super().__init__(read_block)
        self._name = name
        self._limit = limit
        self.is_open = False  # whether the source ended within a value
        self._lines_seen = is_part  # a record stood on a line of its own: taken for NDJSON from then on
        self._closed = True  # whether the last value had its end

    def _object(self) -> Record:
        """The object at the position, most likely on a line of its own."""
        record = self._whole(None, _LINE_ENDS)
        self._lines_seen = self._lines_seen or record is not None
        return record or self._value(None)

    def _item(self, index: int) -> Record:
        """The item of an array at the position."""
        return self._whole(index, _ANYTHING) or self._value(index)

    def _whole(self, index: int | None, before: "re.Pattern[bytes]") -> RawRecord | None:
        """The object at the position, if it ends on its line, not too far away, and before what it should."""
        match = _whole_object().match(self._buffer, self._position)
        if match is None or match.end() - match.start() > self._limit or not before.match(self._buffer, match.end()):
            return None
        origin = self._here(index)
        self._position, self._closed = match.end(), True
        return RawRecord(origin, match[0])

    def _value(self, index: int | None) -> Record:
        """The value at the position. An object or array ends with its closing bracket, or where it must."""
        origin, held = self._here(index), Held(self._limit)
        self._held, self._mark = held, self._position
        byte = self._buffer[self._position]
        self._closed = True
        if byte in (OBJECT, ARRAY):
            self._position += 1
            self._follow(Brackets(byte, self._limit), in_array=index is not None)
            if index is None and self._closed:
                self._take_rest_of_line()
        elif byte == _QUOTE:
            self._position += 1
            self._closed = self._string()
        else:
            self._scalar()
        self._flush()
        self._held = None
        return self._record(origin, held)

    def _follow(self, brackets: Brackets, *, in_array: bool) -> None:
        """Move past the bracket that closes the outermost of `brackets`. Sets `_closed` to whether it is there."""
        lines, indent = 0, self._column() - 2
        last = brackets.inner
        self._closed = False
        while len(brackets):
            start = self._position
            self._position = match_end(_OUTSIDE, self._buffer, start)
            if self._position == len(self._buffer):
                last = _last_of(self._buffer[start:], last)
                if self._fill():
                    continue
                self.is_open = True
                return
            byte = self._buffer[self._position]
            if byte == _NEWLINE:
                last = _last_of(self._buffer[start : self._position], last)
                first = lines == 0 and not (len(brackets) == 1 and last == OBJECT)
                lines += 1
                space = self._take_space(self._limit)
                if self._is_restart(brackets.inner, last, in_array=in_array, first=first):
                    return
                self._hold(space)
            elif byte == _QUOTE:
                self._position += 1
                if not self._string():
                    if lines or in_array:
                        self._skip_broken(indent)
                    return
                last = byte
            elif byte in (OBJECT, ARRAY):
                self._position += 1
                brackets.push(byte)
                last = byte
            else:
                if not brackets.close(_OPENING[byte]) and in_array:
                    return
                self._position += 1
                last = byte
        self._closed = True
        self._lines_seen = self._lines_seen or (lines == 0 and not in_array)

    def _is_restart(self, inner: int, last: int, *, in_array: bool, first: bool) -> bool:
        """Whether the line that begins here can't go on with the value before it, so that that one is broken.

        `inner` is the innermost open bracket, `last` the byte before the line break. `first` marks the break
        after a first line that holds more than a bracket: one record a line, or pretty-printed?
        """
        if self._position == len(self._buffer):
            return False
        byte, column = self._buffer[self._position], self._column()
        if first and not in_array:
            while len(self._buffer) - self._position < _GOES_ON_LOOKAHEAD and self._fill():
                pass
            goes_on = column > 1 or _GOES_ON.match(self._buffer, self._position)
            return self._lines_seen or not goes_on
        opens = byte in (OBJECT, ARRAY)
        out_of_place = last not in _BEFORE_A_VALUE or (last == COMMA and inner == OBJECT)
        return opens and out_of_place and (in_array or column == 1)

    def _skip_broken(self, indent: int) -> None:
        """After a string without an end: take lines until one that stands no deeper opens or closes something."""
        while self._position < len(self._buffer) or self._fill():
            space = self._take_space(self._limit)
            if self._position < len(self._buffer) and self._column() - 1 <= indent:
                byte = self._buffer[self._position]
                if byte == END_OBJECT and self._column() - 1 == indent:
                    self._hold(space)
                    self._position += 1
                    return
                if byte in (OBJECT, ARRAY, END_OBJECT, END_ARRAY):
                    return
            self._hold(space)
            self._to_end_of_line()
        self.is_open = True

    def _string(self) -> bool:
        """Move past the end of a string. False if the line ends first."""
        while True:
            self._position = match_end(_INSIDE, self._buffer, self._position)
            if self._buffer[self._position : self._position + 2] in _STRING_GOES_ON:
                if not self._fill():
                    self._position = len(self._buffer)
                    return False
                continue
            byte = self._buffer[self._position]
            self._position += byte != _NEWLINE
            return byte == _QUOTE

    def _scalar(self) -> None:
        while True:
            self._position = match_end(_SCALAR, self._buffer, self._position)
            if self._position < len(self._buffer) or not self._fill():
                return

    def _take_rest_of_line(self) -> None:
        """What stands behind a value on its line belongs to it, and spoils it, unless it is another value."""
        space = self._take_space(self._limit, _BLANKS)
        if self._position < len(self._buffer) and self._buffer[self._position] not in _AFTER_A_VALUE:
            self._hold(space)
            self._to_end_of_line()

    def _line_as_it_is(self) -> Record:
        origin, held = self._here(), Held(self._limit)
        self._held, self._mark = held, self._position
        self._to_end_of_line()
        self._flush()
        self._held = None
        self._lines_seen = True
        return self._record(origin, held)

    def _here(self, index: int | None = None) -> Origin:
        return Origin(self._name, self._line, self._characters(), index)

    def _record(self, origin: Origin, held: Held) -> Record:
        data = held.data
        if self._damage and not self._closed:
            damage, self._damage = self._damage, None
            return unreadable(origin, damage, data)
        if data is not None:
            return RawRecord(origin, data.rstrip(b" \t\r\n"))
        problem = Problem(
            "record",
            "",
            f"a record of {held.size:,} bytes",
            f"at most {self._limit:,}",
            "raise --max-record-bytes if it is really one event",
        )
        return Rejection(origin, Stage.READ, Reason.OVERSIZED, (problem,), None)


def unreadable(origin: Origin, error: Exception, data: bytes | None) -> Rejection:
    """The rejection of a source that breaks off at `origin`; `data` is the half record that stood there."""
    what = str(error).rstrip(".") or type(error).__name__
    remedy = "what came before was taken; get a whole copy of the file and run again"
    problem = Problem("truncated", "", f"an unreadable rest ({what})", "", remedy)
    return Rejection(origin, Stage.READ, Reason.UNREADABLE, (problem,), data)


def _last_of(text: bytes, otherwise: int) -> int:
    text = text.rstrip(b" \t\r")
    return text[-1] if text else otherwise
