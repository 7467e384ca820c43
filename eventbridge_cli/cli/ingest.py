"""`ebingest ingest`: validate, deduplicate, cut, post and account."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from eventbridge_cli.cli.loading import carry_out, followed_by, show_plan, written_by
from eventbridge_cli.cli.options import (
    DELIVERY,
    FILES,
    INTAKE,
    AuditFile,
    DeadLetters,
    Inputs,
    Jobs,
    Keys,
    MaxErrors,
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
    Window,
    WindowSize,
)
from eventbridge_cli.cli.reading import intake_of
from eventbridge_cli.cli.watching import watching


def ingest(
    inputs: Inputs = None,
    *,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="Send to a stand-in platform on this machine, made for this run."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but post, and print the plan.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Read everything first and send nothing unless every record is good; "
            "take RFC 3339 times alone, reject unknown fields.",
        ),
    ] = False,
    resend: Annotated[bool, typer.Option("--resend", help="Send what earlier runs delivered all the same.")] = False,
    output: SummaryAs = Output.TEXT,
    key: Keys = None,
    window: Window = None,
    window_size: WindowSize = None,
    max_record_bytes: MaxRecordBytes = None,
    jobs: Jobs = None,
    max_errors: MaxErrors = None,
    chunk_events: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="N",
            help="Events in a request, at most. \\[env: EBINGEST_CHUNK_EVENTS]",
            show_default="100",
            rich_help_panel=INTAKE,
        ),
    ] = None,
    chunk_bytes: Annotated[
        int | None,
        typer.Option(
            min=200,
            max=500_000,
            metavar="N",
            help="Bytes in a request, at most. \\[env: EBINGEST_CHUNK_BYTES]",
            show_default="500000",
            rich_help_panel=INTAKE,
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="N",
            help="Requests in flight at once, at most. \\[env: EBINGEST_CONCURRENCY]",
            show_default="5",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="N/UNIT",
            help="Requests, at most, as in 240/min. \\[env: EBINGEST_RATE]",
            show_default="what the platform allows",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Wait so long for an answer. \\[env: EBINGEST_TIMEOUT]",
            show_default="30",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="POSTs of a chunk before it is left pending. \\[env: EBINGEST_MAX_ATTEMPTS]",
            show_default="8",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    max_elapsed: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Retry a chunk for so long. \\[env: EBINGEST_MAX_ELAPSED]",
            show_default="300",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    max_wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="A longer Retry-After ends the run, all of it pending. \\[env: EBINGEST_MAX_WAIT]",
            show_default="180",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    max_duration: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="End the run after so long, the rest pending. \\[env: EBINGEST_MAX_DURATION]",
            show_default="no limit",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Let requests in flight settle for so long when interrupted. \\[env: EBINGEST_GRACE]",
            show_default="30",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    lock_wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Wait so long for another run that holds the state. \\[env: EBINGEST_LOCK_WAIT]",
            show_default="0",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    audit: AuditFile = None,
    dead_letters: DeadLetters = None,
    summary_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the summary there as JSON. \\[env: EBINGEST_SUMMARY_FILE]",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    state: StateFolder = None,
    remember: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="Keep delivered keys for so long. \\[env: EBINGEST_REMEMBER]",
            show_default="7",
            rich_help_panel=FILES,
        ),
    ] = None,
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
    """Load events: validate, deduplicate, post, and account for every record.

    What earlier runs delivered is not sent again, so that the same command resumes a run that was cut short.
    """
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.ledger.account import ErrorBudget
    from eventbridge_cli.settings import load

    flags: dict[str, Any] = {
        "key": key,
        "window": window,
        "window_size": window_size,
        "max_record_bytes": max_record_bytes,
        "jobs": jobs,
        "chunk_events": chunk_events,
        "chunk_bytes": chunk_bytes,
        "concurrency": concurrency,
        "rate": rate,
        "timeout": timeout,
        "max_attempts": max_attempts,
        "max_elapsed": max_elapsed,
        "max_wait": max_wait,
        "max_duration": max_duration,
        "grace": grace,
        "lock_wait": lock_wait,
        "audit": audit,
        "dead_letters": dead_letters,
        "summary_file": summary_file,
        "state": state,
        "remember": remember,
        "sync": sync or None,
        "sync_content": sync_content,
        "sync_format": sync_format,
        "sync_grace": sync_grace,
        "sync_required": sync_required,
        "metrics_textfile": metrics_textfile,
        "otlp": otlp,
    }
    screen = Screen(quiet=quiet, progress=progress, goes_on=True)
    settings = load(**flags)
    with ExitStack() as around:
        watched = around.enter_context(watching(None if dry_run else settings.metrics_textfile, screen.warn))
        budget = ErrorBudget.parse(max_errors)
        intake = intake_of(inputs, settings, strict=strict, own_files=written_by(settings))
        if dry_run:
            show_plan(intake, settings, screen, output, budget, looks_back=not (sandbox or resend))
        folder = None
        if sandbox:
            from eventbridge_cli.sandbox.process import SandboxProcess

            platform = around.enter_context(SandboxProcess())
            folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="ebingest-")))
            screen.say(f"Sandbox: a stand-in platform at {platform.url}, made for this run.")
            settings = settings.against(platform.url, platform.client_id, platform.client_secret)
        items = None
        if intake.shared > 1 and not strict:
            from eventbridge_cli.intake.apart import apart

            items = around.enter_context(apart(intake))
        from eventbridge_cli.run import Job

        job = Job(
            settings=settings,
            intake=intake,
            items=items,
            state=folder,
            resend=resend,
            max_errors=budget,
            **followed_by(screen, verbose=verbose),
        )
        carry_out(job, screen, output, watched, {"--key": key, "--audit": audit, "--state": state})
