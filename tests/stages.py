"""The stages of the intake, seen record by record: they themselves work on many at a time."""

import io
from collections.abc import Iterable, Iterator

from eventbridge_cli.bulk import Checked
from eventbridge_cli.chunks import Item
from eventbridge_cli.flow import Duplicate, Event, Outcome, RawRecord, Rejection
from eventbridge_cli.intake import chunk as chunking
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter
from eventbridge_cli.intake.dedupe import DeduplicationCache
from eventbridge_cli.intake.key import Key
from eventbridge_cli.intake.validate import Validator


def records(items: Iterable[Checked | RawRecord | Rejection]) -> Iterator[RawRecord | Rejection]:
    """What was cut without a glance: record by record."""
    for item in items:
        assert not isinstance(item, Checked)
        yield item


def validate(items: Iterable[Checked | RawRecord | Rejection], *, strict: bool = False) -> Iterator[Event | Rejection]:
    """Each record's outcome, without a key."""
    for checked in Validator(strict=strict, key=Key()).check(items, most=1):
        for outcome in checked.all():
            assert not isinstance(outcome, Duplicate)
            yield outcome._replace(key=b"", content=0) if isinstance(outcome, Event) else outcome


def checked(data: bytes, validator: Validator, *, at_a_glance: bool, limit: int = MAX_RECORD_BYTES) -> list[Outcome]:
    """The outcomes of a source; its records are looked at many at a time, or each is cut and looked at with care."""
    glance = validator if at_a_glance else None
    cut = Cutter("x", io.BytesIO(data).read, limit, glance=glance).records()
    return [outcome for each in validator.check(cut, most=1) for outcome in each.all()]


def both_ways(data: bytes, *, strict: bool = False, limit: int = MAX_RECORD_BYTES) -> list[Event | Rejection]:
    """The outcomes of a source, without keys; fails unless both ways through the intake come to them."""
    validator = Validator(strict=strict, key=Key())
    quickly, slowly = (checked(data, validator, at_a_glance=way, limit=limit) for way in (True, False))
    assert quickly == slowly
    items = (item for item in slowly if not isinstance(item, Duplicate))
    return [item._replace(key=b"", content=0) if isinstance(item, Event) else item for item in items]


def dedupe(items: Iterable[Event | Rejection], key: Key, cache: DeduplicationCache) -> Iterator[Outcome]:
    """Each event with its key, or as a copy."""
    validator = Validator(key=key)
    for item in items:
        keyed = validator.record(RawRecord(item.origin, item.raw)) if isinstance(item, Event) else item
        yield from cache.sift(Checked.of([keyed])).all()


def chunk(
    items: Iterable[Outcome], *, max_events: int = chunking.MAX_EVENTS, max_bytes: int = chunking.MAX_BYTES
) -> Iterator[Item]:
    """Chunks of events that come one by one."""
    return chunking.chunk((Checked.of([item]) for item in items), max_events=max_events, max_bytes=max_bytes)
