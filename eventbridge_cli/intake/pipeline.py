"""The intake as one chain: read, validate, dedupe, chunk. Each command stops it at the point it needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eventbridge_cli.flow import Chunk, DeliveredKeys, Duplicate, Event, RawRecord, Rejection
from eventbridge_cli.intake.chunk import MAX_BYTES, MAX_EVENTS, chunk
from eventbridge_cli.intake.dedupe import DeduplicationCache, Key, dedupe, skip_delivered
from eventbridge_cli.intake.read import MAX_RECORD_BYTES, read
from eventbridge_cli.intake.sources import Meter, Source
from eventbridge_cli.intake.validate import validate


class Reader(Protocol):
    """How records come out of sources: `read`, or for dead letters `Letters`."""

    def __call__(
        self, sources: Sequence[Source], *, meter: Meter, max_record_bytes: int
    ) -> Iterator[RawRecord | Rejection]:
        """Read all records, lazily."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What to read, and how to look at it. Every call reads the sources anew."""

    sources: tuple[Source, ...]
    reader: Reader = read
    strict: bool = False
    max_record_bytes: int = MAX_RECORD_BYTES
    key: Key = field(default_factory=Key)
    window: float | None = None
    window_size: int | None = None
    chunk_events: int = MAX_EVENTS
    chunk_bytes: int = MAX_BYTES
    meter: Meter = field(default_factory=Meter)

    def events(self) -> Iterator[Event | Rejection]:
        """Valid events and rejections, in the order in which they were read."""
        records = self.reader(self.sources, meter=self.meter, max_record_bytes=self.max_record_bytes)
        return validate(records, strict=self.strict)

    def unique(self) -> Iterator[Event | Rejection | Duplicate]:
        """As `events`, with keys, and copies told apart."""
        return dedupe(self.events(), self.key, DeduplicationCache(window=self.window, size=self.window_size))

    def chunks(self, delivered: DeliveredKeys | None = None) -> Iterator[Chunk | Rejection | Duplicate]:
        """What is to be sent, in chunks; `delivered` tells what needs no sending."""
        items = chunk(self.unique(), max_events=self.chunk_events, max_bytes=self.chunk_bytes)
        return items if delivered is None else skip_delivered(items, delivered)
