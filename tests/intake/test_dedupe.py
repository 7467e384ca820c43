"""What makes two events copies, how long a key is remembered, and what becomes of a copy."""

import gc
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stages import dedupe, validate
from support import event, line

from eventbridge_cli.bulk import Checked, Lines
from eventbridge_cli.chunks import Chunk
from eventbridge_cli.errors import UsageError
from eventbridge_cli.fields import parse_event_time
from eventbridge_cli.flow import Duplicate, Event, Origin, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.dedupe import DeduplicationCache, skip_delivered
from eventbridge_cli.intake.key import DEFAULT_KEY, Key
from eventbridge_cli.intake.validate import Validator

ID_ALONE = ("interactionId",)


def events(*bodies: bytes) -> Iterator[Event | Rejection]:
    return validate(iter([RawRecord(Origin("x", number), body) for number, body in enumerate(bodies, 1)]))


def run(
    *bodies: bytes, key: Sequence[str] = DEFAULT_KEY, window: float | None = None, size: int | None = None
) -> list[Event | Rejection | Duplicate]:
    return list(dedupe(events(*bodies), Key(key), DeduplicationCache(window=window, size=size)))


def copies(*bodies: bytes, key: Sequence[str] = DEFAULT_KEY, window: float | None = None) -> list[bool]:
    """For each body, whether it is a copy."""
    items = run(*bodies, key=key, window=window)
    assert not [item for item in items if isinstance(item, Rejection)]
    return [isinstance(item, Duplicate) for item in items]


def at(second: float, number: int = 1, **changes: Any) -> bytes:
    minutes, seconds = divmod(second, 60)
    return line(number, eventTime=f"2026-03-02T09:{int(minutes):02}:{seconds:06.3f}Z", **changes)


def digest(body: bytes, *paths: str) -> bytes:
    [item] = events(body)
    assert isinstance(item, Event)
    return Key(paths or DEFAULT_KEY).of_body(item.body)


# The key


@pytest.mark.parametrize(
    ("changes", "copy"),
    [
        pytest.param({}, True, id="all the same"),
        pytest.param({"attributes": {"other": 1}}, True, id="other attributes"),
        pytest.param({"schemaVersion": 3}, True, id="other version"),
        pytest.param({"interactionId": "another"}, False, id="other interaction"),
        pytest.param({"eventType": "another"}, False, id="other type"),
        pytest.param({"eventTime": "2026-03-02T09:15:04Z"}, False, id="other time"),
        pytest.param({"eventTime": "2026-03-02T10:15:03.123+01:00"}, False, id="same instant, other text"),
    ],
)
def test_the_default_key(changes: dict[str, Any], *, copy: bool) -> None:
    """By default interaction, type and time make the key, by their text."""
    assert copies(line(1), line(1, **changes)) == [False, copy]


def test_fields_do_not_run_into_each_other() -> None:
    """Values that only read the same when joined are not the same."""
    one = line(interactionId="ab", eventType="c")
    other = line(interactionId="a", eventType="bc")
    assert copies(one, other) == [False, False]
    assert digest(line(interactionId="1:a", eventType="b")) != digest(line(interactionId="1", eventType="a1:b"))
    assert digest(line(interactionId="a\nb", eventType="c")) != digest(line(interactionId="a", eventType="b\nc"))
    forged = f"\n3:a\nb1:c{len(event()['eventTime'])}:"
    assert digest(line(interactionId="a\nb", eventType="c")) != digest(line(interactionId=forged, eventType="c"))
    assert copies(line(interactionId="a\nb"), line(2), line(interactionId="a\nb")) == [False, False, True]


def test_a_key_of_one_field() -> None:
    """`--key interactionId` takes every later event of an interaction for a copy."""
    assert copies(at(1), at(2), at(3, 2), key=ID_ALONE) == [False, True, False]


VALUES: list[object] = [
    *("1", "true", "null", "", "[]", "s1", 1, 1.5, True, False, None, 0, [], {}, [1], ["1"], {"a": 1}, {"a": "1"}),
]


def test_values_of_other_types_are_different() -> None:
    """`1` and `"1"` are two keys, and so are all values that differ in type or content."""
    bodies = [line(attributes={"call": {"id": value}}) for value in VALUES]
    digests = [digest(body, "attributes.call.id") for body in bodies]
    for (one, first), (other, second) in combinations(zip(VALUES, digests, strict=True), 2):
        assert first != second, (one, other)


def test_objects_in_a_key_have_no_order() -> None:
    """A key's value that is an object is the same whatever its order and spacing."""
    one = line(attributes={"call": "HERE"}).replace(b'"HERE"', b'{"a":1,"b":[2]}')
    other = line(attributes={"call": "HERE"}).replace(b'"HERE"', b'{ "b":[2] ,"a":1}')
    assert digest(one, "attributes.call") == digest(other, "attributes.call")


def test_large_numbers_in_a_key_are_exact() -> None:
    """Two ids of 40 digits that differ in the last one are two keys."""
    bodies = [line(attributes={"id": int("1234567890" * 4) + last}) for last in (1, 2)]
    assert digest(bodies[0], "attributes.id") != digest(bodies[1], "attributes.id")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1772442903.123456781", "1772442903.123456789", False),
        ("[1772442903.123456781]", "[1772442903.123456789]", False),
        ('{"a":{"b":0.10000000000000000001}}', '{"a":{"b":0.1}}', False),
        ("0.10000000000000000001", '"0.10000000000000000001"', False),
        ("1e400", "1e500", False),
        ("1e99999999999999999999", "2e99999999999999999999", False),
        ("1.1", "1.10", True),
        ("1e2", "100.0", True),
    ],
)
def test_decimals_in_a_key_are_exact(one: str, other: str, *, same: bool) -> None:
    """Numbers that differ in digits beyond those of a float are no copies; other spellings of one that fits are."""
    bodies = [line(1, attributes={"number": 7}).replace(b"7", text.encode()) for text in (one, other)]
    assert copies(*bodies, key=["attributes.number"]) == [False, same]


def test_text_beyond_ascii_in_a_key() -> None:
    """A value is the same however its characters were escaped."""
    body = line(attributes={"id": "é\U0001f600"})
    assert digest(body, "attributes.id") == digest(json.dumps(json.loads(body)).encode(), "attributes.id")


@pytest.mark.parametrize(
    "path",
    [
        "routingMetadata.queueId",
        "routingMetadata.actionType",
        "routingMetadata",
        "attributes",
        "schemaVersion",
        "eventTime",
    ],
)
def test_any_field_can_be_the_key(path: str) -> None:
    """Nested fields, numbers and whole objects can be part of the key."""
    assert copies(line(1, attributes={}), line(2, attributes={}), key=[path]) == [False, True]


@pytest.mark.parametrize("path", ["attributes.call.id", "attributes.call", "attributes.other.id", "attributes.a.b.c.d"])
@pytest.mark.parametrize("attributes", [{}, {"call": "text"}, {"a": {"b": [1]}}, {"call": None}, {"other": []}])
def test_a_missing_path_is_a_rejection(path: str, attributes: dict[str, Any]) -> None:
    """An event without a part of the key is rejected with the path's name; the others go on."""
    body = line(1, attributes=attributes)
    there = path == "attributes.call" and "call" in attributes
    first, *_ = run(body, key=["interactionId", path])
    if there:
        assert isinstance(first, Event)
        return
    assert isinstance(first, Rejection)
    assert (first.stage, first.reason, first.data) == (Stage.DEDUPE, Reason.MISSING_KEY, body)
    assert [(problem.path, bool(problem.remedy)) for problem in first.problems] == [(path, True)]


def test_attributes_that_are_left_out() -> None:
    """`attributes` may be left out of an event, and then no path below it is there."""
    body = json.dumps({name: value for name, value in event().items() if name != "attributes"}).encode()
    [item] = run(body, key=["attributes.id"])
    assert isinstance(item, Rejection)


@pytest.mark.parametrize(
    "path",
    [
        *("", "colour", "interactionid", "id", "routingMetadata.agent", "routingMetadata.queueId.x", "interactionId.x"),
        *("schemaVersion.a", "eventTime.", "routingMetadata.", ".interactionId", "$.interactionId"),
    ],
)
def test_an_impossible_path_is_a_usage_error(path: str) -> None:
    """A path that no event can have is told before anything is read, with the fields that there are."""
    with pytest.raises(UsageError) as caught:
        Key(["interactionId", path])
    assert caught.value.remedy


@pytest.mark.parametrize(
    "paths", [["interactionId"], ["eventTime", "interactionId", "eventType"], ["interactionId", "eventType"]]
)
def test_keys_of_other_fields_never_meet(paths: list[str]) -> None:
    """Different fields give different digests for the same event, so that stores of delivered keys stay apart."""
    assert digest(line(1), *paths) != digest(line(1))
    assert len(digest(line(1), *paths)) == 16


def test_the_digest_stays_over_versions() -> None:
    """A digest is the same in any process: what an earlier run delivered must be found."""
    assert digest(line(1)).hex() == "1777670f42b774906d51511f3324553d"
    assert digest(line(1), "interactionId").hex() == "b99aead87a8d06a68dee3470ad5935b8"


# Copies and conflicts


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        pytest.param(line(1), False, id="same bytes"),
        pytest.param(json.dumps(event(1), indent=2).encode(), False, id="other spacing"),
        pytest.param(json.dumps(dict(reversed(event(1).items()))).encode(), False, id="other order"),
        pytest.param(json.dumps({**event(1), "unknown": 1}).encode(), False, id="unknown field more"),
        pytest.param(line(1, attributes={"number": 1, "mediaType": "voice"}), False, id="other order of attributes"),
        pytest.param(line(1).replace(b"voice", b"\\u0076oice"), False, id="other escapes"),
        pytest.param(line(1, schemaVersion=3), True, id="other version"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": 2}), True, id="other number"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": "1"}), True, id="other type"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": True}), True, id="true for 1"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": 1.0}), True, id="1.0 for 1"),
        pytest.param(line(1, attributes={"mediaType": "voice"}), True, id="one attribute less"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": 1, "x": None}), True, id="one attribute more"),
        pytest.param(line(1, attributes={"mediaType": "voice", "number": [1]}), True, id="in an array"),
    ],
)
def test_conflicts(other: bytes, *, conflict: bool) -> None:
    """A copy whose content differs from the first is a conflict; spacing, escapes and order are no content."""
    _, copy = run(line(1), other)
    assert isinstance(copy, Duplicate)
    assert copy.conflict is conflict
    assert copy.first == Origin("x", 1)
    assert copy.event.origin == Origin("x", 2)
    assert copy.first is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"-1", b"-2"),
        (b"[-1]", b"[-2]"),
        (b"0", b"2305843009213693951"),
        (b"1", b"2305843009213693952"),
        (b"null", b'"null"'),
        (b"[]", b"{}"),
        (b"[[]]", b"[]"),
        (b'{"a":{"b":1}}', b'{"a":{"b":2}}'),
        (b"false", b"0"),
    ],
)
def test_conflicts_that_are_hard_to_see(one: bytes, other: bytes) -> None:
    """Contents that a weak comparison takes for the same are told apart."""
    bodies = [line(1, attributes={"v": "HERE"}).replace(b'"HERE"', text) for text in (one, other)]
    _, copy = run(*bodies)
    assert isinstance(copy, Duplicate)
    assert copy.conflict


def test_every_copy_names_the_first() -> None:
    """All copies point to the first event, not to the copy before them."""
    _, *rest = run(line(1), line(1), line(2), line(1))
    assert [item.first.line for item in rest if isinstance(item, Duplicate) and isinstance(item.first, Origin)] == [
        1,
        1,
    ]


def test_rejections_pass_and_are_not_remembered() -> None:
    """A rejected record passes, and never makes a later event a copy."""
    bad = line(1, schemaVersion=9)
    items = run(bad, line(1), line(1))
    assert [type(item) for item in items] == [Rejection, Event, Duplicate]


def test_events_get_their_key() -> None:
    """Each event leaves with its 16-byte key, and is otherwise what it was."""
    [item] = run(line(1))
    assert isinstance(item, Event)
    assert item.key == digest(line(1))
    assert (item.body, item.raw, item.origin) == (line(1), line(1), Origin("x", 1))


# Windows


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param([0, 300], [False, True], id="at the edge"),
        pytest.param([0, 300.001], [False, False], id="past the edge"),
        pytest.param([0, 301, 302], [False, False, True], id="the later one counts from then on"),
        pytest.param([400, 200], [False, True], id="backwards, within"),
        pytest.param([400, 99], [False, False], id="backwards, beyond"),
        pytest.param([0, 200, 400], [False, True, False], id="a copy does not prolong"),
    ],
)
def test_the_window_is_event_time(seconds: list[float], expected: list[bool]) -> None:
    """With a window, an event is a copy if its time is at most so far from the first one's."""
    assert copies(*map(at, seconds), key=ID_ALONE, window=300) == expected


def test_a_window_of_nothing() -> None:
    """A window of zero seconds takes the same instant alone, whatever its offset."""
    same = line(1, eventTime="2026-03-02T10:15:03.123+01:00")
    assert copies(line(1), same, line(1, eventTime="2026-03-02T09:15:03.124Z"), key=ID_ALONE, window=0) == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2016-12-31T23:59:60Z", "2026-03-02", "0001-01-01"],
)
def test_a_window_takes_every_time(time: str) -> None:
    """Any time that an event may carry can be placed in the window."""
    assert copies(line(1, eventTime=time), line(1, eventTime=time), window=300) == [False, True]


def test_a_window_bounds_memory() -> None:
    """Keys that are older than the window are forgotten."""
    cache = DeduplicationCache(window=10)
    for item in dedupe(events(*(at(second, second) for second in range(200))), Key(), cache):
        assert isinstance(item, Event)
        assert len(cache) <= 11


def test_a_size_bounds_memory() -> None:
    """No more keys than the size are remembered."""
    cache = DeduplicationCache(size=10)
    for item in dedupe(events(*(line(number) for number in range(100))), Key(), cache):
        assert isinstance(item, Event)
        assert len(cache) <= 10


def test_copies_take_no_memory() -> None:
    """A file of copies, whatever its length, leaves no more behind than its distinct keys; conflicts are still told."""
    distinct = [line(number) for number in range(20)]
    conflict = line(3, attributes={"other": 1})
    block = [*distinct * 10, conflict]

    def sifted(cache: DeduplicationCache, lines: list[bytes], first: int) -> list[Duplicate]:
        checked = Validator(key=Key()).lines(Lines("x", first, lines))
        assert checked.size == len(lines)
        return [item for item in cache.sift(checked).outcomes.values() if isinstance(item, Duplicate)]

    cache, kept = DeduplicationCache(), []
    for number in range(40):
        found = sifted(cache, block, 1 + number * len(block))
        assert len(found) == len(block) - (0 if number else len(distinct))
        assert [(item.event.body, item.first) for item in found if item.conflict] == [(conflict, Origin("x", 4))]
        kept.append(entries_held(cache))
    assert kept[-1] == kept[0]
    assert len(cache) == len(distinct)


def entries_held(cache: DeduplicationCache) -> int:
    """Entries that are held, of all kinds."""
    return sum(map(len, (cache._firsts, cache._contents, cache._begun, cache._places, cache._by_age, cache._by_time)))


@pytest.mark.parametrize("window", [10, 1_000_000], ids=["short", "long"])
def test_both_bounds_together_bound_memory(window: float) -> None:
    """With a window and a size, nothing at all grows with the number of keys, whichever of the two forgets first."""
    [first] = events(at(0))
    assert isinstance(first, Event)
    drawn = []
    for number in range(5_000):
        minutes, seconds = divmod(number, 60)
        time = f"2026-03-02T{9 + minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"
        drawn.append(Checked.of([first._replace(event_time=time, key=number.to_bytes(16, "big"))]))
    cache = DeduplicationCache(window=window, size=100)
    tracemalloc.start()
    held = []
    for some in (drawn[:2_000], drawn[2_000:]):
        for each in some:
            cache.sift(each)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(cache) <= 100
    assert held[1] - held[0] < 20_000, "3,000 keys more"


numbers = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 90)), max_size=50)


@settings(deadline=None, max_examples=150)
@given(numbers, st.none() | st.integers(1, 5), st.sampled_from([DEFAULT_KEY, ID_ALONE]))
def test_against_a_naive_model(drawn: list[tuple[int, int]], size: int | None, key: tuple[str, ...]) -> None:
    """Exact, or with the last `size` keys: what is a copy is what a plain list says."""
    remembered: list[tuple[int, ...]] = []
    expected = []
    for number, second in drawn:
        name = (number,) if key == ID_ALONE else (number, second)
        expected.append(name in remembered)
        if name not in remembered:
            remembered = [*remembered, name][-size if size else 0 :]
    items = run(*(at(second, number) for number, second in drawn), key=key, size=size)
    assert [isinstance(item, Duplicate) for item in items] == expected


@settings(deadline=None, max_examples=150)
@given(numbers, st.integers(0, 60), st.none() | st.integers(1, 4))
@example([(0, 0), (1, 1), (0, 5), (2, 0), (0, 1)], 4, 2)  # a key that the window forgot comes again
def test_windows_against_a_naive_model(drawn: list[tuple[int, int]], window: int, size: int | None) -> None:
    """By event time, with a size or without: forgotten once older than the newest by more than the window."""
    firsts: list[tuple[int, int, int]] = []  # number, second, place in the input
    expected: list[int | None] = []
    newest = 0
    for place, (number, second) in enumerate(drawn, 1):
        newest = max(newest, second)
        firsts = [first for first in firsts if newest - first[1] <= window]
        known = next((first for first in firsts if first[0] == number), None)
        if known and abs(second - known[1]) <= window:
            expected.append(known[2])
            continue
        expected.append(None)
        firsts = [first for first in firsts if first is not known]
        firsts = [*firsts, (number, second, place)][-size if size else 0 :]
    items = run(*(at(second, number) for number, second in drawn), key=ID_ALONE, window=window, size=size)
    found = [
        item.first.line if isinstance(item, Duplicate) and isinstance(item.first, Origin) else None for item in items
    ]
    assert found == expected


# What earlier runs delivered


class Store:
    """Delivered keys in a dictionary; counts how often it is asked."""

    def __init__(self, delivered: dict[bytes, str]) -> None:
        self.delivered = delivered
        self.asked = 0

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        self.asked += 1
        return {key: self.delivered[key] for key in keys if key in self.delivered}


def keyed(*wanted: int) -> list[Event]:
    return [item for item in run(*(line(number) for number in wanted)) if isinstance(item, Event)]


def test_delivered_events_are_left_out() -> None:
    """Events that an earlier run delivered become duplicates that name the run; the rest stays together, in order."""
    batch = Chunk.of(keyed(1, 2, 3, 4))
    store = Store({batch.events[0].key: "run-1", batch.events[2].key: "run-2"})
    *duplicates, rest = skip_delivered(iter([batch]), store)
    assert duplicates == [Duplicate(batch.events[0], None, "run-1"), Duplicate(batch.events[2], None, "run-2")]
    assert all(item.run for item in duplicates if isinstance(item, Duplicate))
    assert rest == Chunk.of([batch.events[1], batch.events[3]])


def test_a_chunk_that_was_delivered_whole() -> None:
    """Of a chunk that was delivered whole, nothing is left to send."""
    batch = Chunk.of(keyed(1, 2))
    items = list(skip_delivered(iter([batch]), Store(dict.fromkeys((e.key for e in batch.events), "run-1"))))
    assert items == [Duplicate(event, None, "run-1") for event in batch.events]


def test_a_chunk_that_was_not_delivered() -> None:
    """A chunk of new events is the very same, so that it keeps its request id; the store is asked once for it."""
    store = Store({})
    batch = Chunk.of(keyed(1, 2, 3))
    assert list(skip_delivered(iter([batch]), store)) == [batch]
    assert store.asked == 1


def test_what_is_no_chunk_passes() -> None:
    """Rejections and duplicates pass, and the store is not asked about them."""
    items = [item for item in run(line(1), line(1), b"{}") if not isinstance(item, Event)]
    store = Store({})
    assert list(skip_delivered(iter(items), store)) == items
    assert store.asked == 0


def test_naive_times_count_as_utc_in_the_window() -> None:
    """A time without an offset is UTC for the window."""
    assert parse_event_time("2026-03-02T09:15:03") == parse_event_time("2026-03-02T09:15:03Z")
    bodies = [line(1, eventTime=text) for text in ("2026-03-02T09:15:03", "2026-03-02T09:15:03Z")]
    assert copies(*bodies, key=ID_ALONE, window=0) == [False, True]
