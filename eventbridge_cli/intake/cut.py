"""Cut a stream of bytes into records, whatever their layout: NDJSON, arrays, envelopes, pretty-printed JSON.

The layout is told by content, value by value, so that files which were joined by `cat` are fine. Before anything is
cut, somebody may know at a glance that much of what is ahead needs no cutting.
"""

import re
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from eventbridge_cli.bulk import Checked, Items, Lines
from eventbridge_cli.flow import Problem, Reason, Rejection, Stage
from eventbridge_cli.intake.envelope import ENVELOPE, ENVELOPE_SO_FAR, fault_behind_events
from eventbridge_cli.intake.sources import BLOCK
from eventbridge_cli.intake.spacing import PRETTY_BEGIN, PRETTY_END
from eventbridge_cli.intake.values import ARRAY, COMMA, END_ARRAY, OBJECT, Brackets, Record, Values, unreadable
from eventbridge_cli.intake.window import SPACE, Held, match_end

MAX_RECORD_BYTES = 1_000_000

# How far a glance looks ahead, in bytes: little behind a record that had to be cut, more with each success.
_FIRST_STRIDE = 4096
_STRIDE_GROWTH = 8
_MOST_CAREFUL = 256
_NEXT_ITEM = re.compile(rb"\},[ \t\r\n]*+(?:\{|$)")
_MOST_GUESSES = 20
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_UTF16_SAMPLE = 64  # bytes in which text in UTF-16 has a zero byte: JSON's brackets and quotes have one each


class Glance(Protocol):
    """Knows at a glance which records are plainly valid: they need no cutting."""

    def lines(self, lines: Lines) -> Checked:
        """The first of some lines, as far as they are plainly valid."""
        ...

    def items(self, source: str, first: int | None, text: bytes, line: int, column: int) -> Checked | None:
        """The first items that `text` holds, as far as they are plainly valid; None if its end is none of an item.

        Args:
            source: what the source is called.
            first: the index of the first item in its array; None where they are values of their own.
            text: items with commas between them, or pretty-printed values, of which each begins and ends with a
                bracket on a line of its own.
            line: the line on which it begins.
            column: the column, in characters.
        """
        ...


class Cutter(Values):
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
        super().__init__(name, read_block, limit, is_part=is_part)
        self._glance = glance
        self._lookahead = max(limit, BLOCK)  # bytes in which a layout has to show itself
        self.within_array = False
        self._stride = BLOCK if is_part else _FIRST_STRIDE  # how far ahead to look at a glance, in bytes
        self._careful = 0  # how many values are to be cut before the next glance
        self._in_vain = 0  # glances in a row that took nothing

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
                if self._buffer.startswith(PRETTY_BEGIN, self._position):
                    yield from filter(None, [self._plain_items(self._glance, None)])
                else:
                    yield from self._plain_lines(self._glance)
            else:
                self._careful = max(self._careful - 1, 0)
                yield from self._next_value()
        if self._damage:
            yield unreadable(self._here(), self._damage, None)

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
        lines = records = self._buffer[start:end].split(b"\n")
        if self._buffer.find(b"\r", start, end) >= 0:
            records = [line.removesuffix(b"\r") for line in lines]
            records = records[: next((index for index, line in enumerate(records) if b"\r" in line), None)]
        if end - start > self._limit and max(map(len, lines)) > self._limit:
            records = records[: next(index for index, line in enumerate(lines) if len(line) > self._limit)]
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
        if first == ARRAY and self._is_array_of_events():
            self._position += 1
            yield from self._items()
        elif first == OBJECT and (length := self._envelope_length()):
            self._advance(self._position + length)
            if (yield from self._items()):
                yield from self._rest_of_envelope()
        elif first == OBJECT:
            yield self._object()
        else:
            yield self._line_as_it_is()

    def _is_array_of_events(self) -> bool:
        """Whether the `[` here opens a list of records; among lines of NDJSON, `[1, 2]` is one (bad) record."""
        if not self._lines_seen:
            return True
        while True:
            end = match_end(SPACE, self._buffer, self._position + 1)
            if end - self._position > self._lookahead:
                return True  # in a list, white space is no part of any record
            if end < len(self._buffer):
                return self._buffer[end] in (OBJECT, END_ARRAY)
            if not self._fill():
                self.is_open = True  # what would tell may stand in the next part
                return False

    def _envelope_length(self) -> int:
        """How long the `{"events": [` here is; 0 if there is none, or none that shows itself soon enough."""
        while True:
            end = self._position + self._lookahead
            if match := ENVELOPE.match(self._buffer, self._position, end):
                return match.end() - self._position
            so_far = ENVELOPE_SO_FAR.fullmatch(self._buffer, self._position)
            if so_far is None or len(self._buffer) >= end or not self._fill():
                return 0

    def _items(self) -> Generator[Checked | Record, None, bool]:
        """The items of an array whose `[` has been taken. Returns whether the array was closed."""
        index = 0
        self.within_array = True
        wants_value, after_comma, mended = True, False, False
        while self._skip_space():
            byte = self._buffer[self._position]
            if byte == END_ARRAY:
                if after_comma and not mended:
                    yield self._misplaced("a comma before the closing bracket")
                self._position += 1
                self.within_array = False
                return True
            if byte == COMMA:
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

    def _plain_items(self, glance: Glance, index: int | None) -> Checked | None:
        """The fast way through an array, or pretty-printed values: what is plainly valid ahead; None if nothing is."""
        if self._position + min(self._stride, BLOCK) > len(self._buffer):
            self._fill()
        origin = self._here(index)
        for end in self._ends_of_values() if index is None else self._ends_of_items():
            text = self._buffer[self._position : end]
            checked = glance.items(self._name, index, text, origin.line, origin.column)
            if checked is not None and checked.size and isinstance(checked.plain, Items):
                if max(map(len, checked.plain.raws)) > self._limit:
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

    def _ends_of_values(self) -> Iterator[int]:
        """Where the last pretty-printed value that is looked at ends."""
        end = self._buffer.rfind(PRETTY_END, self._position, self._position + self._stride)
        if end < 0:
            end = self._buffer.find(PRETTY_END, self._position)
        if end >= 0:
            yield end + len(PRETTY_END) - 1

    def _rest_of_envelope(self) -> Iterator[Record]:
        """Pass over what follows the array of `{"events": [...]`, up to the closing brace; it has to be JSON."""
        origin, held = self._here(), Held(self._limit)
        self._held, self._mark = held, self._position
        self._follow(Brackets(OBJECT, self._limit), in_array=True)
        self._flush()
        self._held = None
        self.is_open = not self._closed
        if self.is_open and not self._damage:
            yield self._misplaced("the end of the file inside an object")
        elif self._closed and (fault := fault_behind_events(held.data)):
            yield Rejection(origin, Stage.READ, Reason.INVALID_JSON, (fault,), held.data)

    def _misplaced(self, found: str) -> Rejection:
        problem = Problem("array", "", found, "values with commas between them", "mend the file at this place")
        return Rejection(self._here(), Stage.READ, Reason.INVALID_JSON, (problem,), None)

    def _not_utf8(self) -> Rejection:
        problem = Problem(
            "utf16", "", "a file in UTF-16", "UTF-8", "convert it, for example with iconv -f UTF-16 -t UTF-8"
        )
        return Rejection(self._here(), Stage.READ, Reason.INVALID_ENCODING, (problem,), None)
