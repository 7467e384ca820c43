"""`ebingest validate`: check events and say what is wrong with them."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from msgspec.structs import asdict

from eventbridge_cli.cli.options import (
    FILES,
    Inputs,
    Jobs,
    MaxErrors,
    MaxRecordBytes,
    Progress,
    Quiet,
    ShowProgress,
    Strict,
)
from eventbridge_cli.cli.reading import INTERRUPTED, intake_of
from eventbridge_cli.cli.writing import written

if TYPE_CHECKING:
    from eventbridge_cli.bulk import Checked
    from eventbridge_cli.flow import Rejection
    from eventbridge_cli.ledger.account import Account


class Output(StrEnum):
    """How the findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def validate(
    inputs: Inputs = None,
    *,
    strict: Strict = False,
    output: Annotated[
        Output,
        typer.Option("--output", "-o", help="text for people, json, or annotations for GitHub Actions."),
    ] = Output.TEXT,
    valid_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the valid events there, as NDJSON.", rich_help_panel=FILES),
    ] = None,
    invalid_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the bad records there, as they were read.", rich_help_panel=FILES),
    ] = None,
    max_errors: MaxErrors = None,
    max_record_bytes: MaxRecordBytes = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
    progress: ShowProgress = Progress.AUTO,
) -> None:
    """Check events against the schema, and say what is wrong with them.

    Exit 0 if every record is valid, 1 if not. Every problem is named with its file, line and field, what was found
    and what is allowed. Nothing is sent.
    """
    from eventbridge_cli.cli.accounts import show_account
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.errors import EbingestError, ExitCode, TooManyErrorsError
    from eventbridge_cli.flow import Rejection
    from eventbridge_cli.ledger.account import Account, ErrorBudget
    from eventbridge_cli.signals import interruptible

    intake = intake_of(
        inputs,
        strict=strict,
        own_files={
            f"what -o {output} prints": None if output is Output.TEXT else Path("-"),
            "the valid events": valid_out,
            "the bad records": invalid_out,
        },
        max_record_bytes=max_record_bytes,
        jobs=jobs,
    )
    budget = ErrorBudget.parse(max_errors)
    screen, tally = Screen(quiet=quiet, progress=progress), Account()
    report = {
        Output.TEXT: screen.rejection,
        Output.JSON: _json_reporter(),
        Output.GITHUB: _annotate,
    }[output]
    stopped: EbingestError | None = None
    try:
        with ExitStack() as files:
            whole = files.enter_context(interruptible(INTERRUPTED))
            valid = files.enter_context(written(valid_out))
            invalid = files.enter_context(written(invalid_out, private=True))
            files.enter_context(screen.watch(tally, intake.meter))

            def tell(rejection: Rejection) -> None:
                if not quiet or output is not Output.TEXT:
                    report(rejection)
                if invalid is not None and rejection.data is not None:
                    invalid.write(rejection.data + b"\n")
                budget.check(tally.counts)

            try:
                for checked in intake.checked():
                    with whole():
                        _take(checked, tally, tell, valid)
                budget.check(tally.counts, at_end=True)
            except TooManyErrorsError as error:  # the files are kept
                stopped = error
    except EbingestError as error:
        if not tally.counts.read:
            raise
        stopped = error
    counts = {"read": tally.counts.read, "valid": tally.counts.read - tally.counts.rejected}
    counts["rejected"] = tally.counts.rejected
    if output is Output.JSON:
        problems = [asdict(trouble) for trouble in tally.troubles.values()]
        end: dict[str, object] = {"counts": counts, "troubles": problems, "dropped_fields": dict(tally.dropped_fields)}
        if stopped is not None:
            end["stopped"] = stopped.as_dict()
        opening = "" if tally.counts.rejected else '{"rejections":['
        typer.echo(f"{opening}],{json.dumps(end)[1:]}")
    else:
        show_account(screen, "Validated", counts, tally)
    if stopped is not None:
        screen.error(stopped)
        raise typer.Exit(stopped.exit_code)
    raise typer.Exit(ExitCode.SOME_BAD if tally.counts.rejected else ExitCode.DONE)


def _take(checked: "Checked", tally: "Account", tell: "Callable[[Rejection], None]", valid: BinaryIO | None) -> None:
    """Count records, tell of the bad ones and keep the others, up to where `tell` raises."""
    from eventbridge_cli.flow import Rejection

    done = 0
    try:
        for index, item in tally.outcomes(checked):
            done = index + 1
            if isinstance(item, Rejection):
                tell(item)
        done = checked.size
    finally:
        if valid is not None:
            valid.write(checked.bodies(done))


def _json_reporter() -> "Callable[[Rejection], None]":
    """Prints one JSON object piece by piece, so that a million findings need no memory."""
    before = '{"rejections":['

    def report(rejection: "Rejection") -> None:
        nonlocal before
        origin = rejection.origin
        document = {
            "source": origin.source,
            "line": origin.line,
            "column": origin.column,
            "index": origin.index,
            "stage": rejection.stage,
            "reason": rejection.reason,
            "problems": [asdict(problem) for problem in rejection.problems],
        }
        typer.echo(before + json.dumps(document), nl=False)
        before = ",\n"

    return report


def _annotate(rejection: "Rejection") -> None:
    """An annotation for each problem, as GitHub Actions reads them from a job's output."""
    origin = rejection.origin
    for problem in rejection.problems:
        title = _property(f"{rejection.reason}/{problem.code}")
        place = f"file={_property(origin.source)},line={origin.line},title={title}"
        item = f"[{origin.index}] " if origin.index is not None else ""
        typer.echo(f"::error {place}::{_data(item + str(problem))}")


def _data(text: str) -> str:
    text = "".join(c if c.isprintable() or c in "\r\n" else c.encode("unicode_escape").decode() for c in text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
