"""All that people read, on standard error. Text that comes from data is shown as text and nothing else."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from eventbridge_cli.cli.options import Progress as When
from eventbridge_cli.cli.progress import bar, lines
from eventbridge_cli.wording import counted, duration, safe

if TYPE_CHECKING:
    from rich.console import Console

    from eventbridge_cli.errors import EbingestError
    from eventbridge_cli.facts import Fact
    from eventbridge_cli.flow import Duplicate, Rejection
    from eventbridge_cli.intake.sources import Meter
    from eventbridge_cli.ledger.account import Account

Part = str | tuple[str, str]
"""Text, or text and its style."""


_PLAIN = str.maketrans({"━": "=", "…": "..."})
"""What is shown instead, where standard error can't show what we draw with."""


class Screen:
    """Writes to standard error; `quiet` keeps everything off it but errors and what must not go unsaid.

    With `goes_on` a reader that has gone, or a full disk, does not end what is told of: the rest is told to nobody.
    """

    def __init__(self, *, quiet: bool = False, progress: When = When.AUTO, goes_on: bool = False) -> None:
        self.quiet = quiet
        self._tolerated = (OSError,) if goes_on else ()
        self._progress = progress
        self._console = _console(progress, goes_on=goes_on)
        self._draws = (sys.stderr.encoding or "utf-8").lower().startswith("utf")

    def say(self, text: str, style: str = "") -> None:
        """One line, unless quiet."""
        if not self.quiet:
            self.line((safe(text), style))

    def warn(self, message: str) -> None:
        """Something odd that does not end the run."""
        self.say(f"Note: {message}", "yellow")

    def insist(self, message: str) -> None:
        """Something that was promised is missing, and nothing else will tell: it is told even if quiet."""
        self.line((f"Note: {safe(message)}", "yellow"))

    def error(self, error: "EbingestError") -> None:
        """What ended the run, and what to do about it."""
        first, *rest = _lines(error.message)
        self.line(("Error: ", "bold red"), first)
        for line in rest + _lines(error.remedy):
            self.line(line)

    def rejection(self, rejection: "Rejection") -> None:
        """All that is wrong with a record, a line each."""
        for problem in rejection.problems:
            code = f"  [{rejection.reason}/{problem.code}]"
            self.line((safe(str(rejection.origin)), "bold"), ": ", safe(str(problem)), (code, "dim"))

    def duplicate(self, duplicate: "Duplicate") -> None:
        """Both places of a copy."""
        word = "conflict" if duplicate.conflict else "duplicate"
        what = "differs in content from" if duplicate.conflict else "is a copy of"
        self.line(f"{word}: {safe(str(duplicate.event.origin))} {what} {safe(str(duplicate.first))}")

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

    def line(self, *parts: Part) -> None:
        """One line of parts that are shown as they are: whoever quotes data has made it `safe`. Even if quiet."""
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
        if self.quiet or self._progress == When.NEVER:
            yield
        elif self._console is not None and self._console.is_terminal:
            with bar(self._console, tally, meter):
                yield
        else:
            with lines(self.line, tally, meter):
                yield


def _console(progress: When, *, goes_on: bool) -> "Console | None":
    """What shows styles, or None where nobody could see them: then the text is all there is, and rich is not loaded."""
    asked = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    if progress != When.ALWAYS and not sys.stderr.isatty() and not any(name in os.environ for name in asked):
        return None
    from eventbridge_cli.cli.console import Console

    return Console(stderr=True, force_terminal=True if progress == When.ALWAYS else None, goes_on=goes_on)


def _lines(text: str) -> list[str]:
    """Lines of a message of our own, each made safe: it may quote data."""
    return [safe(line) for line in text.splitlines()]
