"""The page: the sections of the runs, and above them what the runs have in common."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eventbridge_cli.ledger.timeline import IN_FULL, RunTimeline, Timeline
from eventbridge_cli.report import charts
from eventbridge_cli.report.section import Chart, Key, ending, section, tone
from eventbridge_cli.wording import duration, safe, share


def render(found: Timeline) -> str:
    """The page for all runs of a timeline, the newest first. The same timeline gives the same page."""
    newest = list(reversed(found.runs.values()))
    sections = [section(run, run.course, f"run-{number}") for number, run in enumerate(newest, 1) if run.course]
    return (
        environment()
        .get_template("page.html")
        .render(
            found=found,
            runs=newest,
            anchors={each.run.run: each.anchor for each in sections},
            overview=_overview(newest) if len(newest) > 1 else None,
            sections=sections,
            in_full=IN_FULL,
            outcomes=charts.OUTCOMES,
        )
    )


def environment() -> Environment:
    """Templates that escape whatever they are given, and show what is no printable character as an escape."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: safe(value) if type(value) is str else value,
    )
    found.filters |= {"count": "{:,}".format, "moment": _moment, "duration": duration, "share": share}
    found.filters["argument"] = lambda value: shlex.quote(str(value))
    found.globals |= {"ending": ending, "tone": tone}
    return found


def _overview(newest: Sequence[RunTimeline]) -> Chart:
    shown = list(reversed(newest[: charts.RUNS]))
    records = sum(run.counts.read for run in shown)
    said = f"{records:,} records in {len(shown):,} runs, the oldest on the left."
    return Chart(
        "Records by run",
        said,
        Markup(charts.overview("overview", f"Records by run: {said}", shown)),  # noqa: S704 - escaped by its maker
        tuple(Key(outcome, outcome) for outcome in charts.OUTCOMES),
    )


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
