"""One token for all senders, against the real stand-in platform."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support import scripted

from eventbridge_cli.delivery.client import build_client
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth, Token
from eventbridge_cli.errors import CredentialsError
from eventbridge_cli.facts import TokenIssued
from eventbridge_cli.sandbox.process import SandboxProcess
from eventbridge_cli.secret import Secret


def with_auth(
    sandbox: SandboxProcess, scenario: Callable[[GenesysAuth, list[float]], Awaitable[None]], ready: str | None = None
) -> list[TokenIssued]:
    """Run a scenario; gives the tokens that were issued. Its clock is a list of one number."""
    issued: list[TokenIssued] = []

    async def main() -> None:
        now = [1000.0]
        who = Credentials(
            f"{sandbox.url}/oauth/token",
            sandbox.client_id,
            Secret(sandbox.client_secret),
            "eventbridge:ingest",
            "region-1",
            Secret(ready) if ready else None,
        )
        async with build_client(timeout=10) as client:
            await scenario(GenesysAuth(client, who, note=issued.append, clock=lambda: now[0]), now)

    asyncio.run(main())
    return issued


def test_one_task_asks_for_all(sandbox: SandboxProcess) -> None:
    """Twenty tasks at once: one request, one token."""

    async def scenario(auth: GenesysAuth, _: list[float]) -> None:
        tokens = await asyncio.gather(*(auth.token() for _ in range(20)))
        assert len({id(token) for token in tokens}) == 1

    issued = with_auth(sandbox, scenario)
    assert [(token.expires_in, token.scope) for token in issued] == [(3600, "eventbridge:ingest")]


def test_one_refusal_is_told_to_all() -> None:
    """Credentials that the platform does not know are tried once, however many tasks wait; later, once more."""

    async def main(url: str) -> None:
        who = Credentials(f"{url}/oauth/token", "id", Secret("wrong"), "eventbridge:ingest", "region-1")
        async with build_client(timeout=10) as client:
            auth = GenesysAuth(client, who)
            outcomes = await asyncio.gather(*(auth.token() for _ in range(20)), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {CredentialsError}
            assert (await auth.token()).value.get_secret_value() == "token-1"

    with scripted({"tokens": [{"status": 401, "body": {"error": "invalid_client"}}]}) as url:
        asyncio.run(main(url))


def test_a_scope_that_the_client_does_not_have(sandbox: SandboxProcess) -> None:
    """The setting that it comes from is named beside those that every refusal names."""
    secret = Secret(sandbox.client_secret)
    who = Credentials(f"{sandbox.url}/oauth/token", sandbox.client_id, secret, "everything", "region-1")

    async def main() -> None:
        async with build_client(timeout=10) as client:
            await GenesysAuth(client, who).token()

    with pytest.raises(CredentialsError) as told:
        asyncio.run(main())
    assert told.value.remedy.startswith("Check GENESYS_SCOPE (everything), GENESYS_CLIENT_ID, ")


def test_it_is_renewed_a_minute_early(sandbox: SandboxProcess) -> None:
    """A token serves until 60 s before it runs out."""

    async def scenario(auth: GenesysAuth, now: list[float]) -> None:
        first = await auth.token()
        now[0] += 3539
        assert await auth.token() is first
        now[0] += 1
        assert await auth.token() is not first

    assert len(with_auth(sandbox, scenario)) == 2


def test_a_short_lived_token_serves_half_its_life() -> None:
    """A lifetime of less than two minutes is no reason to ask for a token each time."""

    async def scenario(auth: GenesysAuth, now: list[float]) -> None:
        first = await auth.token()
        now[0] += 4
        assert await auth.token() is first
        now[0] += 1
        assert await auth.token() is not first

    with SandboxProcess("--token-lifetime", "10") as sandbox:
        assert len(with_auth(sandbox, scenario)) == 2


def test_only_the_failed_token_is_thrown_away(sandbox: SandboxProcess) -> None:
    """Five tasks whose token failed: one new token; a late one does not throw that away again."""

    async def scenario(auth: GenesysAuth, _: list[float]) -> None:
        old = await auth.token()
        new = await asyncio.gather(*(auth.renew(old) for _ in range(5)))
        assert len({id(token) for token in new}) == 1
        assert new[0] is not old
        assert await auth.renew(old) is new[0]

    assert len(with_auth(sandbox, scenario)) == 2


def test_a_ready_token_is_used_and_never_renewed(sandbox: SandboxProcess) -> None:
    """GENESYS_ACCESS_TOKEN goes as it is; once refused there is no other."""

    async def scenario(auth: GenesysAuth, _: list[float]) -> None:
        token: Token = await auth.token()
        assert token.value.get_secret_value() == "ready"
        with pytest.raises(CredentialsError, match="GENESYS_ACCESS_TOKEN"):
            await auth.renew(token)

    assert with_auth(sandbox, scenario, ready="ready") == []


def test_a_token_does_not_show_itself(sandbox: SandboxProcess) -> None:
    """Neither the token nor the secret is in any text of the objects that hold them."""

    async def scenario(auth: GenesysAuth, _: list[float]) -> None:
        token = await auth.token()
        assert token.value.get_secret_value() not in repr(token)
        assert sandbox.client_secret not in repr(vars(auth))

    with_auth(sandbox, scenario)
