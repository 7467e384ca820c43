"""`ebingest sandbox`: serve the stand-in platform."""

import secrets
from typing import Annotated

import typer

_LONGEST = 3_600_000  # milliseconds: an hour


def sandbox(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0: any that is free.")
    ] = 8787,
    client_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The client id to accept.", show_default="made up")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The secret to accept.", show_default="made up")
    ] = None,
    latency: Annotated[
        float, typer.Option(min=0, max=_LONGEST, metavar="MS", help="Answer after so many milliseconds.")
    ] = 0,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="N/min",
            help="Requests allowed a minute and token; over it: 429.",
            show_default="no limit",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT:PROBABILITY",
            help="Answer with a status (503:0.1), cut the connection before the events are recorded (drop:0.1) or "
            "after it (lost:0.1), leave out one event for now (retryable:0.1) or for good (refused:0.1). Repeatable.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Makes the faults repeatable.")] = 0,
    max_bytes: Annotated[int, typer.Option(min=1, metavar="N", help="Answer 413 to a larger request.")] = 500_000,
    max_events: Annotated[int, typer.Option(min=1, metavar="N", help="Answer 413 to more events.")] = 100,
    token_lifetime: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long a token is good for.")] = 3600,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve a stand-in platform on this machine, with faults to order.

    It prints the settings to reach it by. GET /sandbox/stats and /sandbox/events show what arrived;
    /openapi.json describes its answers. Ctrl-C ends it.
    """
    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.errors import ConfigurationError

    try:
        from eventbridge_cli.sandbox.faults import Fault
        from eventbridge_cli.sandbox.platform import Rules
        from eventbridge_cli.sandbox.serve import serve
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The sandbox needs {error.name}.", "Install it with: pip install 'ebingest[sandbox]'"
        ) from error

    faults: list[Fault] = []
    for text in fault or []:
        try:
            faults.append(Fault.parse(text))
        except ValueError:
            raise typer.BadParameter(
                f"{text} is no fault; write a status from 300 on, lost, drop, retryable or refused, as in 503:0.1",
                param_hint="--fault",
            ) from None
    rules = Rules(
        client_id=client_id or f"sandbox-{secrets.token_hex(4)}",
        client_secret=client_secret or secrets.token_urlsafe(16),
        max_bytes=max_bytes,
        max_events=max_events,
        latency=latency / 1000,
        rate=_per_minute(rate) if rate else None,
        token_lifetime=token_lifetime,
        faults=tuple(faults),
        seed=seed,
    )

    def ready(url: str) -> None:
        settings = {"ENV": url, "CLIENT_ID": rules.client_id, "CLIENT_SECRET": rules.client_secret}
        typer.echo("\n".join(f"GENESYS_{name}={value}" for name, value in settings.items()))
        if not until_stdin_closes:
            Screen().say("The stand-in platform is ready: put these lines in .env. Ctrl-C ends it.")

    serve(rules, port, ready=ready, until_stdin_closes=until_stdin_closes)


def _per_minute(text: str) -> int:
    number = text.removesuffix("/min")
    if not (number.isascii() and number.isdecimal()) or int(number) == 0:
        raise typer.BadParameter(f"{text} is no rate; write it as in 300/min", param_hint="--rate")
    return int(number)
