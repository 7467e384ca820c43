"""Runs over time: nothing is lost when buckets merge, and nothing grows with the file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge_cli.ledger.buckets import LIMIT, Buckets
from eventbridge_cli.ledger.entries import Started
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.requests import Coverage, Requests
from eventbridge_cli.ledger.sightings import OTHER, Sightings
from eventbridge_cli.ledger.timeline import IN_FULL, LISTED, Timeline

TIMES = st.floats(0, 1e8, allow_nan=False)


@given(st.lists(TIMES, max_size=60))
def test_buckets_keep_all_that_is_put_in_them(times: list[float]) -> None:
    """However often the width doubles: every event and latency is in exactly one bucket, and there are few buckets."""
    buckets = Buckets()
    for time in times:
        bucket = buckets.at(time)
        bucket.delivered += 3
        bucket.latency.add(0.1)
        bucket.retries["timeout"] += 1
    assert sum(bucket.delivered for bucket in buckets) == 3 * len(times)
    assert sum(bucket.latency.count for bucket in buckets) == len(times)
    assert sum(bucket.retries["timeout"] for bucket in buckets) == len(times)
    assert len(buckets) <= LIMIT


@given(st.lists(st.tuples(TIMES, st.floats(0, 1e6)), max_size=20))
def test_buckets_keep_the_length_of_intervals(intervals: list[tuple[float, float]]) -> None:
    """The seconds of an interval are shared among the buckets that it lies in, to the last one."""
    buckets = Buckets()
    for begin, length in intervals:
        for bucket, seconds in buckets.over(begin, begin + length):
            bucket.in_flight += seconds
    total = sum((begin + length) - begin for begin, length in intervals)
    assert sum(bucket.in_flight for bucket in buckets) == pytest.approx(total, abs=1e-4)


def test_buckets_do_not_grow_with_what_is_counted() -> None:
    """200,000 events over 200 days: at most so many buckets, and none of the events is missing."""
    buckets = Buckets()
    for number in range(200_000):
        buckets.at(number * 86.4).delivered += 1
    assert LIMIT // 2 < len(buckets) <= LIMIT
    assert sum(bucket.delivered for bucket in buckets) == 200_000
    assert buckets.width * len(buckets) >= 199_999 * 86.4


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30))
def test_coverage_counts_time_once(intervals: list[tuple[int, int]]) -> None:
    """Time that several intervals cover counts once, as a count of covered seconds says."""
    coverage = Coverage()
    ends = sorted((begin + length, begin) for begin, length in intervals)
    for end, begin in ends:
        coverage.add(begin, end)
    assert coverage.seconds == len({second for end, begin in ends for second in range(begin, end)})


@given(st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=50), st.integers(1, 40))
def test_bars_hold_every_latency(seconds: list[float], most: int) -> None:
    """The bars of a histogram follow on each other, hold each latency once, and are no more than asked for."""
    latency = Latency()
    for each in seconds:
        latency.add(each)
    bars = latency.bars(most)
    assert len(bars) <= most
    assert sum(count for _, _, count in bars) == len(seconds)
    assert [high for _, high, _ in bars[:-1]] == [low for low, _, _ in bars[1:]]
    assert bars[0][0] <= min(seconds) * 1.001
    assert max(seconds) <= bars[-1][1] * 1.001
    assert latency.bars(most) == bars


def test_no_latencies_have_no_bars() -> None:
    """Nothing measured, nothing drawn."""
    assert Latency().bars(10) == []


def test_sightings_do_not_grow_with_the_data() -> None:
    """10,000 different names: 500 are told apart, the rest is one; all are counted, long ones are cut."""
    sightings = Sightings()
    for number in range(10_000):
        sightings.add("rejected", f"{number}-{'x' * 10_000}", place=f"f:{number}")
    found = sightings.most()
    assert len(found) == 501
    assert found[0][0] == (OTHER, "")
    assert sum(seen.count for _, seen in found) == 10_000
    assert max(len(word) for key, _ in found for word in key) <= 200
    assert all(len(seen.places) <= 3 for _, seen in found)


def test_requests_without_outcome_do_not_pile_up() -> None:
    """A file in which no request ever gets an outcome is followed for the newest of them alone."""
    requests = Requests()
    for number in range(30_000):
        requests.submit(f"request-{number}", number, events=1, size=1, place="")
    assert len(requests.unsettled) == 10_000


def test_a_retry_of_what_was_left_over_counts_its_attempt_once() -> None:
    """The good answer that left events out stands in the line of what it delivered; what is left only waits."""
    requests = Requests()
    requests.submit("whole", 0.0, events=3, size=30, place="f:1-3")
    assert requests.settle("whole", 1.0, seconds=1.0).in_flight == (0.0, 1.0)
    assert requests.retry("rest", 1.0, number=1, seconds=1.0, delay=2.0).in_flight is None
    assert requests.submit("rest", 3.0, events=1, size=10, place="f:2").waiting == (1.0, 3.0)
    assert requests.settle("rest", 3.5, seconds=0.5).in_flight == (3.0, 3.5)
    assert (requests.answered, requests.retried, requests.bytes_sent) == (2, 1, 40)


def test_an_outcome_without_an_answer_is_no_attempt() -> None:
    """A run that stops while a request waits leaves it pending: it has waited, and nothing was posted."""
    requests = Requests()
    requests.submit("one", 0.0, events=1, size=10, place="f:1")
    requests.retry("one", 1.0, number=1, seconds=0.5, delay=9.0)
    passed = requests.settle("one", 4.0, attempts=1)
    assert (passed.waiting, passed.in_flight) == ((1.0, 4.0), None)
    assert (requests.answered, requests.unsettled) == (1, [])


def test_runs_do_not_pile_up() -> None:
    """Of more runs than can be listed the newest are kept, and the course of the very newest alone."""
    found = Timeline(Path("audit.jsonl"))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(LISTED + 30):
        time = (began + timedelta(hours=number)).isoformat()
        found.take(Started(time=time, run=f"run-{number}", event="RUN_STARTED", previous=""))
    assert list(found.runs) == [f"run-{number}" for number in range(30, LISTED + 30)]
    assert found.unlisted == 30
    assert [run.run for run in found.runs.values() if run.course] == list(found.runs)[-IN_FULL:]
