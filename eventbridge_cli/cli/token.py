"""`ebingest token`: get a token, for a look or for another tool."""

import json
from typing import Annotated

import typer

from eventbridge_cli.cli.options import Output

_SHOWN = 4


def token(
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the bare token and nothing else.")] = False,
    header: Annotated[
        bool, typer.Option("--header", help="Print a ready Authorization: line, for curl -H @-.")
    ] = False,
    output: Annotated[
        Output,
        typer.Option("--output", "-o", help="json: what is known of the token; masked unless --reveal."),
    ] = Output.TEXT,
) -> None:
    """Get a token with the client's credentials; masked unless you ask for it.

    The settings come from GENESYS_ENV, GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET, or from .env.
    """
    import asyncio
    import time

    from eventbridge_cli.cli.screen import Screen
    from eventbridge_cli.credentials import credentials
    from eventbridge_cli.delivery.client import build_client
    from eventbridge_cli.delivery.oauth import GenesysAuth, Token
    from eventbridge_cli.endpoints import endpoints
    from eventbridge_cli.excerpt import bare
    from eventbridge_cli.settings import load

    settings = load()
    who = credentials(settings, endpoints(settings), to_ingest=False)

    async def get() -> Token:
        async with build_client(timeout=settings.timeout) as client:
            return await GenesysAuth(client, who).token()

    found = asyncio.run(get())
    value = found.value.get_secret_value()
    left = None if found.expires_at is None else max(0, round(found.expires_at - time.monotonic()))
    shown = value if reveal else _masked(value)
    if output is Output.JSON:
        source = "GENESYS_ACCESS_TOKEN" if who.access_token is not None else bare(who.token_url)
        document = {"access_token": shown, "scope": found.scope, "seconds_left": left, "source": source}
        typer.echo(json.dumps(document))
    elif header:
        typer.echo(f"Authorization: Bearer {value}")
    elif reveal:
        typer.echo(value)
    else:
        typer.echo(shown)
        lifetime = "" if left is None else f", good for {left:,} s"
        Screen().say(f"Scope {found.scope}{lifetime}. --reveal prints the token, --header a header line.")


def _masked(value: str) -> str:
    """The last characters alone, and only of a token long enough that they give nothing away."""
    return f"****{value[-_SHOWN:]}" if len(value) >= 8 * _SHOWN else "****"
