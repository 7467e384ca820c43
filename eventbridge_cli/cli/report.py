"""`ebingest report`: look at runs."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from eventbridge_cli.cli.audit import AuditFile


def report(
    file: AuditFile = None,
    *,
    run: Annotated[
        str, typer.Option(metavar="ID", help="One run alone; the beginning of its id will do.", show_default=False)
    ] = "",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; - is stdout.")
    ] = Path("report.html"),
) -> None:
    """Make a page of the runs in an audit file: what became of the records, how fast, what went wrong.

    It is one HTML file, for the screen and for paper, that needs no network and no scripts. A page that is there
    already is replaced. Exit 1 if the file has no run.
    """
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.cli.writing import written
    from eventbridge_cli.errors import ConfigurationError, UsageError
    from eventbridge_cli.ledger.timeline import timeline
    from eventbridge_cli.settings import load
    from eventbridge_cli.wording import counted

    try:
        from eventbridge_cli.report.page import render
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The report needs {error.name}.", "Install it with: pip install 'ebingest[report]'"
        ) from error

    path = file or load().audit
    # pathlib's own question raises where a folder may not be entered.
    if os.path.exists(output) and os.path.exists(path) and output.samefile(path):  # noqa: PTH110
        raise UsageError(f"{output} is the audit file itself.", "Give the page a file of its own with --output.")
    found = timeline(path, run)
    if run and not found.runs:
        raise UsageError(
            f"There is no run {run} in {path}.", f"List the runs with: ebingest audit show {shlex.quote(str(path))}"
        )
    page = render(found)
    with written(output) as stream:
        if stream is not None:
            stream.write(page.encode())
    where = "standard output" if str(output) == "-" else output
    Screen().say(f"Report of {counted(len(found.runs), 'run')} written to {where}.")
    raise typer.Exit(0 if found.runs else 1)
