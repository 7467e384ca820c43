"""`ebingest sync`: hand on what waits for the data lake."""

import json
from typing import Annotated

import typer
from msgspec.structs import asdict

from eventbridge_cli.cli.options import AuditFile, Output, Quiet, StateFolder, TextOrJson


def sync(
    *,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--sync",
            metavar="URL",
            help="Hand on to this target alone. Repeatable. EBINGEST_SYNC does not choose: it gives the whole URLs of "
            "targets that have a query.",
            show_default="all that something waits for",
        ),
    ] = None,
    audit: AuditFile = None,
    state: StateFolder = None,
    output: TextOrJson = Output.TEXT,
    quiet: Quiet = False,
) -> None:
    """Hand on to the data lake what earlier runs have left in the outbox.

    Everything goes where, as what and in which form its run was told; endpoint and client come from the settings.
    Nothing is posted to the platform. Exit 0 if nothing waits any more, 5 if something does, 6 if a run hands over
    to the same target at this moment, 3 if something has to be mended first. All other targets are served.
    """
    from eventbridge_cli.cli.accounts import show_sync
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.ledger.audit import new_run
    from eventbridge_cli.left_over import hand_on
    from eventbridge_cli.settings import load

    screen = Screen(quiet=quiet)
    settings = load(audit=audit, state=state)
    run = new_run()
    found = hand_on(settings, targets or (), run, warn=screen.warn, insist=screen.insist)
    counts = [asdict(each) for each in found.counts.values()]
    if output is Output.JSON:
        typer.echo(json.dumps({"run": run, "exit_code": found.exit_code, "sync": counts}))
    show_sync(screen, counts)
    if found.stopped:
        screen.error(found.stopped)
    elif not counts:
        screen.say(found.nothing)
    raise typer.Exit(found.exit_code)
