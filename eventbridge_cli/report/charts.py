"""The charts of a run, each an SVG for the page."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from eventbridge_cli.ledger.account import Counts
from eventbridge_cli.ledger.buckets import Buckets
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.timeline import RunTimeline
from eventbridge_cli.report.drawing import COLORS, drawn
from eventbridge_cli.wording import duration

OUTCOMES = ("delivered", "duplicate", "rejected", "refused", "pending")
"""The parts of an account, in the order in which they are drawn."""
CAUSES = 4
"""Causes of retries that have a colour of their own."""
RUNS = 60
"""Runs in the overview's chart."""

_LEAST = 0.004  # share of the bar that even a single record gets
_BARS = 30
_EDGES = 8  # of the bars of a histogram, that are named
_TICKS = 8  # of a time axis
_AT_THE_END = 0.96  # share of an x axis from which on half the longest label has no room any more
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400  # seconds
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12, 24)),
)
_ROUND = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]  # seconds


def account(name: str, counts: Counts) -> str:
    """What became of the records, as one bar."""
    parts = {outcome: getattr(counts, outcome) for outcome in OUTCOMES}
    total = sum(parts.values())
    title = f"Of {total:,} records: " + ", ".join(f"{count:,} {outcome}" for outcome, count in parts.items())
    with drawn(name, title, height=26, bottom=0) as canvas:
        axes = canvas.axes
        axes.set_axis_off()
        axes.set_position((0, 0, 1, 1))
        axes.set(xlim=(0, 1), ylim=(-0.5, 0.5))
        widths = {outcome: max(count / total, _LEAST) for outcome, count in parts.items() if count} or {"rule": 1.0}
        left, scale = 0.0, sum(widths.values())
        for outcome, width in widths.items():
            axes.barh(0, width / scale, left=left, height=1, color=COLORS[outcome], edgecolor=COLORS["page"])
            left += width / scale
    return canvas.svg


def throughput(name: str, title: str, run: RunTimeline, buckets: Buckets) -> str:
    """Events delivered a second, over time."""
    rates = [bucket.delivered / buckets.width for bucket in buckets]
    with drawn(name, title) as canvas:
        edges = _time_axis(canvas.axes, run, buckets)
        canvas.axes.stairs(rates, edges, fill=True, color=COLORS["delivered"], alpha=0.25, linewidth=0)
        canvas.axes.stairs(rates, edges, color=COLORS["delivered"], linewidth=1.2)
        _count_axis(canvas.axes)
    return canvas.svg


def latency(name: str, title: str, run: RunTimeline, buckets: Buckets) -> str:
    """How long requests took, over time: the median, the middle four fifths, and the longest."""
    found = [bucket.latency for bucket in buckets]
    low, middle, high = ([_quantile(each, share) for each in found] for share in (0.1, 0.5, 0.9))
    longest = [each.longest if each.count else math.nan for each in found]
    with drawn(name, title) as canvas:
        axes = canvas.axes
        edges = _time_axis(axes, run, buckets)
        axes.set_yscale("log")
        axes.stairs(high, edges, baseline=low, fill=True, color=COLORS["flight"], alpha=0.3, linewidth=0)
        axes.hlines(middle, edges[:-1], edges[1:], color=COLORS["flight"], linewidth=1.6)
        centers = [(begin + end) / 2 for begin, end in pairwise(edges)]
        axes.plot(centers, longest, "o", markersize=2, color=COLORS["flight"], markeredgewidth=0)
        known = [each for each in found if each.count]
        _log_axis(axes, min(each.quantile(0.1) for each in known), max(each.longest for each in known))
    return canvas.svg


def concurrency(name: str, title: str, run: RunTimeline, buckets: Buckets) -> str:
    """How many requests were on the way, and how many waited to be sent again, over time."""
    flight = [bucket.in_flight / buckets.width for bucket in buckets]
    both = [bucket.waiting / buckets.width + on_the_way for bucket, on_the_way in zip(buckets, flight, strict=True)]
    with drawn(name, title) as canvas:
        axes = canvas.axes
        edges = _time_axis(axes, run, buckets)
        axes.stairs(both, edges, baseline=flight, fill=True, color=COLORS["waiting"], alpha=0.75, linewidth=0)
        axes.stairs(flight, edges, fill=True, color=COLORS["flight"], alpha=0.75, linewidth=0)
        _count_axis(axes)
    return canvas.svg


def retries(name: str, title: str, run: RunTimeline, buckets: Buckets, causes: Sequence[str]) -> str:
    """Attempts that were followed by another one, by cause: those of `causes`, and all others together."""
    series = [[bucket.retries[cause] for bucket in buckets] for cause in causes]
    series.append([bucket.retries.total() - sum(bucket.retries[cause] for cause in causes) for bucket in buckets])
    with drawn(name, title) as canvas:
        edges = _time_axis(canvas.axes, run, buckets)
        below = [0] * len(buckets)
        for number, counts in enumerate(series, 1):
            above = [count + base for count, base in zip(counts, below, strict=True)]
            color = COLORS[f"cause-{number if number <= len(causes) else CAUSES + 1}"]
            canvas.axes.stairs(above, edges, baseline=below, fill=True, color=color, linewidth=0)
            below = above
        _count_axis(canvas.axes)
    return canvas.svg


def histogram(name: str, title: str, found: Latency) -> str:
    """How many requests took how long."""
    bars = found.bars(_BARS)
    edges = [bar[0] for bar in bars] + [bars[-1][1]]
    with drawn(name, title, height=130) as canvas:
        axes = canvas.axes
        axes.set_xscale("log")
        axes.set_xlim(edges[0], edges[-1])
        for low, high, count in bars:
            axes.bar(low, count, width=high - low, align="edge", color=COLORS["flight"], edgecolor=COLORS["page"])
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            at = found.quantile(share)
            axes.axvline(at, color=COLORS["ink"], linewidth=0.8, linestyle=(0, (3, 2)))
            axes.annotate(
                label,
                (at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
            )
        named = edges[:: len(edges) // _EDGES + 1]
        _name_ticks(axes, named, [duration(seconds) for seconds in named])
        axes.xaxis.set_minor_locator(NullLocator())
        _count_axis(axes)
    return canvas.svg


def overview(name: str, title: str, runs: Sequence[RunTimeline]) -> str:
    """What became of the records of each run."""
    with drawn(name, title) as canvas:
        below = [0] * len(runs)
        for outcome in OUTCOMES:
            counts = [getattr(run.counts, outcome) for run in runs]
            canvas.axes.bar(range(len(runs)), counts, bottom=below, width=0.8, color=COLORS[outcome], linewidth=0)
            below = [count + base for count, base in zip(counts, below, strict=True)]
        ends = [0, len(runs) - 1]
        canvas.axes.set_xticks(ends, [f"{runs[end].began.astimezone(UTC):%Y-%m-%d %H:%M}" for end in ends])
        first, last = canvas.axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        canvas.axes.set_xlim(-0.5, max(len(runs), 12) - 0.5)
        _count_axis(canvas.axes)
    return canvas.svg


def _quantile(found: Latency, share: float) -> float:
    return found.quantile(share) if found.count else math.nan


def _time_axis(axes: Axes, run: RunTimeline, buckets: Buckets) -> list[float]:
    """Let the x axis be the time of day in UTC, and give the edges of the buckets in seconds since 1970."""
    began = run.began.timestamp()
    edges = [began + number * buckets.width for number in range(len(buckets) + 1)]
    span = edges[-1] - began
    step = next((step for step in _STEPS if span / step <= _TICKS), math.ceil(span / _TICKS / _DAY) * _DAY)
    ticks = [number * step for number in range(math.ceil(began / step), math.floor(edges[-1] / step) + 1)]
    axes.set_xlim(edges[0], edges[-1])
    _name_ticks(axes, ticks, [_time_of_day(tick, step, span) for tick in ticks])
    return edges


def _name_ticks(axes: Axes, ticks: Sequence[float], names: Sequence[str]) -> None:
    """Put ticks on the x axis, whose limits are set. A name below its end stands left of its tick, to be whole."""
    axes.set_xticks(ticks, names)
    from_data, to_share = axes.get_xaxis_transform(), axes.transAxes.inverted()
    for tick, label in zip(ticks, axes.get_xticklabels(), strict=True):
        if to_share.transform(from_data.transform((tick, 0)))[0] > _AT_THE_END:
            label.set_horizontalalignment("right")


def _time_of_day(time: float, step: float, span: float) -> str:
    moment = datetime.fromtimestamp(round(time, 1), UTC)
    if step < 1:
        return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"
    if span > _DAY:
        return f"{moment:%b %d}" if step >= _DAY else f"{moment:%b %d %H:%M}"
    return f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"


def _count_axis(axes: Axes) -> None:
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _log_axis(axes: Axes, lowest: float, highest: float) -> None:
    """From the round number below all to the one above all, with each round number in between marked."""
    first = min(max(bisect_right(_ROUND, lowest) - 1, 0), len(_ROUND) - 2)
    last = min(max(bisect_left(_ROUND, highest), first + 1), len(_ROUND) - 1)
    step = (last - first) // 5 + 1
    axes.set_ylim(_ROUND[first], _ROUND[last])
    axes.set_yticks(_ROUND[first : last + 1 : step])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))
