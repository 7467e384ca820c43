"""What `ingest` and `replay` have in common: print the plan, or run the job and print the account."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from eventbridge_cli.cli.options import Output
from eventbridge_cli.cli.writing import is_device, is_stdout, written

if TYPE_CHECKING:
    from eventbridge_cli.cli.advice import Given
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.cli.watching import Watching
    from eventbridge_cli.flow import DeliveredKeys
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.ledger.account import ErrorBudget
    from eventbridge_cli.run import Job
    from eventbridge_cli.settings import Settings


def written_by(settings: "Settings", *, letters: bool = True) -> dict[str, Path | None]:
    """What a run writes, by what each is for; without dead letters where it is those that it reads."""
    return {
        "the audit file": settings.audit,
        "the dead letters": settings.dead_letters if letters else None,
        "the summary file": settings.summary_file,
        "the metrics file": settings.metrics_textfile,
    }


def followed_by(screen: "Screen", *, verbose: bool) -> dict[str, Any]:
    """What a job is given for the screen to follow it."""
    return {
        "watch": screen.watch,
        "observe": screen.fact if verbose else lambda _: None,
        "warn": screen.warn,
        "insist": screen.insist,
    }


def show_plan(
    intake: "Intake",
    settings: "Settings",
    screen: "Screen",
    output: Output,
    budget: "ErrorBudget",
    *,
    looks_back: bool = True,
) -> NoReturn:
    """Print what a run would send, and end. Unless it `looks_back`, nothing is known of what earlier runs delivered.

    Raises:
        TooManyErrorsError: more records are bad than the budget allows.
        StorageError: the record of what earlier runs delivered can't be read.
    """
    from eventbridge_cli.chunks import Chunk
    from eventbridge_cli.cli.accounts import show_counts, show_dropped_fields, show_skipped, show_troubles
    from eventbridge_cli.errors import ExitCode
    from eventbridge_cli.intake.dedupe import skip_delivered
    from eventbridge_cli.intake.read import read
    from eventbridge_cli.ledger.account import Account
    from eventbridge_cli.wording import counted

    tally, chunks, events, size = Account(), 0, 0, 0
    with _delivered_before(settings) if looks_back else nullcontext() as delivered, screen.watch(tally, intake.meter):
        for item in intake.chunks() if delivered is None else skip_delivered(intake.chunks(), delivered):
            if isinstance(item, Chunk):
                chunks += 1
                events += len(item.events)
                size += len(item.body)
                tally.came_in(item.events)
            else:
                tally.read(item)
                budget.check(tally.counts)
    budget.check(tally.counts, at_end=True)
    rate = settings.requests_per_second
    least = max(chunks - 1, 0) / rate if rate else None
    counts = tally.counts
    if output is Output.JSON:
        plan = {"events": events, "bytes": size, "chunks": chunks, "requests": chunks, "least_seconds": least}
        account = {"read": counts.read, "duplicate": counts.duplicate, "rejected": counts.rejected}
        typer.echo(json.dumps({"plan": plan, "counts": account}))
    show_counts(
        screen,
        "Dry run: nothing was sent",
        {"read": counts.read, "to send": events, "duplicate": counts.duplicate, "rejected": counts.rejected},
    )
    screen.say(f"  {size:,} bytes in {counted(chunks, 'chunk')}, so at least {counted(chunks, 'request')}")
    if least is not None:
        screen.say(f"  at {settings.rate} that takes at least {least:,.0f} s")
    if intake.strict and counts.rejected:
        screen.say("  but nothing as things are: --strict wants every record good")
    show_skipped(screen, tally.skipped, can_resend=intake.reader is read)
    if settings.sync:
        from eventbridge_cli.sync import lanes_of

        for lane in lanes_of(settings):
            screen.say(f"  {settings.sync_content} would go to {lane.destination.target}")
    show_troubles(screen, tally)
    show_dropped_fields(screen, dict(tally.dropped_fields))
    raise typer.Exit(ExitCode.SOME_BAD if counts.rejected else ExitCode.DONE)


def _delivered_before(settings: "Settings") -> AbstractContextManager["DeliveredKeys | None"]:
    """What earlier runs delivered; None if there is no record of it, or no knowing which."""
    from eventbridge_cli.endpoints import endpoints
    from eventbridge_cli.ledger.delivered import store_of
    from eventbridge_cli.ledger.remembered import remembered
    from eventbridge_cli.ledger.standing import is_there

    where = endpoints(settings)
    if not where.ingest_url or not settings.identity:
        return nullcontext()
    database = store_of(settings.state_folder, where.ingest_url, settings.identity)
    return remembered(database, remember_days=settings.remember) if is_there(database) else nullcontext()


def carry_out(job: "Job", screen: "Screen", output: Output, watched: "Watching", given: "Given") -> NoReturn:
    """Run a job, print its account, and end with its exit code, or that of a summary file that can't be written.

    `given` are options that the command was given, and that the next one may have to be given, too.
    """
    from eventbridge_cli.cli.accounts import show_summary
    from eventbridge_cli.errors import EbingestError
    from eventbridge_cli.ledger.writable import check_file
    from eventbridge_cli.run import ingest

    summary_file, to_print = job.settings.summary_file, output is Output.JSON
    if summary_file is not None and is_stdout(summary_file):
        summary_file, to_print = None, True
    for path in (summary_file, None if job.letters else job.settings.dead_letters):
        if path is not None and not is_device(path):
            check_file(path)
    summary = ingest(watched.of(job))
    show_summary(screen, summary, given, kept=job.state is None, replayed=job.letters is not None)
    document = json.dumps(summary.as_dict())
    exit_code, stopped = summary.exit_code, summary.stopped["code"] if summary.stopped else ""
    try:
        try:
            if to_print:
                typer.echo(document)
        finally:
            with written(summary_file) as file:
                if file is not None:
                    file.write(document.encode() + b"\n")
    except EbingestError as error:  # told here: to tell it on standard output would spoil the document there
        screen.error(error)
        exit_code, stopped = error.exit_code, error.code
    watched.finish(exit_code, stopped)
    raise typer.Exit(exit_code)
