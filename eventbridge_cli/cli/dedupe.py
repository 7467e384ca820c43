"""`ebingest dedupe`: write each event once."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from eventbridge_cli.cli.options import (
    INTAKE,
    Inputs,
    Jobs,
    Keys,
    MaxRecordBytes,
    OutputFile,
    Progress,
    Quiet,
    ShowProgress,
    Strict,
    Window,
    WindowSize,
)
from eventbridge_cli.cli.reading import INTERRUPTED, intake_of
from eventbridge_cli.cli.writing import written


def dedupe(
    inputs: Inputs = None,
    *,
    output: OutputFile = None,
    key: Keys = None,
    window: Window = None,
    window_size: WindowSize = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Name both places of every copy.", rich_help_panel=INTAKE)
    ] = False,
    strict: Strict = False,
    max_record_bytes: MaxRecordBytes = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
    progress: ShowProgress = Progress.AUTO,
) -> None:
    """Write each event once, as NDJSON.

    Exit 0 unless a record is bad (1). The first event with a key stays; its values keep their own text. A later one
    is left out and counted; where its content differs from the first it is a conflict, and counted as such too.
    """
    from eventbridge_cli.cli.accounts import show_account
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.errors import ExitCode, InterruptedRunError
    from eventbridge_cli.flow import Duplicate, Rejection
    from eventbridge_cli.ledger.account import Account
    from eventbridge_cli.signals import interruptible
    from eventbridge_cli.wording import counted

    output = output or Path("-")
    intake = intake_of(
        inputs,
        strict=strict,
        own_files={"the output": output},
        key=key,
        window=window,
        window_size=window_size,
        max_record_bytes=max_record_bytes,
        jobs=jobs,
    )
    screen, tally = Screen(quiet=quiet, progress=progress), Account()
    stopped: InterruptedRunError | None = None
    try:
        with ExitStack() as files:
            files.enter_context(interruptible(INTERRUPTED))
            out = files.enter_context(written(output))
            assert out is not None  # noqa: S101 - there is a path
            files.enter_context(screen.watch(tally, intake.meter))
            for checked in intake.unique(to_copy=True):
                for _, item in tally.outcomes(checked, copies=explain):
                    if isinstance(item, Duplicate) and explain:
                        screen.duplicate(item)
                    elif isinstance(item, Rejection) and not quiet:
                        screen.rejection(item)
                out.write(checked.bodies(checked.size))
    except InterruptedRunError as error:
        stopped = error
    counts = tally.counts
    unique = counts.read - counts.duplicate - counts.rejected
    rows = {"read": counts.read, "unique": unique, "duplicate": counts.duplicate, "rejected": counts.rejected}
    show_account(screen, "Deduplicated", rows, tally)
    if tally.conflicts:
        how = "" if explain else "; --explain names them"
        screen.warn(f"{counted(tally.conflicts, 'conflict')} among the duplicates, where the content differs{how}.")
    if stopped is not None:
        screen.error(stopped)
        raise typer.Exit(stopped.exit_code)
    raise typer.Exit(ExitCode.SOME_BAD if counts.rejected else ExitCode.DONE)
