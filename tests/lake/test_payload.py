"""From a batch to objects: dates, names, bytes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_support import batch, entry
from support import line

from eventbridge_cli.errors import TargetError
from eventbridge_cli.facts import OutboxEntry
from eventbridge_cli.lake.payload import event_lines, microseconds, ndjson, receipt_lines, utc_date
from eventbridge_cli.lake.target import Content
from eventbridge_cli.packing import packed

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(timezones=OFFSETS)
ENTRIES = st.lists(
    st.builds(
        lambda number, bodies, at: entry(number, *bodies, delivered_at=at),
        st.integers(0, 99),
        st.lists(TIMES.map(lambda time: line(0, eventTime=time.isoformat())), min_size=1, max_size=5),
        st.datetimes(timezones=st.just(UTC)),
    ),
    min_size=1,
    max_size=5,
)


@given(ENTRIES)
def test_every_record_stands_in_exactly_one_object(entries: list[OutboxEntry]) -> None:
    """No receipt and no event is lost, doubled or changed, and the objects' names differ."""
    whole = batch(*entries)
    for encode, content in ((receipt_lines, Content.RECEIPTS), (event_lines, Content.EVENTS)):
        objects = encode(whole)
        written = b"".join(each.data for each in objects).splitlines()
        assert sorted(written) == sorted(ndjson(whole, content).splitlines())
        assert len({each.path for each in objects}) == len(objects)
        assert encode(whole) == objects


def test_receipts_are_parted_by_the_day_of_delivery() -> None:
    """Two entries to each side of midnight UTC go to two dates, under the batch's name."""
    before, after = entry(0), entry(1, delivered_at=datetime(2026, 3, 3, tzinfo=UTC))
    whole = batch(before, after)
    assert [(each.path, each.data) for each in receipt_lines(whole)] == [
        (f"date=2026-03-02/{whole.name}.ndjson", before.receipt + b"\n"),
        (f"date=2026-03-03/{whole.name}.ndjson", after.receipt + b"\n"),
    ]


def test_events_are_parted_by_the_utc_day_of_their_time() -> None:
    """An offset moves an event to another date; without one the time is UTC. The bytes stay the event's own."""
    late = line(1, eventTime="2026-03-02T23:30:00-01:00", attributes={"rate": 1.10}).replace(b"1.1}", b"1.10}")
    local = line(2, eventTime="2026-03-02T23:30:00")
    whole = batch(entry(0, late, local))
    assert [(each.path.partition("/")[0], each.data) for each in event_lines(whole)] == [
        ("date=2026-03-02", local + b"\n"),
        ("date=2026-03-03", late + b"\n"),
    ]


@given(TIMES)
def test_the_date_is_that_of_the_instant(moment: datetime) -> None:
    """Whatever the offset, up to the ends of the calendar, where the nearest date is taken."""
    try:
        expected = moment.astimezone(UTC).date()
    except OverflowError:
        expected = moment.date()
    assert utc_date(microseconds(moment.isoformat())) == expected


@pytest.mark.parametrize(
    ("time", "day"), [("2016-12-31T23:59:60Z", "2017-01-01"), ("0001-01-01T00:00+14:00", "0001-01-01")]
)
def test_odd_times_have_a_date(time: str, day: str) -> None:
    """A leap second, and an instant before the year 1."""
    [only] = event_lines(batch(entry(0, line(0, eventTime=time))))
    assert only.path.startswith(f"date={day}/")


def test_a_time_is_read_as_every_parser_reads_it() -> None:
    """Of two times the last counts, however it is spelled, and those of other objects are none."""
    attributes = {"eventTime": "2026-03-05T00:00:00Z"}
    twice = line(0, attributes=attributes)[:-1] + b', "event\\u0054ime" :\t"2026\\u002d03-04T00:00:00Z" }'
    [only] = event_lines(batch(entry(0, twice)))
    assert only.path.startswith("date=2026-03-04/")
    assert only.data == twice + b"\n"


def test_events_that_the_outbox_does_not_have_are_missed() -> None:
    """An entry without events is an error where events are wanted: nothing passes for handed over in silence."""
    bare = OutboxEntry("request-1", "run-1", datetime.now(UTC), b"{", packed(b""))
    with pytest.raises(TargetError, match="request-1") as caught:
        event_lines(batch(entry(0), bare))
    assert caught.value.permanent
