"""The charts, where the figures in them are not enough to know that they can be read."""

import re
from datetime import UTC, datetime

import pytest

from eventbridge_cli.ledger.buckets import Buckets
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.timeline import RunTimeline
from eventbridge_cli.report import charts
from eventbridge_cli.report.drawing import POINTS

_CHARACTER = 6  # points; more than any digit takes


def assert_whole(svg: str) -> None:
    """No name below the x axis goes over the right edge."""
    names = re.findall(r'text-anchor: (middle|end)[^>]* x="([0-9.]+)"[^>]*>([^<]*[:a-z][^<]*)<', svg)
    assert names
    for anchor, x, text in names:
        width = len(text) * _CHARACTER
        assert float(x) + (width / 2 if anchor == "middle" else 0) <= POINTS, text


@pytest.mark.parametrize("seconds", [0.45, 0.95, 7.95, 60, 3_599, 86_000, 200_000, 8_000_000])
def test_the_times_of_an_axis_are_not_cut_off(seconds: float) -> None:
    """Those at its very end neither."""
    buckets = Buckets()
    buckets.at(seconds)
    run = RunTimeline("run", datetime(2026, 3, 2, 23, 59, 59, 603_000, tzinfo=UTC))
    assert_whole(charts.throughput("run", "Events delivered a second", run, buckets))


@pytest.mark.parametrize("bars", [1, 2, 5, 8, 30])
def test_the_durations_of_a_histogram_are_not_cut_off(bars: int) -> None:
    """The last of them neither."""
    found = Latency()
    for number in range(bars):
        found.add(0.142 * 1.02**number)
    assert_whole(charts.histogram("run", "Latency of all requests", found))


def test_latencies_beyond_the_last_round_number() -> None:
    """A forged file may have them: the axis still goes from one round number to another, and nothing is said of it."""
    buckets = Buckets()
    buckets.at(0.25).latency.add(1e9)
    run = RunTimeline("run", datetime(2026, 3, 2, tzinfo=UTC))
    assert "<svg" in charts.latency("run", "Request latency", run, buckets)
