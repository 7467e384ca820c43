"""The times that an event may carry: RFC 3339 date-times, and what lenient mode takes beside them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from support import event, line

from eventbridge_cli.fields import parse_event_time, parse_rfc3339
from eventbridge_cli.intake.plain import plain_events
from eventbridge_cli.models import EventBatch, EventBridgeEvent
from eventbridge_cli.schema import bulk_validator

STRICT, LENIENT = bulk_validator(strict=True), bulk_validator(strict=False)

RFC_3339 = {
    "utc": "2026-03-02T09:15:03Z",
    "milliseconds": "2026-03-02T09:15:03.123Z",
    "one digit": "2026-03-02T09:15:03.1Z",
    "nanoseconds": "2026-03-02T09:15:03.123456789Z",
    "thirty digits": "2026-03-02T09:15:03.123456789012345678901234567890Z",
    "offset ahead": "2026-03-02T09:15:03+05:30",
    "offset behind": "2026-03-02T09:15:03-08:00",
    "farthest offset": "2026-03-02T09:15:03+23:59",
    "unknown offset": "2026-03-02T09:15:03-00:00",
    "zero offset": "2026-03-02T09:15:03+00:00",
    "lower case": "2026-03-02t09:15:03z",
    "mixed case": "2026-03-02T09:15:03z",
    "midnight": "2026-03-02T00:00:00Z",
    "last second": "2026-03-02T23:59:59Z",
    "first year": "0001-01-01T00:00:00Z",
    "last year": "9999-12-31T23:59:59Z",
    "leap day": "2024-02-29T12:00:00Z",
    "leap day of a century": "2000-02-29T12:00:00Z",
    "leap second": "2016-12-31T23:59:60Z",
    "leap second in June": "2015-06-30T23:59:60Z",
    "leap second with a fraction": "1990-12-31T23:59:60.123Z",
    "leap second behind UTC": "1990-12-31T15:59:60-08:00",
    "leap second ahead of UTC": "2017-01-01T05:29:60+05:30",
    "leap second in July, locally": "2015-07-01T08:59:60+09:00",
    "leap second in lower case": "2016-12-31t23:59:60z",
}
FROMISOFORMAT = {
    "no offset": "2026-03-02T09:15:03",
    "date alone": "2026-03-02",
    "a space": "2026-03-02 09:15:03Z",
    "no seconds": "2026-03-02T09:15Z",
    "basic": "20260302T091503Z",
    "week date": "2026-W10-1T09:15:03Z",
    "comma": "2026-03-02T09:15:03,123Z",
    "offset without colon": "2026-03-02T09:15:03+0530",
    "offset of hours": "2026-03-02T09:15:03+05",
    "offset with seconds": "2026-03-02T09:15:03+05:30:15",
}
NEITHER = {
    "words": "yesterday",
    "epoch": "1772442903",
    "month 13": "2026-13-01T00:00:00Z",
    "month 0": "2026-00-01T00:00:00Z",
    "day 0": "2026-01-00T00:00:00Z",
    "30 February": "2026-02-30T00:00:00Z",
    "29 February of a common year": "2026-02-29T00:00:00Z",
    "29 February of a common century": "1900-02-29T00:00:00Z",
    "31 April": "2026-04-31T00:00:00Z",
    "year 0": "0000-01-01T00:00:00Z",
    "five digits of year": "12026-03-02T09:15:03Z",
    "minus year": "-026-03-02T09:15:03Z",
    "hour 25": "2026-03-02T25:00:00Z",
    "minute 60": "2026-03-02T09:60:00Z",
    "second 61": "2026-03-02T09:15:61Z",
    "leap second at noon": "2016-12-31T12:00:60Z",
    "leap second on another day": "2016-12-30T23:59:60Z",
    "leap second in the wrong offset": "2016-12-31T23:59:60+01:00",
    "leap second in March": "2016-03-31T23:59:60Z",
    "leap second without offset": "2016-12-31T23:59:60",
    "leap second past the last year": "9999-12-31T23:59:60Z",
    "leap second before the first year": "0001-01-01T00:59:60+01:00",
    "offset of 24 hours": "2026-03-02T09:15:03+24:00",
    "two offsets": "2026-03-02T09:15:03Z+00:00",
    "space before": " 2026-03-02T09:15:03Z",
    "space behind": "2026-03-02T09:15:03Z ",
    "line break behind": "2026-03-02T09:15:03Z\n",
    "slashes": "2026/03/02T09:15:03Z",
    "American": "03/02/2026 09:15:03",
    "month name": "Mon, 02 Mar 2026 09:15:03 GMT",
    "one digit of month": "2026-3-02T09:15:03Z",
    "Arabic digits": "\u0662\u0660\u0662\u0666-\u0660\u0663-\u0660\u0662T\u0660\u0669:\u0661\u0665:\u0660\u0663Z",
    "full-width digit": "2026-03-02T09:15:0\uff13Z",
    "true minus sign": "2026-03-02T09:15:03\u221208:00",
}
RFC_3339_FORBIDS = {
    "hour 24": "2026-03-02T24:00:00Z",
    "hour 24 with minutes": "2026-03-02T24:30:00Z",
    "a dot without digits": "2026-03-02T09:15:03.Z",
    "offset of 60 minutes": "2026-03-02T09:15:03+05:60",
    "offset of 90 minutes": "2026-03-02T09:15:03-03:90",
}
"""What Python's own parser takes in some versions, and RFC 3339 never does."""


def codes(text: str, *, strict: bool) -> list[str]:
    """The kinds of error that `text` as an event's time gives."""
    try:
        (STRICT if strict else LENIENT).validate_python(event(eventTime=text))
    except ValidationError as error:
        return [detail["type"] for detail in error.errors()]
    return []


@pytest.mark.parametrize("text", RFC_3339.values(), ids=RFC_3339)
def test_rfc_3339(text: str) -> None:
    """An RFC 3339 date-time is taken in either mode, and reads as an instant."""
    assert codes(text, strict=True) == codes(text, strict=False) == []
    assert parse_rfc3339(text).tzinfo is not None
    assert parse_event_time(text) == parse_rfc3339(text)


@pytest.mark.parametrize("text", FROMISOFORMAT.values(), ids=FROMISOFORMAT)
def test_lenient_alone(text: str) -> None:
    """What `fromisoformat` reads beyond RFC 3339 is taken without --strict alone."""
    assert codes(text, strict=False) == []
    assert codes(text, strict=True) in (["bad_time"], ["no_offset"])
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)
    assert parse_event_time(text).tzinfo is not None


@pytest.mark.parametrize("text", NEITHER.values(), ids=NEITHER)
def test_neither(text: str) -> None:
    """Anything else is a bad time in either mode."""
    assert codes(text, strict=True) == codes(text, strict=False) == ["bad_time"]
    for parse in (parse_rfc3339, parse_event_time):
        with pytest.raises(ValueError, match=r"."):
            parse(text)


@pytest.mark.parametrize("text", RFC_3339_FORBIDS.values(), ids=RFC_3339_FORBIDS)
def test_what_rfc_3339_forbids(text: str) -> None:
    """What RFC 3339 forbids is never taken under --strict, whichever version of Python reads it."""
    assert codes(text, strict=True) == ["bad_time"]


@pytest.mark.parametrize("text", ["2026-03-02T09:15:03", "2026-03-02", "2026-03-02 09:15", "20260302T091503"])
def test_a_missing_offset_is_told_apart(text: str) -> None:
    """A time that merely lacks its offset is said to, rather than to be no time at all; it counts as UTC."""
    assert codes(text, strict=True) == ["no_offset"]
    assert parse_event_time(text).utcoffset() == timedelta(0)


def test_a_leap_second_is_the_instant_after() -> None:
    """A leap second comes back as the first instant after it, in any offset."""
    midnight = datetime(2017, 1, 1, tzinfo=UTC)
    assert parse_rfc3339("2016-12-31T23:59:60Z") == parse_rfc3339("2017-01-01T05:29:60+05:30") == midnight


def test_offsets_are_minded() -> None:
    """The same instant in two offsets is the same instant."""
    assert parse_rfc3339("2026-03-02T09:15:03+05:30") == parse_rfc3339("2026-03-02T03:45:03Z")
    assert parse_rfc3339("2026-03-02T09:15:03-00:00") == parse_rfc3339("2026-03-02t09:15:03z")


@settings(deadline=None, max_examples=100)
@given(st.datetimes(timezones=st.timezones() | st.just(UTC)), st.sampled_from(["T", "t"]))
def test_any_instant_that_python_writes(moment: datetime, separator: str) -> None:
    """What `isoformat` writes, with whole minutes of offset, is read back as the same instant."""
    offset = moment.utcoffset()
    text = moment.isoformat(sep=separator)
    if offset is not None and offset % timedelta(minutes=1):
        assert codes(text, strict=True) == ["bad_time"]
    else:
        assert codes(text, strict=True) == []
        assert parse_rfc3339(text).replace(tzinfo=None) == moment.replace(tzinfo=None)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789-:.TtZz+W, \n", max_size=30))
def test_the_modes_are_nested(text: str) -> None:
    """Strict takes nothing that lenient mode does not; nothing makes either crash."""
    if not codes(text, strict=True):
        assert not codes(text, strict=False)
        assert parse_event_time(text) == parse_rfc3339(text)


TIMES = [*RFC_3339.values(), *FROMISOFORMAT.values(), *NEITHER.values(), *RFC_3339_FORBIDS.values()]
NEARLY = r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|\+0[0-9]:00)"


def at_a_glance(text: str, *, strict: bool) -> bool:
    return bool(plain_events([line(eventTime=text)], strict=strict).events)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", TIMES)
def test_the_times_that_are_known_at_a_glance(text: str, strict: bool) -> None:  # noqa: FBT001
    """What is taken at a glance would be taken with care; what people usually write is."""
    known = at_a_glance(text, strict=strict)
    assert not known or codes(text, strict=strict) == []
    assert known or text not in {RFC_3339["utc"], RFC_3339["milliseconds"], RFC_3339["offset behind"]}


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.from_regex(NEARLY, fullmatch=True), st.text("0123456789-:.TtZz+W, \n", max_size=30)), st.booleans())
def test_no_other_times_are_known_at_a_glance(text: str, strict: bool) -> None:  # noqa: FBT001
    """No time is taken on the fast way that is refused on the slow one."""
    assert not at_a_glance(text, strict=strict) or codes(text, strict=strict) == []


@pytest.mark.parametrize("odd", ["2026-03-02T09:15", "2026-03-02T09:15:03", "never"])
def test_a_glance_ends_at_the_first_odd_time(odd: str) -> None:
    """Under --strict, the events before the first time that is none are taken, and no others."""
    good, bad = line(1), line(2, eventTime=odd)
    assert [event.interactionId for event in plain_events([good, good, bad, good], strict=True).events] == 2 * [
        "interaction-1"
    ]


# The schema for bulk and the models

PATHS: list[tuple[str, ...]] = [
    *((name,) for name in event()),
    *(("routingMetadata", name) for name in ("queueId", "skill", "actionType")),
    ("unknown",),
    ("routingMetadata", "unknown"),
    ("attributes", "free"),
]
ABSENT = object()
values: st.SearchStrategy[object] = st.sampled_from(
    [
        *(
            ABSENT,
            None,
            True,
            False,
            0,
            1,
            2,
            3,
            4,
            -1,
            1.0,
            2.5,
            10**30,
            "",
            "2",
            "ANSWER",
            "answer",
            "REQUEUE",
            [],
            {},
        ),
        *([1], {"a": 1}, "2026-03-02T09:15:03Z", "2026-03-02", "yesterday", "é\u0000", {"a": {"b": [None]}}),
        {"queueId": "q", "skill": "s", "actionType": "QUEUE"},
    ]
)


def mutate(changes: list[tuple[tuple[str, ...], object]]) -> dict[str, Any]:
    """A valid event with the values at some paths replaced, added or taken away."""
    result = event()
    for (*parents, name), value in changes:
        target: Any = result
        for parent in parents:
            target = target.get(parent)
            if not isinstance(target, dict):
                break
        else:
            if value is ABSENT:
                target.pop(name, None)
            else:
                target[name] = value
    return result


def told(error: ErrorDetails) -> tuple[tuple[int | str, ...], str]:
    return error["loc"], error["type"]


def model_errors(fields: dict[str, Any]) -> set[tuple[tuple[int | str, ...], str]]:
    try:
        EventBridgeEvent.model_validate(fields)
    except ValidationError as error:
        return {told(detail) for detail in error.errors() if detail["loc"]}
    return set()


def bulk_errors(fields: dict[str, Any]) -> set[tuple[tuple[int | str, ...], str]]:
    try:
        LENIENT.validate_python(fields)
    except ValidationError as error:
        return {told(detail) for detail in error.errors() if detail["loc"]}
    return set()


KINDS_OF_OBJECT = {"model_type", "model_attributes_type", "dict_type", "typed_dict_type"}


def alike(errors: set[tuple[tuple[int | str, ...], str]]) -> set[tuple[tuple[int | str, ...], str]]:
    """The same errors, with pydantic's several names for "not an object" made one."""
    return {(place, "object" if kind in KINDS_OF_OBJECT else kind) for place, kind in errors}


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PATHS), values), max_size=4))
def test_the_two_schemas_agree(changes: list[tuple[tuple[str, ...], object]]) -> None:
    """The schema for bulk and the model `EventBridgeEvent` find the same errors at the same places."""
    fields = mutate(changes)
    assert alike(bulk_errors(fields)) == alike(model_errors(fields))


def test_the_model_is_a_library_type() -> None:
    """An event made by hand is frozen, exact in its types, and writes the JSON that the loader takes."""
    made = EventBridgeEvent.model_validate_json(line(7))
    assert made.routingMetadata.actionType == "ANSWER"
    assert LENIENT.validate_json(made.model_dump_json())["interactionId"] == "interaction-7"
    with pytest.raises(ValidationError):
        made.schemaVersion = 3
    assert EventBatch(events=[made]).events == [made]
    assert EventBridgeEvent.model_validate({k: v for k, v in event().items() if k != "attributes"}).attributes == {}
