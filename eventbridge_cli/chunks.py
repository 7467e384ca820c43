"""What is sent: events in a row, held column by column, and the chunk that they travel in."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, overload

from msgspec import Struct

from eventbridge_cli.ascii_json import ascii_json
from eventbridge_cli.bulk import Checked, Lines, Named, Names, Rows
from eventbridge_cli.flow import Duplicate, Event, Origin, Rejection

ENVELOPE_OPEN = b'{"events":['
ENVELOPE_CLOSE = b"]}"


class _Listed(Struct):
    """An event as a receipt names it."""

    interaction_id: str
    event_type: str
    event_time: str
    origin: str


class Events(Sequence[Event]):
    """Events in a row, held column by column: an `Event` is made only when somebody looks at one.

    They are added until they are wrapped in a chunk, and stay as they are from then on.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[bytes] = []
        self._rows: list[Named] = []
        # Where the first of some lines in a row stands, and how many they are.
        self._runs: list[tuple[Origin, int]] = []
        self._raw: dict[int, bytes] = {}
        self._dropped: dict[int, tuple[str, ...]] = {}
        for event in events:
            self.add(event)

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Events":
        """`events` themselves, if they are such already."""
        return events if isinstance(events, cls) else cls(events)

    def add(self, event: Event) -> None:
        """Add one event."""
        if event.raw is not event.body:
            self._raw[len(self)] = event.raw
        if event.dropped:
            self._dropped[len(self)] = event.dropped
        self._runs.append((event.origin, 1))
        self.bodies.append(event.body)
        self.keys.append(event.key)
        self._rows.append(Names(event.interaction_id, event.event_type, event.event_time))

    def extend(self, checked: Checked, part: slice) -> None:
        """Add a part of the lines of `checked`, of which there is no more to say."""
        lines = checked.plain
        assert isinstance(lines, Lines)  # noqa: S101 - or there are none
        self._runs.append((Origin(lines.source, lines.first + part.start), part.stop - part.start))
        for index, original in lines.originals.items():
            if part.start <= index < part.stop:
                self._raw[len(self) + index - part.start] = original.raw
                self._dropped[len(self) + index - part.start] = original.dropped
        self.bodies += lines.records[part]
        self.keys += checked.keys[part]
        self._rows += checked.rows[part] if checked.rows else Rows.read(lines.records[part])

    @cached_property
    def joined_keys(self) -> bytes:
        """The keys, one behind the other."""
        return b"".join(self.keys)

    @cached_property
    def dropped(self) -> Counter[str]:
        """How many events have lost which field, since the schema does not know it."""
        return Counter(name for names in self._dropped.values() for name in names)

    @cached_property
    def places(self) -> list[str]:
        """Where they stand, in short: neighbours become a range, as in `calls.ndjson:1-100`."""
        spans: list[tuple[str, bool, int, int]] = []
        for origin, size in self._runs:
            indexed = origin.index is not None
            number = origin.line if origin.index is None else origin.index
            if spans and spans[-1][:2] == (origin.source, indexed) and number == spans[-1][3] + 1:
                spans[-1] = (*spans[-1][:3], number + size - 1)
            else:
                spans.append((origin.source, indexed, number, number + size - 1))
        return [_span(*span) for span in spans]

    @cached_property
    def entries(self) -> bytes:
        """How the ledger names them: a JSON array with the place, the interaction and the key of each."""
        ids = [row.interactionId for row in self._rows]
        return ascii_json(list(zip(self._places, ids, [key.hex() for key in self.keys], strict=True)))

    @cached_property
    def listed(self) -> bytes:
        """How a receipt names them: a JSON array with an object for each, packed, since it waits in the outbox so."""
        from eventbridge_cli.packing import packed  # noqa: PLC0415 - only for those who have a data lake

        rows = zip(self._rows, self._places, strict=True)
        return packed(
            ascii_json([_Listed(row.interactionId, row.eventType, row.eventTime, place) for row, place in rows])
        )

    def list_now(self) -> None:
        """Make `listed`, so that it is ready wherever they are shipped to."""
        len(self.listed)

    @cached_property
    def _places(self) -> list[str]:
        """Where each of them stands."""
        places: list[str] = []
        for origin, size in self._runs:
            source, first = origin.source, origin.line
            if origin.index is None:
                places += [f"{source}:{line}" for line in range(first, first + size)]
            else:
                places.append(str(origin))
        return places

    def shipped(self) -> dict[str, Any]:
        """What another process is given of them beside their chunk's body, from which all else can be read again."""
        ready = {name: getattr(self, name) for name in ("joined_keys", "entries", "places", "dropped")}
        if "listed" in self.__dict__:
            ready["listed"] = self.listed
        lengths = array("L", map(len, self.bodies))
        return ready | {"_lengths": lengths, "_runs": self._runs, "_raw": self._raw, "_dropped": self._dropped}

    def __len__(self) -> int:
        return len(self.bodies)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Event, ...]: ...
    def __getitem__(self, index: int | slice) -> Event | tuple[Event, ...]:
        return self._made[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._made)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._made == tuple(other)

    def __hash__(self) -> int:
        return hash(self._made)

    @cached_property
    def _made(self) -> tuple[Event, ...]:
        rows = zip(self._origins(), self.bodies, self._rows, self.keys, strict=True)
        return tuple(
            Event(
                *(origin, self._raw.get(index, body), body),
                *(row.interactionId, row.eventType, row.eventTime),
                *(self._dropped.get(index, ()), key),
            )
            for index, (origin, body, row, key) in enumerate(rows)
        )

    def _origins(self) -> Iterator[Origin]:
        for origin, size in self._runs:
            yield origin
            for line in range(origin.line + 1, origin.line + size):
                yield Origin(origin.source, line)


class _ShippedEvents(Events):
    """Events that another process made. What did not travel is read from the body when somebody asks: hardly ever."""

    _lengths: "array[int]"
    _body: bytes

    def __init__(self, body: bytes, shipped: dict[str, Any]) -> None:
        self.__dict__.update(shipped, _body=body)

    def __len__(self) -> int:
        return len(self._lengths)

    def __getattr__(self, name: str) -> Any:
        if name == "bodies":
            ends = accumulate(self._lengths, lambda end, length: end + 1 + length, initial=len(ENVELOPE_OPEN) - 1)
            self.bodies = [self._body[start + 1 : end] for start, end in pairwise(ends)]
        elif name == "keys":
            size = len(self.joined_keys) // len(self)
            self.keys = [self.joined_keys[start : start + size] for start in range(0, size * len(self), size)]
        elif name == "_rows":
            self._rows = Rows.read(self.bodies)
        else:
            raise AttributeError(name)
        return self.__dict__[name]


class Chunk(Struct, frozen=True, dict=True):
    """Events that travel in one request, with the bytes that were measured and are sent."""

    events: Events
    body: bytes

    def __repr__(self) -> str:
        return f"Chunk({', '.join(self.events.places)}, {len(self.body):,} bytes)"

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Chunk":
        """Wrap `events` in the platform's envelope."""
        events = Events.of(events)
        return cls(events, ENVELOPE_OPEN + b",".join(events.bodies) + ENVELOPE_CLOSE)

    @cached_property
    def sha256(self) -> str:
        """Of the body, in hexadecimal."""
        return sha256(self.body).hexdigest()

    @cached_property
    def request_id(self) -> str:
        """The `X-Request-Id`: a UUID (version 8, RFC 9562) of the first bits of the body's SHA-256.

        The same body has the same id over every retry, run and machine.
        """
        digits = self.sha256
        variant = "89ab"[int(digits[16], base=16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"

    def __reduce__(self) -> tuple[object, ...]:
        return _shipped, (self.body, self.events.shipped())


Item = Chunk | Rejection | Duplicate
"""What comes out of the intake to be sent or accounted for."""


def _shipped(body: bytes, events: dict[str, Any]) -> Chunk:
    return Chunk(_ShippedEvents(body, events), body)


def _span(source: str, indexed: bool, first: int, last: int) -> str:  # noqa: FBT001
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{source}[{numbers}]" if indexed else f"{source}:{numbers}"
