"""All that people read, on standard error. Text that comes from data is shown as text and nothing else."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from eventbridge_cli.cli.advice import RUN_AGAIN, how_to_hand_on, how_to_mend, how_to_satisfy_strict
from eventbridge_cli.cli.options import Progress as When
from eventbridge_cli.cli.progress import bar, lines
from eventbridge_cli.wording import counted, duration, safe, share, size

if TYPE_CHECKING:
    from rich.console import Console

    from eventbridge_cli.cli.advice import Given
    from eventbridge_cli.errors import EbingestError
    from eventbridge_cli.facts import Fact
    from eventbridge_cli.flow import Duplicate, Rejection
    from eventbridge_cli.intake.sources import Meter
    from eventbridge_cli.ledger.account import Account
    from eventbridge_cli.ledger.summary import Summary

__all__ = ["Screen", "safe"]

_BAR = 30
_NAMES = 11  # columns for the names of an account
_TOP = 10
_STYLES = {
    "delivered": "green",
    "valid": "green",
    "unique": "green",
    "duplicate": "cyan",
    "rejected": "red",
    "refused": "red",
    "pending": "yellow",
}


Part = str | tuple[str, str]
"""Text, or text and its style."""


_PLAIN = str.maketrans({"━": "=", "…": "..."})
"""What is shown instead, where standard error can't show what we draw with."""


class Screen:
    """Writes to standard error; `quiet` keeps everything off it but errors and what must not go unsaid.

    With `goes_on` a reader that has gone, or a full disk, does not end what is told of: the rest is told to nobody.
    """

    def __init__(self, *, quiet: bool = False, progress: When = When.AUTO, goes_on: bool = False) -> None:
        self._quiet = quiet
        self._tolerated = (OSError,) if goes_on else ()
        self._progress = progress
        self._console = _console(progress, goes_on=goes_on)
        self._draws = (sys.stderr.encoding or "utf-8").lower().startswith("utf")

    def say(self, text: str, style: str = "") -> None:
        """One line, unless quiet."""
        if not self._quiet:
            self._line((safe(text), style))

    def warn(self, message: str) -> None:
        """Something odd that does not end the run."""
        self.say(f"Note: {message}", "yellow")

    def insist(self, message: str) -> None:
        """Something that was promised is missing, and nothing else will tell: it is told even if quiet."""
        self._line((f"Note: {safe(message)}", "yellow"))

    def error(self, error: "EbingestError") -> None:
        """What ended the run, and what to do about it."""
        first, *rest = _lines(error.message)
        self._line(("Error: ", "bold red"), first)
        for line in rest + _lines(error.remedy):
            self._line(line)

    def rejection(self, rejection: "Rejection") -> None:
        """All that is wrong with a record, a line each."""
        for problem in rejection.problems:
            code = f"  [{rejection.reason}/{problem.code}]"
            self._line((safe(str(rejection.origin)), "bold"), ": ", safe(str(problem)), (code, "dim"))

    def duplicate(self, duplicate: "Duplicate") -> None:
        """Both places of a copy."""
        word = "conflict" if duplicate.conflict else "duplicate"
        what = "differs in content from" if duplicate.conflict else "is a copy of"
        self._line(f"{word}: {safe(str(duplicate.event.origin))} {what} {safe(str(duplicate.first))}")

    def fact(self, fact: "Fact") -> None:
        """What --verbose tells of a run while it lasts."""
        from eventbridge_cli.facts import HandOver, Receipt, Retried, Split, SyncState, TokenIssued
        from eventbridge_cli.flow import Rejection

        match fact:
            case Retried(request_id, attempt):
                wait = f"again in {duration(attempt.delay or 0)}"
                self.say(f"{request_id}: attempt {attempt.number} gave {attempt.outcome}, {wait}", "dim")
            case Split(request_id, parts, cause):
                self.say(f"{request_id}: {cause}, sent again in {counted(len(parts), 'part')}", "dim")
            case TokenIssued(expires_in):
                self.say(f"A token was issued, good for {expires_in:,.0f} s.", "dim")
            case HandOver(target, state=SyncState.RETRYING | SyncState.FAILED as state):
                self.say(f"{target}: {state}, {fact.message}", "dim")
            case Receipt(warning=warning) if warning:
                self.say(f"{fact.request_id}: delivered, although {warning}", "dim")
            case Rejection():
                self.rejection(fact)
            case _:
                pass

    def _line(self, *parts: Part) -> None:
        if not self._draws:
            parts = tuple(
                part.translate(_PLAIN) if isinstance(part, str) else (part[0].translate(_PLAIN), part[1])
                for part in parts
            )
        with suppress(*self._tolerated):
            if self._console is None:
                sys.stderr.write("".join(part if isinstance(part, str) else part[0] for part in parts) + "\n")
                return
            from rich.text import Text

            self._console.print(Text.assemble(*parts), soft_wrap=True)

    @contextmanager
    def watch(self, tally: "Account", meter: "Meter") -> Iterator[None]:
        """Show how far a run has come: a bar on a terminal, a line every so often elsewhere."""
        if self._quiet or self._progress == When.NEVER:
            yield
        elif self._console is not None and self._console.is_terminal:
            with bar(self._console, tally, meter):
                yield
        else:
            with lines(self._line, tally, meter):
                yield

    # Summaries

    def counts(self, title: str, rows: dict[str, int]) -> None:
        """An account: a title, and a row for each count with its share of the first."""
        if self._quiet:
            return
        self._line((title, "bold"))
        for parts in _account(rows):
            self._line(*parts)

    def troubles(self, tally: "Account") -> None:
        """What was wrong, most frequent first, with one place each."""
        found = sorted(tally.troubles.values(), key=lambda trouble: -trouble.count)
        self._troubles([asdict(trouble) for trouble in found])

    def _troubles(self, troubles: list[dict[str, Any]]) -> None:
        if not troubles or self._quiet:
            return
        self._line(("\nWhat is wrong", "bold"))
        for each in troubles[:_TOP]:
            what = f"{each['reason']}: {each['code']}" + (f" in {each['path']}" if each["path"] else "")
            first = f"first at {each['example']}" + (f": {each['said']}" if each["said"] else "")
            self._line((f"{each['count']:>10,}", "red"), f"  {safe(what)}")
            self._line((f"{'':12}{safe(first)}", "dim"))
        if len(troubles) > _TOP:
            self._line(f"  and {counted(len(troubles) - _TOP, 'reason')} more")

    def dropped_fields(self, dropped: dict[str, int]) -> None:
        """Fields that the schema does not have, left out of what is sent."""
        if dropped:
            names = ", ".join(f"{name} ({count:,})" for name, count in list(dropped.items())[:_TOP])
            self.warn(f"fields that the schema does not have were left out: {names}.")

    def summary(self, summary: "Summary", given: "Given", *, kept: bool = True, replayed: bool = False) -> None:
        """The account of a run that was `given` some options.

        `kept` tells whether its state outlives it, `replayed` whether it sent dead letters.
        """
        if self._quiet:
            if summary.exit_code:
                self._shortfalls(summary, given)
            return
        self.counts(f"Run {summary.run}, {duration(summary.seconds)}", summary.counts)
        if summary.requests:
            self._delivery(summary)
        self._troubles(summary.troubles)
        self.sync(summary.sync)
        self._line("")
        self.dropped_fields(summary.dropped_fields)
        if summary.conflicts:
            self.warn(
                f"{counted(summary.conflicts, 'conflict')} among the duplicates, where the content differs; "
                "see them with: ebingest dedupe --explain"
            )
        for warning, count in summary.warnings.items():
            self.warn(f"{counted(count, 'request')} counted as delivered although {warning}.")
        if summary.unknown_outcomes:
            unknown = counted(summary.unknown_outcomes, "request")
            self.warn(f"{unknown} got no answer; each is sent again under the same id.")
        for name, path in summary.files.items():
            self._line(f"{name.replace('_', ' ').capitalize():13} {safe(path)}")
        self._next(summary, given, kept=kept, replayed=replayed)

    def sync(self, syncs: list[dict[str, Any]]) -> None:
        """What was handed to the data lake, and what waits; what is failed waits as well, for somebody.

        A message is about what is not settled yet. That is an error, to be told even if quiet.
        """
        if syncs and not self._quiet:
            self._line(("\nData lake", "bold"))
        for each in syncs:
            target, message = safe(each["target"]), safe(each["message"])
            settled = not (each["pending"] or each["failed"] or message)
            parts = [f"{each['synced']:,} handed over"]
            parts += [f"{each[name]:,} {name}" for name in ("pending", "failed") if each[name]]
            if not self._quiet:
                self._line(f"  {target}  ", (", ".join(parts), "green" if settled else "yellow"))
                if message:
                    self._line(f"    {message}")
            elif not settled:
                self._line(("Error: ", "bold red"), f"{target}  {', '.join(parts)}. {message}")

    def _shortfalls(self, summary: "Summary", given: "Given") -> None:
        """Each reason why the run did not end with exit code 0, in a line, even if quiet."""
        counts, letters = summary.counts, summary.files.get("dead_letters")
        bad = ", ".join(f"{counts[name]:,} {name}" for name in ("rejected", "refused") if counts[name])
        number = counts["rejected"] + counts["refused"]
        found = []
        if summary.stopped:
            found.append(f"{summary.stopped['message']} {summary.stopped['remedy']}")
        elif summary.withheld:
            found.append(f"nothing was sent, {bad}. Next: {how_to_satisfy_strict(counts['rejected'])}")
        elif counts["pending"]:
            cause = next(iter(summary.pending_causes)).rstrip(".")
            found.append(f"{counts['pending']:,} pending: {cause}. Next: {RUN_AGAIN}")
        if bad and not summary.withheld:
            kept = f", kept in {letters}" if letters else ""
            advice = "; ".join(how_to_mend(given, letters, number, summary.troubles))
            found.append(f"{bad}{kept}. Next: {advice}")
        for line in found:
            self._line(("Error: ", "bold red"), safe(line))
        self.sync(summary.sync)

    def skipped(self, runs: Mapping[str, int], *, can_resend: bool = True) -> None:
        """How many events earlier runs had delivered."""
        for run, count in runs.items():
            resend = "; --resend sends them all the same" if can_resend else ""
            self.say(f"Skipped       {count:,} that run {run} delivered{resend}")

    def _delivery(self, summary: "Summary") -> None:
        latency = summary.latency
        retries = f", {counted(summary.retries, 'retry')}" if summary.retries else ""
        self._line(("\nDelivery", "bold"))
        self._line(
            f"  {counted(summary.requests, 'request')}{retries}, {size(summary.bytes_sent)} in "
            f"{duration(summary.busy_seconds)}: {summary.events_per_second:,.0f} events/s"
        )
        marks = "   ".join(f"{name} {duration(latency[name])}" for name in ("p50", "p90", "p99", "max"))
        self._line(f"  latency  {marks}")
        most = max(row["requests"] for row in latency["histogram"])
        for row in latency["histogram"]:
            if row["requests"]:
                bound = f"up to {duration(row['up_to'])}" if row["up_to"] else "longer"
                bar = "━" * max(1, round(_BAR * row["requests"] / most))
                self._line(f"  {bound:>13} ", (bar, "blue"), f" {row['requests']:,}")

    def _next(self, summary: "Summary", given: "Given", *, kept: bool, replayed: bool) -> None:
        """What to do next, where something is amiss."""
        self.skipped(summary.delivered_earlier, can_resend=not replayed)
        if not summary.read_to_end:
            self._line("Input         not read to its end; what is left of it is in none of these counts")
        advice = []
        bad = summary.counts["rejected"] + summary.counts["refused"]
        if summary.stopped:
            self._line("\n", ("Stopped: ", "bold red"), safe(summary.stopped["message"]))
            advice += _lines(summary.stopped["remedy"])
        elif summary.withheld:
            self._line("\n", ("Nothing was sent: ", "bold yellow"), "--strict wants every record good.")
            advice.append(how_to_satisfy_strict(bad))
        elif summary.counts["pending"]:
            cause = next(iter(summary.pending_causes))
            self._line("\n", ("Pending: ", "bold yellow"), safe(cause))
            advice.append(RUN_AGAIN)
        if bad and not summary.withheld:
            advice += how_to_mend(given, summary.files.get("dead_letters"), bad, summary.troubles)
        waiting = {each["target"]: left for each in summary.sync if (left := each["pending"] + each["failed"])}
        if waiting and kept:
            failed = [each["target"] for each in summary.sync if each["failed"]]
            advice.append(how_to_hand_on(given, waiting, failed))
        elif waiting:
            left = sum(waiting.values())
            self.warn(f"{counted(left, 'receipt')} did not reach the data lake and will go with the sandbox's state.")
        for line in advice:
            self._line(("Next: ", "bold"), safe(line))


def _console(progress: When, *, goes_on: bool) -> "Console | None":
    """What shows styles, or None where nobody could see them: then the text is all there is, and rich is not loaded."""
    asked = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    if progress != When.ALWAYS and not sys.stderr.isatty() and not any(name in os.environ for name in asked):
        return None
    from eventbridge_cli.cli.console import Console

    return Console(stderr=True, force_terminal=True if progress == When.ALWAYS else None, goes_on=goes_on)


def _account(rows: dict[str, int]) -> Iterator[tuple[Part, ...]]:
    total = next(iter(rows.values()))
    cells: list[tuple[str, str, str, str, str]] = []
    for index, (name, count) in enumerate(rows.items()):
        style = _STYLES.get(name, "") if count else "dim"
        percent, bar = "", ""
        if index and count:
            percent, bar = share(count, total), "━" * max(1, round(_BAR * count / total))
        cells.append((style, f"  {name}", f"{count:,}", percent, bar))
    _, names, counts, shares, bars = (max(map(len, column)) for column in zip(*cells, strict=True))
    for style, name, figure, percent, bar in cells:
        padded = f"{name:{max(names, _NAMES)}}", f"{figure:>{counts}}", f"{bar:{bars}}"
        yield (padded[0], style), "  ", (padded[1], style), f"  {percent:>{shares}}  ", (padded[2], style)


def _lines(text: str) -> list[str]:
    """Lines of a message of our own, each made safe: it may quote data."""
    return [safe(line) for line in text.splitlines()]
