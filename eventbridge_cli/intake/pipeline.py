"""The intake as one chain: read, validate, dedupe, chunk. Each command stops it at the point it needs."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct, field

from eventbridge_cli.bulk import Checked
from eventbridge_cli.chunks import Item
from eventbridge_cli.errors import UsageError
from eventbridge_cli.flow import Duplicate, Event, RawRecord, Rejection
from eventbridge_cli.intake.chunk import MAX_BYTES, MAX_EVENTS, chunk
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Glance
from eventbridge_cli.intake.dedupe import DeduplicationCache
from eventbridge_cli.intake.key import DEFAULT_KEY, Key
from eventbridge_cli.intake.read import read
from eventbridge_cli.intake.sources import Meter, Source
from eventbridge_cli.intake.validate import MOST_TOGETHER, Validator

_LEAST_TO_SHARE = 4_000_000  # bytes of input for which further processes pay


class Reader(Protocol):
    """How records come out of sources: `read`, or for dead letters `Letters`."""

    def __call__(
        self, sources: Sequence[Source], *, meter: Meter, max_record_bytes: int, glance: Glance
    ) -> Iterator[Checked | RawRecord | Rejection]:
        """Read all records, lazily."""
        ...


class Intake(Struct, frozen=True, kw_only=True):
    """What to read, and how to look at it. Every call reads the sources anew; what can't be read is a `Rejection`.

    Args:
        sources: as `resolve` finds them.
        reader: takes records out of them.
        strict: RFC 3339 times alone; an event with an unknown field is rejected.
        max_record_bytes: a longer record is rejected.
        key: what makes two events copies.
        window: seconds of event time for which a key is remembered; None: for ever.
        window_size: how many keys are remembered; None: all.
        chunk_events: events in a request, at most.
        chunk_bytes: bytes in a request, at most.
        meter: follows the reading. Without a `total` the sources are taken for streams: nothing is held back.
        jobs: processes that share the work, where the meter's `total` is known and large enough for that to pay.
        listed: the events of each chunk will be listed in a receipt, so that another process that makes the chunks
            may do that, too.

    Raises:
        UsageError: a request would hold no event.
    """

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
    jobs: int = 1
    listed: bool = False

    def __post_init__(self) -> None:
        if self.chunk_events < 1:
            raise UsageError(f"Requests of {self.chunk_events:,} events carry none.", "Allow 1 at least.")

    @property
    def shared(self) -> int:
        """How many processes the work is shared by: `jobs`, unless there is too little of it."""
        return self.jobs if self.meter.total is None or self.meter.total >= _LEAST_TO_SHARE else 1

    def checked(self, *, keyed: bool = False, to_copy: bool = False) -> Iterator[Checked]:
        """Valid events and rejections, in the order in which they were read.

        Args:
            keyed: whether they have their keys.
            to_copy: whether most of them will be written as they stand, and hardly one asked for its names.
        """
        validator = Validator(strict=self.strict, key=self.key if keyed else None)
        is_stream = self.meter.total is None
        if self.shared > 1 and not is_stream and self.reader is read:
            from eventbridge_cli.intake.share import share  # noqa: PLC0415 - processes are slow to import

            return share(
                self.sources, validator, self.shared, meter=self.meter, limit=self.max_record_bytes, to_copy=to_copy
            )
        items = self.reader(self.sources, meter=self.meter, max_record_bytes=self.max_record_bytes, glance=validator)
        # From a stream nothing is held back.
        return validator.check(items, most=1 if is_stream else MOST_TOGETHER)

    def events(self) -> Iterator[Event | Rejection]:
        """The records of `checked` one by one, each event with its key."""
        for checked in self.checked(keyed=True):
            for outcome in checked.all():
                assert not isinstance(outcome, Duplicate)  # noqa: S101 - nobody has compared them yet
                yield outcome

    def unique(self, *, to_copy: bool = False) -> Iterator[Checked]:
        """As `checked`, with keys, and copies told apart."""
        cache = DeduplicationCache(window=self.window, size=self.window_size)
        return map(cache.sift, self.checked(keyed=True, to_copy=to_copy))

    def chunks(self) -> Iterator[Item]:
        """What is to be sent, in chunks.

        Events that have a key in common are several all the same where keys are forgotten: what is remembered of them
        as delivered is then the key with what else tells events apart.
        """
        unique = self.unique()
        if (self.window, self.window_size) != (None, None) and not self.key.is_default:
            unique = map(partial(_keyed_anew, Key(tuple(dict.fromkeys((*self.key.paths, *DEFAULT_KEY))))), unique)
        return chunk(unique, max_events=self.chunk_events, max_bytes=self.chunk_bytes)


def _keyed_anew(key: Key, checked: Checked) -> Checked:
    return Checked.of(
        [item._replace(key=key.of_body(item.body)) if isinstance(item, Event) else item for item in checked.all()]
    )
