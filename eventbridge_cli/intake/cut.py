"""Cut a stream of bytes into records, whatever their layout: NDJSON, arrays, envelopes, pretty-printed JSON.

The layout is told by content, value by value, so that files which were joined by `cat` are fine. Nothing here
judges JSON: brackets and strings are followed only as far as it takes to find where a record ends, so that each
record keeps its own bytes. One that has no end is cut off where the next one visibly begins.
"""

import re
from collections.abc import Callable, Generator, Iterator
from functools import cache
from typing import Protocol

from eventbridge_cli.bulk import Checked, Items, Lines
from eventbridge_cli.flow import Origin, Problem, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.sources import BLOCK
from eventbridge_cli.intake.window import SPACE, Held, Window, match_end

MAX_RECORD_BYTES = 1_000_000

Record = RawRecord | Rejection

_OBJECT, _END_OBJECT, _ARRAY, _END_ARRAY = b"{}[]"
_QUOTE, _NEWLINE, _COMMA, _COLON, _RETURN = b'"\n,:\r'
_OPENING = {_END_OBJECT: _OBJECT, _END_ARRAY: _ARRAY}

_ENVELOPE = re.compile(rb'\{[ \t\r\n]*+"events"[ \t\r\n]*+:[ \t\r\n]*+\[')
_ENVELOPE_SO_FAR = re.compile(
    rb'\{[ \t\r\n]*+(?:"(?:e(?:v(?:e(?:n(?:t(?:s(?:"[ \t\r\n]*+(?::[ \t\r\n]*+)?)?)?)?)?)?)?)?)?'
)
# How far the fast way looks ahead, in bytes: little behind a line that had to be looked at, more with each success.
_FIRST_STRIDE = 4096
_STRIDE_GROWTH = 8
_MOST_CAREFUL = 256
_REST_IS_CLEAN = re.compile(rb"[ \t\r]*+(?:[\n\[{]|$)")
_LINE_ENDS = re.compile(rb"[ \t\r]*+\n")
_ANYTHING = re.compile(rb".", re.DOTALL)
# All up to the next bracket or line break, whole strings included; and the rest of a string.
_OUTSIDE = re.compile(rb'(?:[^"{}\[\]\n]++|"(?:[^"\\\n]++|\\[^\n])*+")*+')
_INSIDE = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+')
_NEXT_ITEM = re.compile(rb"\},[ \t\r\n]*+(?:\{|$)")
_MOST_GUESSES = 20
_SCALAR = re.compile(rb'[^,\[\]{" \t\r\n]*+')
# What a line in the middle of a value may begin with, far left; `{` begins the next record there.
_GOES_ON = re.compile(rb'["}\],:\[]|-?[0-9]|(?:true|false|null)\b')
_GOES_ON_LOOKAHEAD = len(b"false ")
_NESTED = 4  # levels below a record's own; the pattern's length doubles with each
_BEFORE_A_VALUE = b"[,:"
_AFTER_A_VALUE = b"\n[{"  # on the line on which it ends
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_UTF16_SAMPLE = 64  # bytes in which text in UTF-16 has a zero byte: JSON's brackets and quotes have one each


@cache
def _whole_object() -> "re.Pattern[bytes]":
    """An object on one line, nested a few times at most: found so in a third of the time that following it takes."""
    inside = plain = rb'[^"{}\[\]\n]++|"(?:[^"\\\n]++|\\[^\n])*+"'
    for _ in range(_NESTED):
        inside = rb"%b|\{(?:%b)*+\}|\[(?:%b)*+\]" % (plain, inside, inside)
    return re.compile(rb"\{(?:%b)*+\}" % inside)


class Glance(Protocol):
    """Knows at a glance which records are plainly valid: they need no cutting."""

    def lines(self, lines: Lines) -> Checked:
        """The first of some lines, as far as they are plainly valid."""
        ...

    def items(self, source: str, first: int, text: bytes, line: int, column: int) -> Checked | None:
        """The first items that `text` holds, as far as they are plainly valid; None if its end is none of an item.

        Args:
            source: what the source is called.
            first: the index of the first item in its array.
            text: items with commas between them.
            line: the line on which it begins.
            column: the column, in characters.
        """
        ...


class _Brackets:
    """The open brackets of a value. Past `limit` they are only counted: such a record is too deep anyway."""

    def __init__(self, first: int, limit: int) -> None:
        self._open = bytearray((first,))
        self._limit = limit
        self._beyond = 0

    def __len__(self) -> int:
        return len(self._open) + self._beyond

    @property
    def inner(self) -> int:
        return self._open[-1]

    def push(self, bracket: int) -> None:
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


class Cutter(Window):
    """Cuts the blocks of one source into records.

    Args:
        name: what the source is called in origins.
        read_block: reads at most so many bytes; an empty answer is the end.
        limit: the size in bytes over which a record is not held but rejected.
        glance: is asked about the records ahead before they are cut.
        is_part: whether the source is but a part of NDJSON, which begins with a line.
    """

    def __init__(
        self,
        name: str,
        read_block: Callable[[int], bytes],
        limit: int,
        *,
        glance: Glance | None = None,
        is_part: bool = False,
    ) -> None:
        super().__init__(read_block)
        self._name = name
        self._limit = limit
        self._glance = glance
        self.within_array = False
        self.is_open = False  # whether the source ended within a value
        self._stride = BLOCK if is_part else _FIRST_STRIDE  # how far ahead to look at a glance, in bytes
        self._careful = 0  # how many values are to be cut before the next glance
        self._in_vain = 0  # glances in a row that took nothing
        self._lines_seen = is_part  # a record stood on a line of its own: taken for NDJSON from then on
        self._closed = True  # whether the last value had its end

    def records(self) -> Iterator[Checked | Record]:
        """All records of the source. Lazy: reads no more than it needs for the next one."""
        if not self._lines_seen:
            if self._is_utf16():
                yield self._not_utf8()
                return
            if self._buffer.startswith(_UTF8_BOM):
                self._position = self._line_start = len(_UTF8_BOM)
        while self._skip_space():
            if self._glance is not None and not self._careful and self._column() == 1:
                yield from self._plain_lines(self._glance)
            else:
                self._careful = max(self._careful - 1, 0)
                yield from self._next_value()
        if self._damage:
            yield unreadable(self._here(), self._damage, None)

    # Layouts

    @property
    def offset(self) -> int:
        """How many bytes of the source have been cut."""
        return self._base + self._position

    @property
    def lines(self) -> int:
        """How many line breaks those have."""
        return self._line - 1

    def _is_utf16(self) -> bool:
        while len(self._buffer) < _UTF16_SAMPLE and b"\n" not in self._buffer and self._fill():
            pass
        return self._buffer.startswith(_UTF16_BOMS) and b"\0" in self._buffer[:_UTF16_SAMPLE]

    def _plain_lines(self, glance: Glance) -> Iterator[Checked]:
        """The fast way through NDJSON: the lines ahead, as far as they are plainly valid."""
        start = self._position
        end = self._buffer.rfind(b"\n", start, start + self._stride)
        if end < 0:
            end = self._buffer.find(b"\n", start)
        if end < 0:
            if len(self._buffer) - start > self._limit or not self._fill():
                self._careful = 1
            return
        lines = self._buffer[start:end].split(b"\n")
        if end - start > self._limit and max(map(len, lines)) > self._limit:
            lines = lines[: next(index for index, line in enumerate(lines) if len(line) > self._limit)]
        records = lines
        if self._buffer.find(b"\r", start, end) >= 0:
            records = [line.removesuffix(b"\r") for line in lines]
            records = records[: next((index for index, line in enumerate(records) if b"\r" in line), None)]
        checked = glance.lines(Lines(self._name, self._line, records, self.offset))
        if checked.size == len(lines):
            self._took_all()
            self._position = end + 1
        else:
            self._ended_early(checked.size)
            self._position += sum(map(len, lines[: checked.size])) + checked.size
        if checked.size:
            self._lines_seen = True
            self._line += checked.size
            self._line_start = self._base + self._position
            yield checked

    def _took_all(self) -> None:
        """A glance took all that it was shown: let the next one look further."""
        self._stride *= _STRIDE_GROWTH
        self._in_vain = 0

    def _ended_early(self, size: int) -> None:
        """A glance took no more than `size` records. The more often it took none, the later comes the next one."""
        self._stride = _FIRST_STRIDE
        self._in_vain = 0 if size else self._in_vain + 1
        self._careful = min(2**self._in_vain, _MOST_CAREFUL)

    def _next_value(self) -> Iterator[Checked | Record]:
        first = self._buffer[self._position]
        if first == _ARRAY and self._is_array_of_events():
            self._position += 1
            yield from self._items()
        elif first == _OBJECT and (length := self._envelope_length()):
            self._advance(self._position + length)
            if (yield from self._items()):
                yield from self._rest_of_envelope()
        elif first == _OBJECT:
            yield self._object()
        else:
            yield self._line_as_it_is()

    def _is_array_of_events(self) -> bool:
        """Whether the `[` here opens a list of records; among lines of NDJSON, `[1, 2]` is one (bad) record."""
        if not self._lines_seen:
            return True
        while True:
            end = match_end(SPACE, self._buffer, self._position + 1)
            if end < len(self._buffer):
                return self._buffer[end] in (_OBJECT, _END_ARRAY)
            if not self._fill():
                return False

    def _envelope_length(self) -> int:
        """How long the `{"events": [` here is; 0 if there is none."""
        while True:
            if match := _ENVELOPE.match(self._buffer, self._position):
                return match.end() - self._position
            if not _ENVELOPE_SO_FAR.fullmatch(self._buffer, self._position) or not self._fill():
                return 0

    def _items(self) -> Generator[Checked | Record, None, bool]:
        """The items of an array whose `[` has been taken. Returns whether the array was closed."""
        index = 0
        self.within_array = True
        wants_value, after_comma, mended = True, False, False
        while self._skip_space():
            byte = self._buffer[self._position]
            if byte == _END_ARRAY:
                if after_comma and not mended:
                    yield self._misplaced("a comma before the closing bracket")
                self._position += 1
                self.within_array = False
                return True
            if byte == _COMMA:
                if wants_value and not mended:
                    yield self._misplaced("a comma where a value belongs")
                self._position += 1
                wants_value, after_comma, mended = True, True, False
                continue
            if not wants_value and not mended:
                yield self._misplaced("no comma between two values")
            if self._glance is not None and not self._careful:
                checked = self._plain_items(self._glance, index)
                if checked is not None:
                    yield checked
                    index += checked.size
                    wants_value, after_comma, mended = False, False, False
                    continue
            self._careful = max(self._careful - 1, 0)
            yield self._item(index)
            index += 1
            wants_value, after_comma, mended = False, False, not self._closed
        self.is_open = True
        if not self._damage and (wants_value or not mended):
            yield self._misplaced("the end of the file inside an array")
        return False

    def _plain_items(self, glance: Glance, index: int) -> Checked | None:
        """The fast way through an array: the items ahead, as far as they are plainly valid; None if none is."""
        if self._position + min(self._stride, BLOCK) > len(self._buffer):
            self._fill()
        origin = self._here(index)
        for end in self._ends_of_items():
            text = self._buffer[self._position : end]
            checked = glance.items(self._name, index, text, origin.line, origin.column)
            if checked is not None and checked.size and isinstance(checked.plain, Items):
                if max(map(len, checked.plain.records)) > self._limit:
                    break
                self._took_all()
                self._advance(self._position + checked.plain.end)
                return checked
        self._ended_early(0)
        return None

    def _ends_of_items(self) -> Iterator[int]:
        """Where the last item that is looked at may end; the items of an array within an item look the same."""
        end = self._position + self._stride
        for _ in range(_MOST_GUESSES):
            end = self._buffer.rfind(b"},", self._position, end)
            if end < 0:
                return
            if _NEXT_ITEM.match(self._buffer, end):
                yield end + 1

    def _rest_of_envelope(self) -> Iterator[Record]:
        """Pass over what follows the array of `{"events": [...]`, up to the closing brace."""
        self._held = Held(0)
        self._mark = self._position
        self._follow(_Brackets(_OBJECT, self._limit), in_array=True)
        self._held = None
        self.is_open = not self._closed
        if self.is_open and not self._damage:
            yield self._misplaced("the end of the file inside an object")

    # Values

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
        if byte in (_OBJECT, _ARRAY):
            self._position += 1
            self._follow(_Brackets(byte, self._limit), in_array=index is not None)
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

    def _follow(self, brackets: _Brackets, *, in_array: bool) -> None:
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
                first = lines == 0 and not (len(brackets) == 1 and last == _OBJECT)
                lines += 1
                self._flush()
                space = self._take_line_break()
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
            elif byte in (_OBJECT, _ARRAY):
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
        opens = byte in (_OBJECT, _ARRAY)
        out_of_place = last not in _BEFORE_A_VALUE or (last == _COMMA and inner == _OBJECT)
        return opens and out_of_place and (in_array or column == 1)

    def _skip_broken(self, indent: int) -> None:
        """After a string without an end: take lines until one that stands no deeper opens or closes something."""
        while self._position < len(self._buffer) or self._fill():
            self._flush()
            space = self._take_line_break()
            if self._position < len(self._buffer) and self._column() - 1 <= indent:
                byte = self._buffer[self._position]
                if byte == _END_OBJECT and self._column() - 1 == indent:
                    self._hold(space)
                    self._position += 1
                    return
                if byte in (_OBJECT, _ARRAY, _END_OBJECT, _END_ARRAY):
                    return
            self._hold(space)
            self._to_end_of_line()
        self.is_open = True

    def _string(self) -> bool:
        """Move past the end of a string. False if the line ends first."""
        while True:
            self._position = match_end(_INSIDE, self._buffer, self._position)
            if len(self._buffer) - self._position < len(b"\\n"):
                if self._position < len(self._buffer) and self._buffer[self._position] == _QUOTE:
                    self._position += 1
                    return True
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
        while True:
            match = _REST_IS_CLEAN.match(self._buffer, self._position)
            if match is None:
                self._to_end_of_line()
                return
            if self._buffer[match.end() - 1] in _AFTER_A_VALUE or not self._fill():
                return

    def _line_as_it_is(self) -> Record:
        origin, held = self._here(), Held(self._limit)
        self._held, self._mark = held, self._position
        self._to_end_of_line()
        self._flush()
        self._held = None
        self._lines_seen = True
        return self._record(origin, held)

    # Outcomes

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

    def _misplaced(self, found: str) -> Rejection:
        problem = Problem("array", "", found, "values with commas between them", "mend the file at this place")
        return Rejection(self._here(), Stage.READ, Reason.INVALID_JSON, (problem,), None)

    def _not_utf8(self) -> Rejection:
        problem = Problem(
            "utf16", "", "a file in UTF-16", "UTF-8", "convert it, for example with iconv -f UTF-16 -t UTF-8"
        )
        return Rejection(self._here(), Stage.READ, Reason.INVALID_ENCODING, (problem,), None)


def unreadable(origin: Origin, error: Exception, data: bytes | None) -> Rejection:
    """The rejection of a source that breaks off at `origin`; `data` is the half record that stood there."""
    what = str(error).rstrip(".") or type(error).__name__
    remedy = "what came before was taken; get a whole copy of the file and run again"
    problem = Problem("truncated", "", f"an unreadable rest ({what})", "", remedy)
    return Rejection(origin, Stage.READ, Reason.UNREADABLE, (problem,), data)


def _last_of(text: bytes, otherwise: int) -> int:
    text = text.rstrip(b" \t\r")
    return text[-1] if text else otherwise
