"""Cut the stream of events into chunks that one request may carry."""

from collections.abc import Iterator

from eventbridge_cli.bulk import Checked
from eventbridge_cli.chunks import ENVELOPE_CLOSE, ENVELOPE_OPEN, Chunk, Events, Item
from eventbridge_cli.flow import Event, Problem, Reason, Rejection, Stage

MAX_EVENTS = 100
MAX_BYTES = 500_000
ENVELOPE_BYTES = len(ENVELOPE_OPEN) + len(ENVELOPE_CLOSE)


def chunk(
    batches: Iterator[Checked],
    *,
    max_events: int = MAX_EVENTS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Item]:
    """Gather events, in order, into chunks of at most `max_events` and `max_bytes`, envelope and commas counted.

    Rejections and duplicates pass through. An event that alone is too large becomes a rejection.
    """
    chunker = _Chunker(max_events, max_bytes)
    for checked in batches:
        start = 0
        for index, outcome in checked.in_order():
            yield from chunker.lines(checked, start, index)
            start = index + 1
            if isinstance(outcome, Event):
                yield from chunker.event(outcome)
            else:
                yield outcome
        if checked.plain is not None:
            yield from chunker.lines(checked, start, checked.size)
    yield from chunker.rest()


class _Chunker:
    """The chunk that is being filled."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events = Events()
        self._size = ENVELOPE_BYTES

    def lines(self, checked: Checked, start: int, end: int) -> Iterator[Chunk | Rejection]:
        """Take plain lines in."""
        split = checked.plain.records if checked.plain is not None else []
        while start < end:
            stop, most = start, min(end, start + self._max_events - len(self._events))
            size = self._size + (1 if self._events else 0)
            while stop < most and size + len(split[stop]) <= self._max_bytes:
                size += len(split[stop]) + 1
                stop += 1
            if stop > start:
                self._events.extend(checked, slice(start, stop))
                self._size = size - 1
                start = stop
            elif ENVELOPE_BYTES + len(split[start]) > self._max_bytes:
                yield self._too_large(checked.event(start))
                start += 1
            else:
                yield from self.rest()

    def event(self, event: Event) -> Iterator[Chunk | Rejection]:
        """Take one event in."""
        if ENVELOPE_BYTES + len(event.body) > self._max_bytes:
            yield self._too_large(event)
            return
        size = self._size + (1 if self._events else 0) + len(event.body)
        if len(self._events) == self._max_events or size > self._max_bytes:
            yield from self.rest()
            size = ENVELOPE_BYTES + len(event.body)
        self._events.add(event)
        self._size = size

    def rest(self) -> Iterator[Chunk]:
        """The chunk as it is, if there is anything in it; the next one begins empty."""
        if self._events:
            chunk = Chunk.of(self._events)
            self._events, self._size = Events(), ENVELOPE_BYTES
            yield chunk

    def _too_large(self, event: Event) -> Rejection:
        problem = Problem(
            "event",
            "",
            f"an event that makes a request of {ENVELOPE_BYTES + len(event.body):,} bytes",
            f"at most {self._max_bytes:,}",
            "shorten it, or raise --chunk-bytes" if self._max_bytes < MAX_BYTES else "shorten it",
        )
        return Rejection(event.origin, Stage.CHUNK, Reason.OVERSIZED, (problem,), event.raw)
