"""`ebingest audit verify` and `ebingest audit show`: ask the audit file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from eventbridge_cli.cli.options import Output, TextOrJson
from eventbridge_cli.cli.parameters import Command, Group
from eventbridge_cli.wording import counted

if TYPE_CHECKING:
    from eventbridge_cli.ledger.history import RunStory

audit = typer.Typer(
    add_completion=False,
    name="audit",
    cls=Group,
    no_args_is_help=True,
    help="Ask the audit file: is it whole, and what became of a record?",
)

AuditFile = Annotated[
    Path | None, typer.Argument(metavar="AUDIT", help="The audit file.", show_default="ingestion_audit.jsonl")
]


@audit.command(cls=Command)
def verify(file: AuditFile = None, *, output: TextOrJson = Output.TEXT) -> None:
    """Prove that the file is whole; exit 0 if it is, 1 if not.

    Every line carries the hash of the line before it, over all runs: a line that was changed, removed, moved or put in
    is named. Each run's account is held against its lines. What the end of the file has lost can't be seen.
    """
    from eventbridge_cli.ledger.history import lines_of
    from eventbridge_cli.ledger.history import verify as findings_of
    from eventbridge_cli.wording import safe

    path = _path(file)
    findings = list(findings_of(path))
    count = sum(1 for _ in lines_of(path))
    if output is Output.JSON:
        typer.echo(json.dumps({"file": str(path), "lines": count, "findings": [asdict(each) for each in findings]}))
    else:
        for each in findings:
            typer.echo(safe(f"{path}:{each.line}: {each.what}"))
        verdict = f"not whole: {counted(len(findings), 'finding')}" if findings else "whole"
        typer.echo(safe(f"{path}: {counted(count, 'line')}, {verdict}"))
    raise typer.Exit(1 if findings else 0)


@audit.command(cls=Command)
def show(
    file: AuditFile = None,
    *,
    interaction: Annotated[
        str, typer.Option(metavar="ID", help="What became of an interaction's events, but for rejected ones.")
    ] = "",
    place: Annotated[
        str, typer.Option(metavar="FILE:LINE", help="What became of a record; FILE[INDEX] for an item of an array.")
    ] = "",
    request: Annotated[str, typer.Option(metavar="ID", help="What became of a request; the beginning will do.")] = "",
    run: Annotated[str, typer.Option(metavar="ID", help="All of one run; the beginning of its id will do.")] = "",
    output: TextOrJson = Output.TEXT,
) -> None:
    """Tell what became of a record, a request or a run; without a question, sum up all runs.

    Exit 1 if the file says nothing about what is asked.
    """
    from eventbridge_cli.flow import source_name
    from eventbridge_cli.ledger.history import Question, find, runs_of
    from eventbridge_cli.wording import safe

    path = _path(file)
    place = place and source_name(place)  # ./calls.ndjson was written down as calls.ndjson
    question = Question(run=run, interaction=interaction, place=place, request=request)
    if question == Question():
        stories = runs_of(path)
        for story in stories:
            line = json.dumps(story.as_dict()) if output is Output.JSON else safe(_sum_up(story))
            typer.echo(line)
        if not stories and output is Output.TEXT:
            typer.echo(safe(f"There is no run in {path}."))
        raise typer.Exit(0 if stories else 1)
    found = False
    unsettled: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in find(path, question):
        found = True
        for line in [json.dumps(entry)] if output is Output.JSON else _tell(entry):
            typer.echo(safe(line))
        key = (entry["run"], entry.get("request_id", ""))
        if entry["event"] == "BATCH_SUBMITTED":
            unsettled[key] = entry
        elif entry["event"] in {"INGESTION_SUCCEEDED", "INGESTION_FAILED", "BATCH_SPLIT"}:
            unsettled.pop(key, None)
    if output is Output.TEXT:
        for (of_run, request_id), entry in unsettled.items():
            typer.echo(safe(f"{entry['time']}  run {of_run}: {request_id} has no outcome on record: unknown"))
        if not found:
            rejected = " A rejected record is found by its place alone: --place FILE:LINE" if interaction else ""
            typer.echo(f"Nothing on record.{rejected}")
    raise typer.Exit(0 if found else 1)


def _path(file: Path | None) -> Path:
    from eventbridge_cli.settings import load

    return file or load().audit


def _sum_up(story: "RunStory") -> str:
    counts = story.counts or story.recount
    end = f"exit {story.exit_code}" if story.finished else f"did not finish, {len(story.in_flight)} in flight"
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{story.started}  run {story.run}: {end}; {parts or 'nothing read'}"


def _tell(entry: dict[str, Any]) -> list[str]:
    about = {
        name: value
        for name, value in entry.items()
        if name not in {"time", "run", "event", "previous", "records", "key", "sha256"} and value not in (None, "", [])
    }
    try:
        words = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in about.items())
    except RecursionError:
        words = "nested too deeply to be shown; no run wrote this"
    lines = [f"{entry['time']}  run {entry['run']}  {entry['event']}: {words}"]
    return lines + [f"    {place}  interaction {interaction}" for place, interaction, _ in entry.get("records", [])]


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_plain(each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return str(value)
