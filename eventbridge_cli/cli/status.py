"""`ebingest status`: where things stand, and what to type next."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventbridge_cli.cli.loading import Output

if TYPE_CHECKING:
    from eventbridge_cli.ledger.standing import Scope, Standing


def status(
    *,
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

    settings = load(state=state)
    found = standing(settings.state or user_state_path("ebingest"), settings.audit, settings.dead_letters)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(found) | {"pending": found.pending}))
        return
    for scope in found.scopes:
        typer.echo(safe(_scope(scope)))
    if found.last_run is not None:
        typer.echo(safe(_last_run(found)))
    if found.dead:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.dead.items())
        typer.echo(safe(f"Dead letters in {settings.dead_letters}: {reasons}"))
    for advice in _advice(found, settings.dead_letters):
        typer.echo(safe(f"Next: {advice}"))


def _scope(scope: "Scope") -> str:
    if scope.problem:
        return f"State {scope.name}: can't be read ({scope.problem})"
    held = "" if scope.held_by is None else f"; a run is under way (process {scope.held_by or 'unknown'})"
    return f"State {scope.name}: {scope.delivered:,} events delivered by {scope.runs:,} runs, last {scope.newest}{held}"


def _last_run(found: "Standing") -> str:
    story = found.last_run
    assert story is not None  # noqa: S101 - the caller looked
    if story.counts is None:
        return f"Last run {story.run}: did not finish, {len(story.in_flight):,} requests had no outcome"
    parts = ", ".join(f"{count:,} {name}" for name, count in story.counts.items())
    return f"Last run {story.run}: exit {story.exit_code}; {parts}"


def _advice(found: "Standing", dead_letters: Path) -> list[str]:
    story = found.last_run
    if story is None and not found.scopes:
        return ["nothing is on record here; load something with: ebingest ingest FILE"]
    under_way = any(scope.held_by is not None for scope in found.scopes)
    advice = []
    if under_way:
        advice.append("wait for the run that is under way")
    elif story is not None and (story.counts is None or found.pending):
        advice.append("run the same ingest command again: it sends what is pending, and nothing twice")
    if found.dead:
        advice.append(f"mend the records in {dead_letters}, then: ebingest replay {dead_letters}")
    return advice or ["nothing: all is settled"]
