"""The laws that hold whatever comes in and whatever the server says."""

import asyncio
import io
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stages import chunk, dedupe, records, validate
from support import line

from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.delivery.ingester import EventBridgeIngester
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth
from eventbridge_cli.delivery.pacing import Pace
from eventbridge_cli.errors import EbingestError
from eventbridge_cli.facts import Duplicates, Fact, Receipt, gathered
from eventbridge_cli.flow import Duplicate, Event, Origin, RawRecord
from eventbridge_cli.intake.cut import Cutter
from eventbridge_cli.intake.dedupe import DeduplicationCache
from eventbridge_cli.intake.key import Key
from eventbridge_cli.ledger.tally import Tally
from eventbridge_cli.secret import Secret

BROKEN = [b"not json", b'{"a": "open', b'{"a": [1}', b'{"eventType":', b"{}", b"}{", b'{"x": NaN}', b"\xff\xfe", b"[1"]
STATUSES = [200, 200, 200, 204, 400, 401, 403, 408, 413, 429, 500, 501, 503, 302, 0]


def intake(data: bytes, max_bytes: int = 500_000) -> list[Item]:
    stream = io.BytesIO(data)
    cut = Cutter("input", stream.read, 100_000).records()
    return list(chunk(dedupe(validate(cut), Key(), DeduplicationCache()), max_events=7, max_bytes=max_bytes))


class Server:
    """Answers as it is told, and keeps what it accepted. An answer of 0 is a lost connection."""

    def __init__(self, script: list[tuple[int, int]]) -> None:
        self._script = script
        self.accepted: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": f"t{len(self._script)}", "expires_in": 3600})
        known = self.bodies.setdefault(request.headers["x-request-id"], request.content)
        assert known == request.content, "one request id, two bodies"
        events = json.loads(request.content)["events"]
        status, index = self._script.pop() if self._script else (200, -1)
        named = [{"index": index % len(events), "message": "no", "retryable": index % 2 == 0}] if index >= 0 else []
        if status in {0, 200, 204}:
            bad = {entry["index"] for entry in named} if status == 200 else set()
            self.accepted.update(e["interactionId"] for i, e in enumerate(events) if i not in bad)
        if status == 0:
            raise httpx.ReadError("cut")
        return httpx.Response(status, json={"errors": named} if status != 204 else None, headers={"retry-after": "1"})


def deliver(items: list[Item], server: Server, seed: int) -> tuple[Tally, list[Fact]]:
    """Send `items` to `server` on a clock that jumps; gives the tally and all facts."""
    tally, facts, now = Tally(), list[Fact](), [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await asyncio.sleep(0)

    async def chunks() -> AsyncIterator[Chunk]:
        for item in gathered(items):
            if isinstance(item, Chunk):
                tally.came_in(item.events)
                yield item
            else:
                tally.note(item)

    def note(fact: Fact) -> None:
        tally.note(fact)
        facts.append(fact)

    async def run() -> None:
        rng = random.Random(seed)
        async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
            who = Credentials("https://server/token", "id", Secret("secret"), "scope", "region")
            ingester = EventBridgeIngester(
                client,
                GenesysAuth(client, who, clock=lambda: now[0], sleep=sleep),
                "https://server/ingest",
                note=note,
                policy=Policy(max_attempts=4),
                pace=Pace(3, clock=lambda: now[0], sleep=sleep, random=rng.random),
                clock=lambda: now[0],
                random=rng.random,
            )
            with suppress(EbingestError):  # what is never pulled then has not been read either
                await ingester.ingest(chunks())

    asyncio.run(run())
    return tally, facts


inputs = st.lists(
    st.one_of(
        st.integers(0, 40).map(line),
        st.integers(0, 40).map(lambda n: line(n, schemaVersion=3)),
        st.sampled_from(BROKEN),
    ),
    max_size=60,
).map(b"\n".join)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(inputs, st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(-1, 9)), max_size=60), st.integers())
def test_conservation(data: bytes, script: list[tuple[int, int]], seed: int) -> None:
    """Every record that was read ends in one outcome; delivered means accepted; a request id has one body."""
    items = intake(data)
    clean = not script
    server = Server(script)
    tally, facts = deliver(items, server, seed)
    tally.counts.check()
    settled = Counter[int]()
    for fact in facts:
        if isinstance(fact, Receipt):
            settled.update(id(event) for event in (*fact.delivered, *fact.pending))
            settled.update(id(refusal.event) for refusal in fact.refused)
            assert all(server.accepted[event.interaction_id] for event in fact.delivered)
    assert set(settled.values()) <= {1}
    assert tally.counts.delivered <= sum(server.accepted.values())
    if clean:
        chunked = sum(len(item.events) for item in items if isinstance(item, Chunk))
        assert tally.counts.delivered == chunked == sum(server.accepted.values())


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400) | inputs, st.sampled_from([1, 2, 3, 64, 1000]), st.sampled_from([20, 100_000]))
def test_any_bytes_are_cut_the_same_however_they_arrive(data: bytes, size: int, limit: int) -> None:
    """No input crashes; the records do not depend on the size of the blocks; each is a piece of the input."""
    whole = io.BytesIO(data)
    pieces = io.BytesIO(data)
    found = list(records(Cutter("x", whole.read, limit).records()))
    others = Cutter("x", lambda count: pieces.read(min(count, size)), limit).records()
    assert list(records(others)) == found
    for record in found:
        assert record.data is None or record.data in data
        assert 1 <= record.origin.line <= data.count(b"\n") + 1
    assert len(list(validate(iter(found)))) == len(found)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(BROKEN), max_size=8), st.randoms(use_true_random=False))
def test_a_broken_line_never_swallows_its_neighbours(broken: list[bytes], rng: random.Random) -> None:
    """In NDJSON all good lines survive among broken ones of every kind, and each broken line is one rejection."""
    good = [line(number) for number in range(10)]
    mixed = good[1:] + broken
    rng.shuffle(mixed)
    mixed = good[:1] + mixed  # the line by which the file shows that it is NDJSON
    items = list(validate(Cutter("x", io.BytesIO(b"\n".join(mixed)).read, 100_000).records()))
    events = [item for item in items if isinstance(item, Event)]
    assert Counter(event.body for event in events) == Counter(good)
    assert len(items) - len(events) == len(broken)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(0, 900), max_size=40), st.integers(250, 3000))
def test_chunks_keep_their_limits(sizes: list[int], max_bytes: int) -> None:
    """No chunk is over a limit, none could have held the next event, order and bytes are kept, nothing is lost."""
    texts = [line(number, attributes={"pad": "x" * size}) for number, size in enumerate(sizes)]
    items = intake(b"\n".join(texts), max_bytes)
    chunks = [item for item in items if isinstance(item, Chunk)]
    for item in chunks:
        assert len(item.events) <= 7
        assert len(item.body) <= max_bytes
        assert json.loads(item.body)["events"] == [json.loads(event.body) for event in item.events]
    for one, other in pairwise(chunks):
        assert len(one.events) == 7 or len(one.body) + 1 + len(other.events[0].body) > max_bytes
    sent = [event.body for item in chunks for event in item.events]
    assert sent == [text for text in texts if len(text) + 13 <= max_bytes]
    assert len(items) - len(chunks) == len(texts) - len(sent)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=60), st.none() | st.integers(1, 4))
def test_dedupe_against_a_naive_model(events: list[tuple[int, int]], size: int | None) -> None:
    """Exact: first of each key. With a size: a copy is one of a key among the last `size` remembered ones."""
    texts = [line(n, eventTime=f"2026-03-02T09:15:{second:02}Z") for n, second in events]
    read = validate(Cutter("x", io.BytesIO(b"\n".join(texts)).read, 100_000).records())
    found = [isinstance(item, Duplicate) for item in dedupe(read, Key(), DeduplicationCache(size=size))]
    remembered: list[tuple[int, int]] = []
    expected = []
    for key in events:
        expected.append(key in remembered)
        if key not in remembered:
            remembered.append(key)
            remembered = remembered[-size:] if size else remembered
    assert found == expected


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1500)), max_size=8))
def test_copies_are_gathered_in_order(runs: list[tuple[bool, int]]) -> None:
    """Neighbouring copies become one fact, a thousand at most; nothing is lost, and nothing changes places."""
    [event] = [item for item in validate([RawRecord(Origin("x", 1), line(1))]) if isinstance(item, Event)]
    other, copy = Chunk.of([event]), Duplicate(event, None, "r")
    items: list[Item] = [copy if is_copy else other for is_copy, number in runs for _ in range(number)]
    facts = list(gathered(iter(items)))
    apart = [list(fact.copies) if isinstance(fact, Duplicates) else [fact] for fact in facts]
    assert [item for each in apart for item in each] == items
    assert all(0 < len(each) <= 1000 for each in apart)
    neighbours = [one for one, two in pairwise(facts) if isinstance(one, Duplicates) and isinstance(two, Duplicates)]
    assert all(len(fact.copies) == 1000 for fact in neighbours)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 59)), max_size=60), st.integers(1, 30))
def test_the_window_against_a_naive_model(events: list[tuple[int, int]], window: int) -> None:
    """By event time: a copy is one within `window` seconds of the first that is not older than the newest by more."""
    texts = [line(n, eventTime=f"2026-03-02T09:15:{second:02}Z") for n, second in events]
    read = validate(Cutter("x", io.BytesIO(b"\n".join(texts)).read, 100_000).records())
    cache = DeduplicationCache(window=window)
    found = [isinstance(item, Duplicate) for item in dedupe(read, Key(["interactionId"]), cache)]
    firsts: dict[int, int] = {}
    expected = []
    newest = -1
    for number, second in events:
        newest = max(newest, second)
        firsts = {key: then for key, then in firsts.items() if then >= newest - window}
        copy = number in firsts and abs(second - firsts[number]) <= window
        expected.append(copy)
        if not copy:
            firsts[number] = second
    assert found == expected


def test_no_noun_shows_what_a_record_says() -> None:
    """Whoever prints or logs what `note` is told, as README's example does, shows places and sizes, and no data."""
    canary = line(1, interactionId="c4n4ry", attributes={"note": "c4n4ry"})
    data = b"\n".join([canary, canary, b'{"eventType": "c4n4ry"}'])
    found = intake(data)
    raw = list(records(Cutter("input", io.BytesIO(data).read, 100_000).records()))
    [sent] = [item for item in found if isinstance(item, Chunk)]
    receipt = Receipt(sent, sent.request_id, sent.events, (), tuple(sent.events), ())
    for item in (*found, *raw, *sent.events, receipt):
        assert "c4n4ry" not in repr(item)
