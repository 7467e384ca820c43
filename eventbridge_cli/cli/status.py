"""`ebingest status`: where things stand, and what to type next."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from eventbridge_cli.cli.advice import how_to_hand_on
from eventbridge_cli.cli.loading import Output
from eventbridge_cli.errors import ExitCode

if TYPE_CHECKING:
    from eventbridge_cli.ledger.history import RunStory
    from eventbridge_cli.ledger.standing import Scope, Standing


def status(
    *,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The audit file of the runs. \\[env: EBINGEST_AUDIT]",
            show_default="ingestion_audit.jsonl",
        ),
    ] = None,
    dead_letters: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where bad records are kept. \\[env: EBINGEST_DEAD_LETTERS]",
            show_default="dead_letters.ndjson",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where delivered keys are kept. \\[env: EBINGEST_STATE]",
            show_default="the user's state folder",
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text for people, or json.")] = Output.TEXT,
) -> None:
    """Say what is delivered, pending and dead, and what to type next.

    It only reads: it looks at the state folder, and at the audit file and the dead letters of this folder or of the
    settings.
    """
    from platformdirs import user_state_path

    from eventbridge_cli.cli.screen import safe
    from eventbridge_cli.ledger.standing import standing
    from eventbridge_cli.settings import load

    settings = load(audit=audit, dead_letters=dead_letters, state=state)
    found = standing(settings.state or user_state_path("ebingest"), settings.audit, settings.dead_letters)
    if output is Output.JSON:
        typer.echo(json.dumps(_document(found, settings.audit)))
        return
    for scope in found.scopes:
        typer.echo(safe(_scope(scope)))
    typer.echo(safe(_last_run(found, settings.audit)))
    for scope in found.scopes:
        for target, count in scope.waiting.items():
            typer.echo(safe(f"Data lake: {count:,} receipts wait for {target}"))
    if found.dead:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.dead.items())
        typer.echo(safe(f"Dead letters in {settings.dead_letters}: {reasons}"))
    for advice in _advice(found, settings.dead_letters):
        typer.echo(safe(f"Next: {advice}"))


def _document(found: "Standing", audit: Path) -> dict[str, object]:
    last_run = found.last_run and found.last_run.as_dict()
    document: dict[str, object] = to_builtins(found)
    return document | {"audit": str(audit), "last_run": last_run, "pending": found.pending}


def _scope(scope: "Scope") -> str:
    if scope.problem:
        return f"State {scope.name}: can't be read ({scope.problem})"
    held = "" if scope.held_by is None else f"; a run is under way (process {scope.held_by or 'unknown'})"
    last = f", last {scope.newest}" if scope.newest else ""
    return f"State {scope.name}: {scope.delivered:,} events delivered by {scope.runs:,} runs{last}{held}"


def _last_run(found: "Standing", audit: Path) -> str:
    story = found.last_run
    if story is None:
        return f"Last run: none is on record in the audit file {audit}, so what is pending can't be told"
    if story.counts is None:
        what = "under way" if found.under_way else "did not finish"
        return f"Last run {story.run}: {what}, {len(story.in_flight):,} requests have no outcome"
    parts = ", ".join(f"{count:,} {name}" for name, count in story.counts.items())
    rest = "" if story.read_to_end else "; the input was not read to its end"
    return f"Last run {story.run}: exit {story.exit_code}; {parts}{rest}"


def _advice(found: "Standing", dead_letters: Path) -> list[str]:
    story = found.last_run
    if story is None and not found.scopes and not found.dead:
        return ["nothing is on record here; load something with: ebingest ingest FILE"]
    advice = []
    if found.under_way:
        advice.append("wait for the run that is under way")
    elif story is None:
        advice.append("name the audit file of the runs with --audit, or ask in the folder that they ran in")
    elif again := _again(story):
        advice.append(again)
    if found.dead:
        advice.append(f"mend the records in {dead_letters}, then: ebingest replay {dead_letters}")
    if waiting := sum((Counter(scope.waiting) for scope in found.scopes), Counter()):
        advice.append(how_to_hand_on(waiting))
    if any(scope.problem for scope in found.scopes):
        advice.append("the next run sets a state that is damaged aside, and sends again what it can't look up any more")
    return advice or ["nothing: all is settled"]


def _again(story: "RunStory") -> str:
    """How the last run goes on; empty if it was the whole of it."""
    command = "the replay" if story.replay else "the same ingest command"
    pending = (story.counts or {}).get("pending", 0)
    if story.strict and pending and story.exit_code == ExitCode.SOME_BAD:
        return f"mend the bad records in the input, then run {command} again: --strict has sent nothing"
    if story.exit_code == ExitCode.TOO_MANY_ERRORS:
        return f"mend the bad records in the input, or raise --max-errors, then run {command} again"
    if story.counts is not None and not pending and story.read_to_end:
        return ""
    again = f"run {command} again: it sends what is pending, and nothing twice"
    if story.exit_code == ExitCode.CONFIGURATION:
        return f"mend what stopped it ({story.stopped}; ebingest doctor says more), then {again}"
    return again
