"""The stages of the intake, seen record by record: they themselves work on many at a time."""

from collections.abc import Iterable, Iterator

from eventbridge_cli.flow import Checked, Chunk, Duplicate, Event, Lines, Outcome, RawRecord, Rejection
from eventbridge_cli.intake import chunk as chunking
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, cut_line
from eventbridge_cli.intake.dedupe import DeduplicationCache
from eventbridge_cli.intake.key import Key
from eventbridge_cli.intake.validate import Validator


def records(items: Iterable[Lines | RawRecord | Rejection], limit: int) -> Iterator[RawRecord | Rejection]:
    """What was cut, record by record; the validate stage would cut odd lines in the same way."""
    for item in items:
        if isinstance(item, Lines):
            for line in item.records():
                yield from cut_line(line, limit)
        else:
            yield item


def validate(
    items: Iterable[Lines | RawRecord | Rejection], *, strict: bool = False, limit: int = MAX_RECORD_BYTES
) -> Iterator[Event | Rejection]:
    """Each record's outcome, without a key."""
    validator = Validator(strict=strict, key=Key(), limit=limit)
    for item in items:
        checked = validator.check(item if isinstance(item, Lines) else [item])
        for outcome in checked.all():
            assert not isinstance(outcome, Duplicate)
            yield outcome._replace(key=b"", content=0) if isinstance(outcome, Event) else outcome


def alone(item: Outcome) -> Checked:
    """A batch of one."""
    return Checked(None, 1, {0: item})


def dedupe(items: Iterable[Event | Rejection], key: Key, cache: DeduplicationCache) -> Iterator[Outcome]:
    """Each event with its key, or as a copy."""
    validator = Validator(key=key)
    for item in items:
        keyed = validator.record(RawRecord(item.origin, item.raw)) if isinstance(item, Event) else item
        yield from cache.sift(alone(keyed)).all()


def chunk(
    items: Iterable[Outcome], *, max_events: int = chunking.MAX_EVENTS, max_bytes: int = chunking.MAX_BYTES
) -> Iterator[Chunk | Rejection | Duplicate]:
    """Chunks of events that come one by one."""
    return chunking.chunk(map(alone, items), max_events=max_events, max_bytes=max_bytes)
