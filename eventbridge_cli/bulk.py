"""Neighbouring records that travel together, column by column: Python then takes a fraction of the time for each.

Lines and items come from the cutter and are checked. Whoever looks at a single one gets it as the noun that it is
(`flow`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from eventbridge_cli.flow import Duplicate, Event, Origin, Outcome

if TYPE_CHECKING:
    from array import array

# Made in bulk, named tuples cost a third of what a call for each costs.
_NEW_ORIGIN: Callable[[tuple[object, ...]], Origin] = partial(tuple.__new__, Origin)
_NEW_EVENT: Callable[[tuple[object, ...]], Event] = partial(tuple.__new__, Event)


class WrittenLines(Sequence[bytes], ABC):
    """Lines that stand somewhere as they are to be written, so that nobody needs to take them apart for that."""

    @abstractmethod
    def written(self, start: int, stop: int) -> bytes:
        """The lines from one to another, with a line break behind each."""


class Original(NamedTuple):
    """A record as it was read that is not sent so: without line breaks, or without unknown fields.

    `dropped` names those fields, with dots.
    """

    raw: bytes
    dropped: tuple[str, ...]


_NO_ORIGINALS: Mapping[int, Original] = {}


class Lines(NamedTuple):
    """Neighbouring lines of NDJSON, each a record from its `{` to its `}`.

    `first` is the number of the first one, which begins at byte `start` of what was read. `records` are as they are
    sent; `originals` has those, by index, that were read otherwise.
    """

    source: str
    first: int
    records: Sequence[bytes]
    start: int = 0
    originals: Mapping[int, Original] = _NO_ORIGINALS

    @property
    def raws(self) -> Sequence[bytes]:
        """The records as they were read."""
        return _raws(self.records, self.originals)

    def moved(self, lines: int) -> "Lines":
        """The same, so many lines further down."""
        return self._replace(first=self.first + lines)

    def origins(self) -> Iterator[Origin]:
        """Where each record stands."""
        return map(_NEW_ORIGIN, zip(repeat(self.source), count(self.first), repeat(1), repeat(None), strict=False))


class Items(NamedTuple):
    """Neighbouring items of an array, or pretty-printed values; `first` is the index of the first item.

    `text` is what they were cut from, from the first one's `{` on, which stands at `line` and `column`. `records` are
    as they are sent; `originals` has those, by index, that were read otherwise.
    """

    source: str
    first: int | None
    records: list[bytes]
    text: bytes
    line: int
    column: int
    originals: Mapping[int, Original] = _NO_ORIGINALS

    @property
    def raws(self) -> Sequence[bytes]:
        """The records as they were read."""
        return _raws(self.records, self.originals)

    def moved(self, lines: int) -> "Items":
        """The same, so many lines further down."""
        return self._replace(line=self.line + lines)

    @property
    def end(self) -> int:
        """Where in `text` the last of them ends."""
        return max((end for _, end in self._spans()), default=0)

    def origins(self) -> Iterator[Origin]:
        """Where each record stands."""
        line, column, counted = self.line, self.column, 0
        for number, (start, _) in enumerate(self._spans()):
            if newlines := self.text.count(b"\n", counted, start):
                line, column = line + newlines, 1
                counted = self.text.rfind(b"\n", counted, start) + 1
            column += len(self.text[counted:start].decode())
            counted = start
            yield Origin(self.source, line, column, None if self.first is None else self.first + number)

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Where in `text` each of them begins and ends."""
        end = 0
        for record in self.raws:
            start = self.text.index(b"{", end)
            end = start + len(record)
            yield start, end


def _raws(records: Sequence[bytes], originals: Mapping[int, Original]) -> Sequence[bytes]:
    if not originals:
        return records
    raws = list(records)
    for index, original in originals.items():
        raws[index] = original.raw
    return raws


class Named(Protocol):
    """What has the fields by which an event is known, under the wire's own names."""

    interactionId: str  # noqa: N815
    eventType: str  # noqa: N815
    eventTime: str  # noqa: N815


class Names(msgspec.Struct, gc=False):
    """Those fields, and nothing else."""

    interactionId: str  # noqa: N815
    eventType: str  # noqa: N815
    eventTime: str  # noqa: N815


_read_names = msgspec.json.Decoder(Names).decode


class Rows(list[Named]):
    """The names of neighbouring events. To another process they travel column by column, which takes less time."""

    @classmethod
    def read(cls, records: Sequence[bytes]) -> "Rows":
        """The names that stand in events."""
        return cls(map(_read_names, records))

    def columns(self) -> tuple[list[str], list[str], list[str]]:
        """Interactions, types, and times as they were written."""
        ids = [row.interactionId for row in self]
        return ids, [row.eventType for row in self], [row.eventTime for row in self]

    def __reduce__(self) -> tuple[object, ...]:
        return _rows, self.columns()


def _rows(*columns: list[str]) -> Rows:
    return Rows(map(Names, *columns))


class Copies(Mapping[int, Duplicate], ABC):
    """The copies among plain records, by index and in order. A `Duplicate` is made when somebody looks at one."""

    @property
    @abstractmethod
    def conflicts(self) -> int:
        """How many of them differ in their content from the first."""


class Checked(NamedTuple):
    """Neighbouring records after the check.

    Most stand in `plain`, valid as they are, with a key and the checksum of the content for each if they were asked
    for; `outcomes` has those, by their index, of which there is more to say. Where `plain` is None, all are there.
    `rows` may be left out: then names are read from the records once more.
    """

    plain: Lines | Items | None
    size: int
    outcomes: Mapping[int, Outcome]
    rows: Rows | None = None
    keys: Sequence[bytes] = ()
    contents: "Sequence[int] | array[int]" = ()

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Checked":
        """Records that are looked at one by one."""
        return cls(None, len(outcomes), dict(enumerate(outcomes)))

    def all(self) -> list[Outcome]:
        """Every record's outcome, in order."""
        if self.plain is None:
            return list(self.outcomes.values())
        bodies, raws = self.plain.records, self.plain.raws
        dropped: list[tuple[str, ...]] = [()] * self.size
        for index, original in self.plain.originals.items():
            dropped[index] = original.dropped
        names = (self.rows or Rows.read(bodies)).columns()
        events = zip(self.plain.origins(), raws, bodies, *names, dropped, self.keys, self.contents, strict=False)
        all_of_them: list[Outcome] = list(map(_NEW_EVENT, events))
        for index, outcome in self.outcomes.items():
            all_of_them[index] = outcome
        return all_of_them

    def event(self, index: int) -> Event:
        """The event on a line."""
        assert isinstance(self.plain, Lines)  # noqa: S101 - or there are no lines
        origin = Origin(self.plain.source, self.plain.first + index)
        body = self.plain.records[index]
        raw, dropped = self.plain.originals.get(index) or (body, ())
        row = self.rows[index] if self.rows else _read_names(body)
        names = row.interactionId, row.eventType, row.eventTime
        return Event(origin, raw, body, *names, dropped, self.keys[index], self.contents[index])

    def moved(self, lines: int) -> "Checked":
        """The same, so many lines further down. No copies are known yet."""
        outcomes: dict[int, Outcome] = {}
        for index, outcome in self.outcomes.items():
            assert not isinstance(outcome, Duplicate)  # noqa: S101
            outcomes[index] = outcome.moved(lines)
        return self._replace(plain=self.plain and self.plain.moved(lines), outcomes=outcomes)

    def in_order(self) -> list[tuple[int, Outcome]]:
        """The outcomes with their indices, in the order of the records."""
        return sorted(self.outcomes.items(), key=itemgetter(0))

    def bodies(self, size: int) -> bytes:
        """What is written of the valid ones among the first `size` records, with a line break behind each."""
        records = self.plain.records if self.plain else ()
        pieces: list[bytes] = []
        done = 0
        for index in sorted(self.outcomes):
            if index >= size:
                break
            if done < index:
                pieces.append(_on_lines(records, done, index))
            if not isinstance(self.outcomes, Copies) and isinstance(outcome := self.outcomes[index], Event):
                pieces += (outcome.body, b"\n")
            done = index + 1
        pieces.append(_on_lines(records, done, size))
        return b"".join(pieces)


def _on_lines(records: Sequence[bytes], start: int, stop: int) -> bytes:
    if isinstance(records, WrittenLines):
        return records.written(start, stop)
    return b"\n".join([*records[start:stop], b""])
