"""`ebingest doctor`: would a run work, and if not, what is to be mended?"""

import json
import textwrap
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import typer
from msgspec import Struct
from msgspec.structs import asdict

from eventbridge_cli.cli.options import Output, TextOrJson
from eventbridge_cli.errors import ConfigurationError, EbingestError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from eventbridge_cli.doctor import Finding, Target

_STYLES = {"ok": "green", "note": "yellow", "bad": "bold red", "skipped": "dim"}
_MARGIN = " " * 30  # where what is said of a check begins
_NAME = 19  # columns for its name and the space behind it
_NARROWEST = 30


def doctor(*, output: TextOrJson = Output.TEXT) -> None:
    """Check everything that a run needs, and say what to mend; exit 0 if nothing, 3 if something.

    Settings, names, connections, certificates, clocks, the token, the ingest endpoint, files, space, locks and the
    data lake. All checks are made, even where one fails. No event is sent and nothing is changed.
    """
    import asyncio

    from eventbridge_cli.doctor import State, examine

    async def look(tell: "Callable[[Finding], None]") -> "list[Finding]":
        findings = []
        async for finding in examine(_targets()):
            findings.append(finding)
            tell(finding)
        return findings

    text = output is Output.TEXT
    page = _Page()
    findings = asyncio.run(look(page.tell if text else lambda _: None))
    exit_code = ExitCode.CONFIGURATION if any(each.state is State.BAD for each in findings) else ExitCode.DONE
    if text:
        page.sum_up(findings)
    else:
        typer.echo(json.dumps({"exit_code": exit_code, "findings": [asdict(finding) for finding in findings]}))
    raise typer.Exit(exit_code)


class _Unopened(Struct, frozen=True):
    """A target of `--sync` that can't even be opened. Its URL may hold a secret, so it has a number instead."""

    name: str
    error: EbingestError

    async def check(self) -> None:
        """Say why."""
        raise self.error


def _targets() -> "list[Target]":
    """The targets that the settings name; none where those are wrong, which is a finding of its own."""
    from eventbridge_cli.settings import load
    from eventbridge_cli.sync import open_lane

    targets: list[Target] = []
    try:
        settings = load()
    except ConfigurationError:
        return targets
    for number, url in enumerate(settings.sync, 1):
        try:
            targets.append(open_lane(settings, url, settings.sync_content, settings.sync_format).target)
        except EbingestError as error:
            targets.append(_Unopened(f"target {number}", error))
    return targets


class _Page:
    """Prints each finding as it comes, under the heading of its group; lines are wrapped on a terminal alone."""

    def __init__(self) -> None:
        from eventbridge_cli.cli.console import Console

        self._console = Console()
        self._group = ""

    def tell(self, finding: "Finding") -> None:
        """One finding: what it came to, and what to do about it."""
        from rich.text import Text

        from eventbridge_cli.wording import safe

        if finding.group != self._group:
            self._line(Text(f"\n{finding.group}" if self._group else finding.group, style="bold"))
            self._group = finding.group
        style = _STYLES[finding.state]
        name, detail = safe(finding.name), finding.detail
        alone = len(name) > _NAME - len("  ")  # the URL of a target, with which its error begins as well
        first, *rest = self._wrapped(detail.removeprefix(f"{finding.name} ") if alone else detail) or [""]
        if alone:
            first, rest = "", [first, *rest]
        dim = "dim" if style == "dim" else ""
        self._line(Text.assemble("  ", (f"{finding.state:9}", style), (f"{name:{_NAME}}{first}".rstrip(), dim)))
        for line in rest:
            self._line(Text(_MARGIN + line))
        for line in self._wrapped(finding.remedy):
            self._line(Text(_MARGIN + line, style="" if style == "dim" else "cyan"))

    def sum_up(self, findings: "list[Finding]") -> None:
        """How many of each kind, the worst first."""
        from rich.text import Text

        count = Counter(finding.state.value for finding in findings)
        if not count["bad"]:
            notes = f", with {count['note']} to note" if count["note"] else ""
            self._line(Text(f"\nReady: nothing has to be mended{notes}.", style="bold green"))
            return
        words = {"bad": "to mend", "note": "to note", "skipped": "skipped"}
        parts = [f"{count[name]} {word}" for name, word in words.items() if count[name]]
        self._line(Text(f"\nNot ready: {', '.join(parts)}.", style="bold red"))

    def _wrapped(self, text: str) -> list[str]:
        from eventbridge_cli.wording import safe

        lines = [safe(line) for line in text.splitlines()]
        if not self._console.is_terminal:
            return lines
        width = max(_NARROWEST, self._console.width - len(_MARGIN))
        wrap = partial(textwrap.wrap, width=width, break_long_words=False, break_on_hyphens=False)
        return [piece for line in lines for piece in wrap(line)]

    def _line(self, text: "Text") -> None:
        self._console.print(text, soft_wrap=True)
