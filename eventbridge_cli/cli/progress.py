"""How far a run has come, told while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventbridge_cli.repeating import every
from eventbridge_cli.wording import duration

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod

    from eventbridge_cli.intake.sources import Meter
    from eventbridge_cli.ledger.account import Account, Counts

_REFRESHES = 5  # a second
_LINE_SECONDS = 30.0


@contextmanager
def bar(console: "Console", tally: "Account", meter: "Meter") -> Iterator[None]:
    """A bar, and the counts below it, for as long as the body runs."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    progress = Progress(
        BarColumn(),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        console=console,
        auto_refresh=False,
        expand=True,
    )
    task = progress.add_task("", total=meter.total)

    overflow: OverflowMethod = "ellipsis" if console.encoding.startswith("utf") else "crop"

    def picture() -> Group:
        progress.update(task, completed=meter.read)
        return Group(progress, Text(_counts_line(tally), no_wrap=True, overflow=overflow))

    with Live(get_renderable=picture, console=console, transient=True, refresh_per_second=_REFRESHES):
        yield


@contextmanager
def lines(write: Callable[[str], None], tally: "Account", meter: "Meter") -> Iterator[None]:
    """A line every 30 seconds, for as long as the body runs."""
    with every(_LINE_SECONDS, lambda: write(_progress_line(tally, meter)), name="progress"):
        yield


def _counts_line(tally: "Account") -> str:
    counts: Counts = tally.counts
    seconds = max(tally.clock() - tally.started, 0.001)
    parts = [f"{counts.read:,} read"]
    parts += [f"{counts.delivered:,} delivered"] if tally.chunks else []
    bad = counts.rejected + counts.refused
    parts.append(f"{bad:,} {'rejected' if not counts.refused else 'rejected or refused'}")
    parts += [f"{tally.in_flight} in flight"] if tally.chunks else []
    parts.append(f"{counts.read / seconds:,.0f}/s")
    return ", ".join(parts)


def _progress_line(tally: "Account", meter: "Meter") -> str:
    share = f" ({100 * meter.read / meter.total:.0f} % of the input)" if meter.total else ""
    return f"{duration(tally.clock() - tally.started)}: {_counts_line(tally)}{share}"
