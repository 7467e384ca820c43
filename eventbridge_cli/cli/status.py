"""`ebingest status`: where things stand, and what to type next."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from msgspec import to_builtins

from eventbridge_cli.cli.advice import Given, how_to_hand_on, replay_of
from eventbridge_cli.cli.options import AuditFile, DeadLetters, Output, StateFolder, TextOrJson
from eventbridge_cli.errors import ExitCode
from eventbridge_cli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventbridge_cli.ledger.history import RunStory
    from eventbridge_cli.ledger.standing import Scope, Standing

_LISTED = 5  # runs that are named one by one


def status(
    *,
    audit: AuditFile = None,
    dead_letters: DeadLetters = None,
    state: StateFolder = None,
    output: TextOrJson = Output.TEXT,
) -> None:
    """Say what is delivered, pending and dead, and what to type next.

    It only reads: it looks at the state folder, and at the audit file and the dead letters of this folder or of the
    settings.
    """
    from eventbridge_cli.ledger.standing import standing
    from eventbridge_cli.settings import load
    from eventbridge_cli.wording import safe

    settings = load(audit=audit, dead_letters=dead_letters, state=state)
    found = standing(settings.state_folder, settings.audit, settings.dead_letters)
    if output is Output.JSON:
        typer.echo(json.dumps(_document(found, settings.audit)))
        return
    for scope in found.scopes:
        typer.echo(safe(_scope(scope)))
    for line in _runs(found, settings.audit):
        typer.echo(safe(line))
    for scope in found.scopes:
        for target, count in scope.waiting.items():
            typer.echo(safe(f"Data lake: {counted(count, 'receipt')} left for {target}"))
    if found.dead:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.dead.items())
        typer.echo(safe(f"Dead letters in {settings.dead_letters}: {reasons}"))
    for advice in _advice(found, settings.dead_letters, {"--audit": audit, "--state": state}):
        typer.echo(safe(f"Next: {advice}"))


def _document(found: "Standing", audit: Path) -> dict[str, object]:
    document: dict[str, object] = to_builtins(found)
    return document | {
        "audit": str(audit),
        "last_run": found.last_run and found.last_run.as_dict(),
        "unsettled": [story.as_dict() for story in found.unsettled],
        "pending": found.pending,
    }


def _scope(scope: "Scope") -> str:
    if scope.problem:
        return f"State {scope.name}: can't be read ({scope.problem})"
    held = "" if scope.held_by is None else f"; a run is under way (process {scope.held_by or 'unknown'})"
    last = f", last {scope.newest}" if scope.newest else ""
    return (
        f"State {scope.name}: {counted(scope.delivered, 'event')} delivered by {counted(scope.runs, 'run')}{last}{held}"
    )


def _runs(found: "Standing", audit: Path) -> Iterator[str]:
    """The last run, and the newest of those before it that are not settled."""
    last = found.last_run
    if last is None:
        yield f"Last run: none is on record in the audit file {audit}, so what is pending can't be told"
        return
    yield f"Last run {last.run}: {_end(last, under_way=found.under_way)}"
    earlier = [story for story in reversed(found.unsettled) if story is not last]
    for story in earlier[:_LISTED]:
        more = f" and {len(story.inputs) - 1:,} more" if len(story.inputs) > 1 else ""
        over = f" over {story.inputs[0]}{more}" if story.inputs else ""
        elsewhere = f" to {story.ingest_url}" if story.ingest_url != last.ingest_url else ""
        yield f"Not settled: run {story.run}{over}{elsewhere}: {_end(story)}"
    if len(earlier) > _LISTED:
        yield f"Not settled: {counted(len(earlier) - _LISTED, 'older run')}; see: ebingest audit show {audit}"


def _end(story: "RunStory", *, under_way: bool = False) -> str:
    if story.counts is None:
        what = "under way" if under_way else "did not finish"
        return f"{what}, {counted(len(story.in_flight), 'request')} without an outcome"
    parts = ", ".join(f"{count:,} {name}" for name, count in story.counts.items())
    rest = "" if story.read_to_end else "; the input was not read to its end"
    return f"exit {story.exit_code}; {parts}{rest}"


def _advice(found: "Standing", dead_letters: Path, given: Given) -> list[str]:
    story = found.last_run
    if story is None and not found.scopes and not found.dead:
        return ["nothing is on record here; load something with: ebingest ingest FILE"]
    advice = []
    if found.under_way:
        advice.append("wait for the run that is under way")
    elif story is None:
        advice.append("name the audit file of the runs with --audit, or ask in the folder that they ran in")
    else:
        advice += _again(found.to_run_again, story)
    if found.dead:
        advice.append(f"mend the records in {dead_letters}, then: {replay_of(given, str(dead_letters))}")
    if waiting := sum((Counter(scope.waiting) for scope in found.scopes), Counter()):
        advice.append(how_to_hand_on(given, waiting))
    if any(scope.problem for scope in found.scopes):
        advice.append("the next run sets a state that is damaged aside, and sends again what it can't look up any more")
    return advice or ["nothing: all is settled"]


def _again(runs: "Sequence[RunStory]", last: "RunStory") -> Iterator[str]:
    """How runs go on; those that go on alike together."""
    alike: dict[tuple[str, str], list[RunStory]] = {}
    for story in runs:
        alike.setdefault(_way_on(story), []).append(story)
    for (first, then), stories in alike.items():
        if stories[0] is last and len(stories) == 1:
            command = "the replay" if last.replay else "the same ingest command"
        else:
            more = f" and {len(stories) - _LISTED:,} more" if len(stories) > _LISTED else ""
            noun = "command of run" if len(stories) == 1 else "commands of runs"
            command = f"the {noun} {', '.join(story.run for story in stories[:_LISTED])}{more}"
        yield f"{first}run {command} again{then}"


def _way_on(story: "RunStory") -> tuple[str, str]:
    """What is to be done before the command of a run is given again, and what that brings about."""
    pending = (story.counts or {}).get("pending", 0)
    if story.strict and pending and story.exit_code == ExitCode.SOME_BAD:
        return "mend the bad records in the input, then ", ": --strict has sent nothing"
    if story.exit_code == ExitCode.TOO_MANY_ERRORS:
        return "mend the bad records in the input, or raise --max-errors, then ", ""
    first = ""
    if story.exit_code == ExitCode.CONFIGURATION:
        first = f"mend what stopped it ({story.stopped}; ebingest doctor says more), then "
    return first, ": that sends what is pending, and nothing twice"
