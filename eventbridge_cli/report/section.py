"""What the page says of one run: its charts, each with its figures in words, and its tables."""

from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup
from msgspec import Struct

from eventbridge_cli.errors import ExitCode
from eventbridge_cli.ledger.buckets import Bucket, Buckets
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.timeline import Course, RunTimeline
from eventbridge_cli.report import charts
from eventbridge_cli.wording import duration, safe, size

_TOP = 12  # rows of a table
_FEW = 3  # buckets: a shorter run has no course to show
_BAD = ("rejected", "refused", "pending")

_ENDINGS: dict[int, str] = {code: code.meaning for code in ExitCode}
_TONES: dict[int, str] = {
    ExitCode.DONE: "delivered",
    ExitCode.PENDING: "pending",
    ExitCode.INTERRUPTED: "pending",
    ExitCode.TERMINATED: "pending",
}


class Key(NamedTuple):
    """A colour of the palette and what it stands for."""

    color: str
    label: str


class Chart(Struct, frozen=True):
    """A drawing, the figures in it in words, and what its colours stand for."""

    title: str
    said: str
    svg: Markup
    legend: tuple[Key, ...] = ()


class Trouble(Struct, frozen=True):
    """Something that kept records back. `percent` is of the most frequent one."""

    outcome: str
    what: str
    field: str
    count: int
    percent: float
    places: tuple[str, ...]


class SourceRow(Struct, frozen=True):
    """The records of a source that did not arrive."""

    source: str
    counts: dict[str, int]

    @property
    def bad(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class Section(Struct, frozen=True):
    """A run as the page shows it; `hidden` counts the troubles that are left out."""

    run: RunTimeline
    anchor: str
    account: Markup
    figures: tuple[tuple[str, str], ...]
    over_time: tuple[Chart, ...]
    histogram: Chart | None
    reasons: tuple[tuple[str, int], ...]
    troubles: tuple[Trouble, ...]
    hidden: int
    sources: tuple[SourceRow, ...]


def section(run: RunTimeline, course: Course, anchor: str) -> Section:
    """Draw a run. `anchor` sets its ids apart from those of other runs."""
    troubles = _troubles(run, course)
    return Section(
        run=run,
        anchor=anchor,
        account=_markup(charts.account(f"{anchor}-account", run.counts)),
        figures=_figures(run, course),
        over_time=_over_time(run, course, anchor),
        histogram=_histogram(course.latency, anchor),
        reasons=tuple((key[0], seen.count) for key, seen in course.reasons.most()),
        troubles=tuple(troubles[:_TOP]),
        hidden=max(0, len(troubles) - _TOP),
        sources=_sources(course),
    )


def ending(run: RunTimeline) -> str:
    """How a run ended, in words."""
    if run.finished is None:
        return "did not finish: it was killed, or is still under way"
    code = run.finished.exit_code
    return _ENDINGS.get(code, f"ended with exit code {code}")


def tone(run: RunTimeline) -> str:
    """The colour of the palette that stands for how a run ended."""
    if run.finished is None:
        return "pending"
    return _TONES.get(run.finished.exit_code, "rejected")


def _markup(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - drawn by charts, which escape what they are given


def _figures(run: RunTimeline, course: Course) -> tuple[tuple[str, str], ...]:
    counts, end, requests = run.counts, run.finished, run.requests
    busy = course.busy.seconds
    found = course.latency
    marks = (
        {name: getattr(end.latency, name) for name in ("p50", "p90", "p99", "max")}
        if end
        else {"p50": found.quantile(0.5), "p90": found.quantile(0.9), "p99": found.quantile(0.99), "max": found.longest}
    )
    figures = [
        ("records read", f"{counts.read:,}"),
        ("run time", duration(run.seconds)),
        ("requests", f"{end.requests if end else requests.answered:,}"),
        ("retries", f"{end.retries if end else requests.retried:,}"),
        ("split requests", f"{run.splits:,}"),
        ("sent", size(end.bytes_sent if end else requests.bytes_sent)),
    ]
    if found.count:
        figures += [(f"latency {name}", duration(seconds)) for name, seconds in marks.items()]
        figures += [
            ("busy", duration(busy)),
            ("events/s, busy", f"{counts.delivered / busy:,.0f}" if busy else "0"),
        ]
    return tuple(figures)


def _over_time(run: RunTimeline, course: Course, anchor: str) -> tuple[Chart, ...]:
    buckets = course.buckets
    if len(buckets) < _FEW or not course.latency.count:
        return ()
    made = [
        _throughput(run, buckets, anchor),
        _latency(run, buckets, anchor),
        _concurrency(run, buckets, anchor),
    ]
    if course.retries:
        made.append(_retries(run, course, anchor))
    return tuple(made)


def _throughput(run: RunTimeline, buckets: Buckets, anchor: str) -> Chart:
    total = sum(bucket.delivered for bucket in buckets)
    peak, at = _peak(buckets, lambda bucket: bucket.delivered)
    said = (
        f"{total:,} events, {total / max(run.seconds, buckets.width):,.0f} a second on average; "
        f"at most {peak / buckets.width:,.0f} a second, {duration(at)} into the run."
    )
    title = "Events delivered a second"
    svg = charts.throughput(f"{anchor}-throughput", f"{title}: {said}", run, buckets)
    return Chart(title, said, _markup(svg))


def _latency(run: RunTimeline, buckets: Buckets, anchor: str) -> Chart:
    peak, at = _peak(buckets, lambda bucket: bucket.latency.longest)
    medians = [bucket.latency.quantile(0.5) for bucket in buckets if bucket.latency.count]
    said = (
        f"The median lay between {duration(min(medians))} and {duration(max(medians))}; "
        f"the longest request took {duration(peak)}, {duration(at)} into the run."
    )
    title = "Request latency"
    svg = charts.latency(f"{anchor}-latency", f"{title}: {said}", run, buckets)
    legend = (Key("flight", "line: median; band: 10 to 90 % of requests; dot: longest; logarithmic"),)
    return Chart(title, said, _markup(svg), legend)


def _concurrency(run: RunTimeline, buckets: Buckets, anchor: str) -> Chart:
    peak, at = _peak(buckets, lambda bucket: bucket.in_flight)
    waited = sum(bucket.waiting for bucket in buckets)
    said = (
        f"At most {peak / buckets.width:,.1f} on average over {duration(buckets.width)}, {duration(at)} into the run; "
        f"requests waited {duration(waited)} between attempts, all taken together."
    )
    title = "Requests in flight, and pauses"
    svg = charts.concurrency(f"{anchor}-concurrency", f"{title}: {said}", run, buckets)
    return Chart(
        title, said, _markup(svg), (Key("flight", "in flight"), Key("waiting", "waiting for the next attempt"))
    )


def _retries(run: RunTimeline, course: Course, anchor: str) -> Chart:
    causes = [cause for cause, _ in course.retries.most_common(charts.CAUSES)]
    rest = course.retries.total() - sum(course.retries[cause] for cause in causes)
    said = ", ".join(f"{course.retries[cause]:,} {_words(cause)}" for cause in causes)
    said += f", {rest:,} others." if rest else "."
    title = f"Retries in each {duration(course.buckets.width)}"
    svg = charts.retries(f"{anchor}-retries", safe(f"{title}: {said}"), run, course.buckets, causes)
    legend = [Key(f"cause-{number}", _words(cause)) for number, cause in enumerate(causes, 1)]
    legend += [Key(f"cause-{charts.CAUSES + 1}", "others")] if rest else []
    return Chart(title, said, _markup(svg), tuple(legend))


def _histogram(found: Latency, anchor: str) -> Chart | None:
    if not found.count:
        return None
    said = (
        f"{found.count:,} requests whose latency is on record: half took up to {duration(found.quantile(0.5))}, "
        f"99 % up to {duration(found.quantile(0.99))}, the longest {duration(found.longest)}."
    )
    title = "Latency of all requests"
    return Chart(title, said, _markup(charts.histogram(f"{anchor}-histogram", f"{title}: {said}", found)))


def _peak(buckets: Buckets, value: Callable[[Bucket], float]) -> tuple[float, float]:
    """The highest value of a bucket, and when its bucket begins, in seconds of the run."""
    values = [value(bucket) for bucket in buckets]
    highest = max(values)
    return highest, values.index(highest) * buckets.width


def _troubles(run: RunTimeline, course: Course) -> list[Trouble]:
    """All that kept records back, the most frequent first."""
    rows = [
        ("rejected", f"{_words(key[0])}: {_words(key[1])}" if key[1] else key[0], key[2], seen.count, seen.places)
        for key, seen in course.problems.most()
    ]
    rows += [(key[0], _words(key[1]), "", seen.count, seen.places) for key, seen in course.troubles.most()]
    open_requests = run.requests.unsettled
    if open_requests:
        events = sum(count for _, count in open_requests)
        places = [place for place, _ in open_requests[:3]]
        rows.append(("pending", "in flight when the run ended, without an outcome on record", "", events, places))
    rows.sort(key=lambda row: -row[3])
    most = rows[0][3] if rows else 1
    return [
        Trouble(outcome, what, field, count, round(100 * count / most, 1) if most else 0, tuple(places))
        for outcome, what, field, count, places in rows
    ]


def _sources(course: Course) -> tuple[SourceRow, ...]:
    rows: dict[str, dict[str, int]] = {}
    for (source, outcome), seen in course.sources.most():
        rows.setdefault(source, dict.fromkeys(_BAD, 0))[outcome or _BAD[0]] += seen.count
    return tuple(sorted((SourceRow(*row) for row in rows.items()), key=lambda row: -row.bad)[:_TOP])


def _words(code: str) -> str:
    """A code of the audit file as words: `http_503` is `HTTP 503`."""
    if code.startswith("http_2"):
        return f"named in errors[] of a good answer ({code[5:]})"
    return code.replace("http_", "HTTP ").replace("_", " ")
