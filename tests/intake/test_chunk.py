"""Chunks keep their limits, their order and their bytes."""

import json
import pickle
import uuid
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import chunk
from support import line

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.errors import UsageError
from eventbridge_cli.flow import Duplicate, Event, Origin, Outcome, Problem, Reason, Rejection, Stage
from eventbridge_cli.intake.chunk import ENVELOPE_BYTES
from eventbridge_cli.intake.pipeline import Intake

SMALLEST = len('{"n":"000","p":""}')


def made(number: int, size: int = SMALLEST) -> Event:
    """An event of exactly `size` bytes; as far as chunking goes, any JSON will do."""
    body = b'{"n":"%03d","p":"%s"}' % (number, b"x" * (size - SMALLEST))
    return Event(Origin("x", number + 1), b" " + body, body, f"interaction-{number}", "type", "time")


def chunks(events: list[Event], max_events: int = 100, max_bytes: int = 500_000) -> list[Chunk]:
    """The chunks of events that all fit."""
    items = list(chunk(iter(events), max_events=max_events, max_bytes=max_bytes))
    assert all(isinstance(item, Chunk) for item in items)
    return [item for item in items if isinstance(item, Chunk)]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(SMALLEST, 120), max_size=40), st.integers(1, 8), st.integers(ENVELOPE_BYTES + 1, 400))
def test_limits(sizes: list[int], max_events: int, max_bytes: int) -> None:
    """No chunk is over a limit, none could have held the next event, and every event ends in one place, in order."""
    events = [made(number, size) for number, size in enumerate(sizes)]
    items = list(chunk(iter(events), max_events=max_events, max_bytes=max_bytes))
    found = [item for item in items if isinstance(item, Chunk)]
    rejected = [item.origin for item in items if isinstance(item, Rejection)]
    for item in found:
        assert 1 <= len(item.events) <= max_events
        assert len(item.body) <= max_bytes
        assert json.loads(item.body) == {"events": [json.loads(event.body) for event in item.events]}
    for one, other in pairwise(found):
        both = len(one.body) + 1 + len(other.events[0].body)
        assert len(one.events) == max_events or both > max_bytes
    fits = [event for event in events if len(event.body) + ENVELOPE_BYTES <= max_bytes]
    assert [event for item in found for event in item.events] == fits
    assert rejected == [event.origin for event in events if event not in fits]


def test_the_limit_of_events() -> None:
    """100 events make one chunk, 101 make two."""
    assert [len(item.events) for item in chunks([made(n) for n in range(100)])] == [100]
    assert [len(item.events) for item in chunks([made(n) for n in range(101)])] == [100, 1]


@pytest.mark.parametrize(("over", "expected"), [(0, [2]), (1, [1, 1])])
def test_the_limit_of_bytes_is_exact(over: int, expected: list[int]) -> None:
    """Envelope and commas are counted: a body of exactly the limit is sent, one byte more makes two."""
    limit = len('{"events":[,]}') + 50 + 60
    found = chunks([made(1, 50), made(2, 60 + over)], max_bytes=limit)
    assert [len(item.events) for item in found] == expected
    assert over or len(found[0].body) == limit


@pytest.mark.parametrize("over", [0, 1])
def test_a_lone_oversized_event(over: int) -> None:
    """An event that alone is over the limit is rejected as it was read, and the chunk around it is not cut for it."""
    big = made(2, 200 + over)
    items = list(chunk(iter([made(1), big, made(3)]), max_bytes=ENVELOPE_BYTES + 200))
    if not over:
        assert sum(len(item.events) for item in items if isinstance(item, Chunk)) == 3
        return
    rejection, rest = items
    assert isinstance(rejection, Rejection)
    assert isinstance(rest, Chunk)
    assert (rejection.stage, rejection.reason) == (Stage.CHUNK, Reason.OVERSIZED)
    assert (rejection.origin, rejection.data) == (big.origin, big.raw)
    assert "--chunk-bytes" in rejection.problems[0].remedy
    assert f"{ENVELOPE_BYTES + 201:,} bytes" in rejection.problems[0].found
    assert [event.origin.line for event in rest.events] == [2, 4]


def test_an_event_that_no_request_can_carry() -> None:
    """Where the limit is the largest that there may be, nobody is told to raise it."""
    (rejection,) = chunk(iter([made(1, 600_000)]))
    assert isinstance(rejection, Rejection)
    assert rejection.problems[0].remedy == "shorten it"


@pytest.mark.parametrize("most", [0, -1])
def test_requests_without_events(most: int) -> None:
    """No number of those would carry anything: whoever asks for them is told, instead of waiting for ever."""
    with pytest.raises(UsageError, match="carry none"):
        Intake(sources=(), chunk_events=most)


def test_what_is_no_event_passes() -> None:
    """Rejections and duplicates pass through at once, and cut no chunk in two."""
    rejection = Rejection(Origin("x", 9), Stage.READ, Reason.INVALID_JSON, (Problem("a", "", "", "", ""),), b"")
    duplicate = Duplicate(made(5), Origin("x", 1))
    outcomes: list[Outcome] = [made(1), rejection, duplicate, made(2)]
    items = list(chunk(outcomes))
    assert items[:2] == [rejection, duplicate]
    assert items[2:] == chunks([made(1), made(2)])


def test_nothing_makes_no_chunk() -> None:
    """No event, no request."""
    assert list(chunk(iter([]))) == []


def test_chunking_is_lazy() -> None:
    """A chunk is given as soon as the first event behind it is known."""
    events = iter([made(number) for number in range(100)])
    first = next(chunk(events, max_events=3))
    assert isinstance(first, Chunk)
    assert [event.origin.line for event in first.events] == [1, 2, 3]
    assert next(events) == made(4)


def test_what_is_measured_is_sent() -> None:
    """The body is the events' own bytes between the envelope's."""
    [item] = chunks([made(1, 40), made(2, 50)])
    assert item.body == b'{"events":[' + made(1, 40).body + b"," + made(2, 50).body + b"]}"


def test_the_request_id_is_the_contents() -> None:
    """The same body has the same id wherever it was read; another body or another order has another one."""
    [one] = chunks([made(1), made(2)])
    again = Chunk.of([Event(Origin("other", 99), b"", e.body, "", "", "", (), b"k" * 16) for e in one.events])
    assert one.request_id == again.request_id
    others = [[made(1)], [made(2)], [made(2), made(1)], [made(1), made(2), made(3)], [made(1), made(2, 60)]]
    assert len({one.request_id, *(Chunk.of(events).request_id for events in others)}) == len(others) + 1


def test_the_request_id_stays_over_versions() -> None:
    """An id is the same in any process: a run that resumes must find what an earlier one sent."""
    assert Chunk.of([made(1)]).request_id == "d4e3bc06-d116-83bd-ba8a-a47c032c162e"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 999))
def test_the_request_id_is_a_uuid(number: int) -> None:
    """The id is a UUID of version 8 and of the standard's variant, in its usual text."""
    text = Chunk.of([made(number)]).request_id
    parsed = uuid.UUID(text)
    assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, text)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([None, 3]), st.sampled_from([(), ("x",)])), min_size=1))
def test_a_chunk_from_another_process(kinds: list[tuple[int, int | None, tuple[str, ...]]]) -> None:
    """A chunk that comes from another process is the same, event by event and in all that the ledger writes of it."""
    events = [
        Event(
            *(Origin("é.json", number, 1, index), line(number) + b" ", line(number), f"interaction-{number}"),
            *("conversation.answered", "2026-03-02T09:15:03.123Z", dropped, b"%016d" % number),
        )
        for number, index, dropped in kinds
    ]
    chunk = Chunk.of(events)
    if kinds[0][0] % 2:
        chunk.events.list_now()
    shipped = pickle.loads(pickle.dumps(chunk))  # noqa: S301 - our own
    for each in (shipped, pickle.loads(pickle.dumps(shipped))):  # noqa: S301
        assert (len(each.events), each.body, each.sha256) == (len(events), chunk.body, chunk.sha256)
        assert each.request_id == chunk.request_id
        for name in ("entries", "places", "dropped", "joined_keys", "keys", "bodies", "listed"):
            assert getattr(each.events, name) == getattr(chunk.events, name)
        assert list(each.events) == events
        assert each == chunk
    with pytest.raises(AttributeError):
        _ = shipped.events.nothing_of_that_name
