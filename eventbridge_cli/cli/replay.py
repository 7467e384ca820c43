"""`ebingest replay`: send dead letters again."""

from typing import Annotated

import typer

from eventbridge_cli.cli.loading import carry_out, followed_by, show_plan, written_by
from eventbridge_cli.cli.options import (
    AuditFile,
    Keys,
    MaxRecordBytes,
    MetricsTextfile,
    Otlp,
    Output,
    Progress,
    Quiet,
    ShowProgress,
    StateFolder,
    SummaryAs,
    Sync,
    SyncContent,
    SyncFormat,
    SyncGrace,
    SyncRequired,
    Verbose,
)
from eventbridge_cli.cli.watching import watching
from eventbridge_cli.flow import Reason


def replay(
    letters: Annotated[str, typer.Argument(metavar="DEAD_LETTERS", help="A dead-letter file.", show_default=False)],
    *,
    reason: Annotated[
        list[Reason] | None,
        typer.Option(
            "--reason",
            metavar="REASON",
            help=f"Send letters with this reason alone: {', '.join(Reason)}. Repeatable.",
            show_default="all",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but post, and print the plan.")] = False,
    key: Keys = None,
    max_record_bytes: MaxRecordBytes = None,
    output: SummaryAs = Output.TEXT,
    audit: AuditFile = None,
    state: StateFolder = None,
    sync: Sync = None,
    sync_content: SyncContent = None,
    sync_format: SyncFormat = None,
    sync_grace: SyncGrace = None,
    sync_required: SyncRequired = None,
    metrics_textfile: MetricsTextfile = None,
    otlp: Otlp = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    progress: ShowProgress = Progress.AUTO,
) -> None:
    """Send dead letters again, mended or as they are.

    Nothing is deleted, and nothing that was delivered meanwhile is sent. To mend a letter, edit its "record": the
    text as it was read, or the event as a JSON object. Records keep the place where they were first read, so that
    the audit file tells their whole story. A record that fails again makes no new letter; the old one stands. What
    the run was given by --key, --audit and --state, its replay has to be given, too; all other settings come from
    the environment or .env.
    """
    from msgspec.structs import replace

    from eventbridge_cli.cli.reading import intake_of
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.intake.letters import Letters
    from eventbridge_cli.ledger.account import ErrorBudget
    from eventbridge_cli.settings import load

    screen = Screen(quiet=quiet, progress=progress, goes_on=True)
    settings = load(
        key=key,
        max_record_bytes=max_record_bytes,
        audit=audit,
        state=state,
        sync=sync or None,
        sync_content=sync_content,
        sync_format=sync_format,
        sync_grace=sync_grace,
        sync_required=sync_required,
        metrics_textfile=metrics_textfile,
        otlp=otlp,
    )
    with watching(None if dry_run else settings.metrics_textfile, screen.warn) as watched:
        intake = intake_of([letters], settings, strict=False, own_files=written_by(settings, letters=False))
        intake = replace(intake, reader=Letters([each.value for each in reason or []]))
        if dry_run:
            show_plan(intake, settings, screen, output, ErrorBudget())
        from eventbridge_cli.run import Job

        job = Job(settings=settings, intake=intake, **followed_by(screen, verbose=verbose))
        carry_out(job, screen, output, watched, {"--key": key, "--audit": audit, "--state": state})
