"""What is known at a glance is what would be found with care, event by event."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import event, line

from eventbridge_cli.flow import Event, Origin, RawRecord
from eventbridge_cli.intake.careful import CarefulValidator
from eventbridge_cli.intake.plain import items_of, plain_events

CAREFUL = {strict: CarefulValidator(strict=strict, key=None) for strict in (False, True)}
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-1, 4),
        st.sampled_from([2.0, 1e300, 10**30, "", "2", "QUEUE", "queue", "2026-03-02T09:15:03Z", "2026-02-30", "é\0"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from([*event(), *event()["routingMetadata"], "x"]), inner, max_size=4),
    ),
    max_leaves=6,
)


def known(data: bytes, *, strict: bool) -> bool:
    """Whether a record is known at a glance; fails if care finds anything else in it."""
    found, trimmed = plain_events([data], strict=strict)
    if found:
        checked = CAREFUL[strict].check(RawRecord(Origin("x", 1), data))
        assert isinstance(checked, Event), checked
        body, dropped = trimmed.get(0) or (data, ())
        assert (checked.body, checked.raw, checked.dropped) == (body, data, dropped)
        assert bool(trimmed) == bool(dropped)
        [plain] = found
        columns = plain.interactionId, plain.eventType, plain.eventTime
        assert columns == (checked.interaction_id, checked.event_type, checked.event_time)
    return bool(found)


@settings(deadline=None, max_examples=500)
@given(st.dictionaries(st.sampled_from([*event(), "x"]), VALUES, max_size=3), st.booleans(), st.booleans())
def test_of_fields(changes: dict[str, Any], strict: bool, ascii_only: bool) -> None:  # noqa: FBT001
    """Whatever the fields of an event hold, no event is taken at a glance that would be rejected with care."""
    known(json.dumps(event(**changes), ensure_ascii=ascii_only).encode(), strict=strict)


@settings(deadline=None, max_examples=500)
@given(st.data())
def test_of_bytes(data: st.DataObject) -> None:
    """Nor is one with bytes put in, taken out or replaced anywhere."""
    text = line(1, attributes={"a": "é", "b": [1.5, {"c": None}]})
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 3, len(text))))
    put_in = data.draw(
        st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b"{}", b",", b"1", b"\\u12", b" ", b"\t"]))
    )
    if not {b"\n", b"\r"} & {bytes([byte]) for byte in put_in}:
        known(text[:start] + put_in + text[end:], strict=False)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        line(1),
        line(1, attributes={}),
        line(1, attributes={"note": "お客様", "nested": [[{"a": [1e5, -0.0, None]}]], "long": "x" * 20_000}),
        line(1, attributes={"many": [{}] * 150, "digits": "1" * 3_000}),
        json.dumps({name: value for name, value in event().items() if name != "attributes"}).encode(),
        json.dumps(dict(reversed(event().items()))).encode(),
        line(1, attributes={"emoji": "\U0001f600"}).replace("\U0001f600".encode(), b"\\ud83d\\ude00"),
    ],
)
def test_what_is_known(data: bytes, strict: bool) -> None:  # noqa: FBT001
    """Events as people write them are known at a glance."""
    assert known(data, strict=strict)


@pytest.mark.parametrize("depth", [180, 199, 200, 201, 250, 2_000, 100_000])
def test_nesting(depth: int) -> None:
    """What is nested too deeply for care is not known at a glance, however it is written."""
    for opening, closing in [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")]:
        value = opening * depth + b"1" + closing * depth
        known(line(1).replace(b'"voice"', value), strict=False)


@pytest.mark.parametrize("digits", [3_999, 4_000, 4_300, 4_301, 5_000])
def test_long_numbers(digits: int) -> None:
    """Nor is a number that is too long for care."""
    for number in (b"1" * digits, b"-" + b"1" * digits, b"0." + b"1" * digits, b"1e" + b"1" * digits):
        known(line(1).replace(b'"voice"', number), strict=False)


def test_it_ends_at_the_first_that_is_not_plain() -> None:
    """Events are given up to the first record that is not plainly one."""
    for odd in (
        b"",
        b"{}",
        line(2) + b" ",
        b" " + line(2),
        line(2, x=1).replace(b"voice", b"\xff"),
        line(2, x="s").replace(b'"s"', b'"\\ud800"'),
    ):
        found, trimmed = plain_events([line(0), line(1), odd, line(3)], strict=False)
        assert [event.interactionId for event in found] == ["interaction-0", "interaction-1"]
        assert not trimmed


def test_unknown_fields_end_it_under_strict_alone() -> None:
    """An event with fields too many is known, too, by the text that is sent of it; under --strict it is not."""
    routing = event()["routingMetadata"]
    records = [line(0, x=1), line(1), line(2, routingMetadata={"x": {}, **routing}), line(3, y=[]), b"{}", line(4, x=1)]
    found, trimmed = plain_events(records, strict=False)
    assert [event.interactionId for event in found] == [f"interaction-{number}" for number in range(4)]
    assert trimmed == {0: (line(0), ("x",)), 2: (line(2), ("routingMetadata.x",)), 3: (line(3), ("y",))}
    assert plain_events(records, strict=True) == ([], {})


def test_items() -> None:
    """The items of an array have their own bytes; text that is no array has none."""
    assert items_of(line(1) + b" ,\n" + line(2)) == [line(1), line(2)]
    for text in (line(1) + b",", line(1)[:-1], line(1) + b"]", line(1) + line(2), b"[" * 100_000):
        assert items_of(text) is None
