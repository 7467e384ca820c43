"""Cut the stream of events into chunks that one request may carry."""

from collections.abc import Iterator

from eventbridge_cli.flow import (
    ENVELOPE_CLOSE,
    ENVELOPE_OPEN,
    Chunk,
    Duplicate,
    Event,
    Problem,
    Reason,
    Rejection,
    Stage,
)

MAX_EVENTS = 100
MAX_BYTES = 500_000
ENVELOPE_BYTES = len(ENVELOPE_OPEN) + len(ENVELOPE_CLOSE)


def chunk(
    items: Iterator[Event | Rejection | Duplicate],
    *,
    max_events: int = MAX_EVENTS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Chunk | Rejection | Duplicate]:
    """Gather events, in order, into chunks of at most `max_events` and `max_bytes`, envelope and commas counted.

    Rejections and duplicates pass through. An event that alone is too large becomes a rejection.
    """
    events: list[Event] = []
    size = ENVELOPE_BYTES
    for item in items:
        if not isinstance(item, Event):
            yield item
            continue
        alone = ENVELOPE_BYTES + len(item.body)
        if alone > max_bytes:
            yield _too_large(item, alone, max_bytes)
            continue
        comma = 1 if events else 0
        if len(events) == max_events or size + comma + len(item.body) > max_bytes:
            yield Chunk.of(events)
            events, size, comma = [], ENVELOPE_BYTES, 0
        events.append(item)
        size += comma + len(item.body)
    if events:
        yield Chunk.of(events)


def _too_large(event: Event, size: int, max_bytes: int) -> Rejection:
    problem = Problem(
        "event",
        "",
        f"an event that makes a request of {size:,} bytes",
        f"at most {max_bytes:,}",
        "shorten it, or raise --chunk-bytes if the platform takes more",
    )
    return Rejection(event.origin, Stage.CHUNK, Reason.OVERSIZED, (problem,), event.raw)
