"""OAuth2 client credentials (RFC 6749, section 4.4): one token for all senders, renewed before it runs out."""

import asyncio
import json
import random
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

import httpx
from msgspec import Struct

from eventbridge_cli.delivery.backoff import GiveUp, Policy, backoff
from eventbridge_cli.delivery.client import post
from eventbridge_cli.delivery.verdict import NOT_THERE, Answer, NoAnswer
from eventbridge_cli.errors import ConfigurationError, CredentialsError, EbingestError, EndpointError, PendingError
from eventbridge_cli.excerpt import bare, excerpt
from eventbridge_cli.facts import TokenIssued
from eventbridge_cli.secret import Secret, SecretText
from eventbridge_cli.transport.message import retry_after

RENEW_EARLY = 60.0
"""Seconds before a token runs out from which on it is renewed; half its lifetime if that is less."""

_MOST_SECONDS = 1e10  # three centuries: what is said to live longer has a lifetime that is not known
_POLICY = Policy(max_attempts=5, max_elapsed=120.0)
_RATE_LIMITED = b"rate limit exceeded"
_REFUSALS = {400, 401, 403}  # what a token endpoint says to credentials that it does not know
_CHECK_URL = "Check that GENESYS_ENV or GENESYS_TOKEN_URL names the platform's token endpoint."


class Token(Struct, frozen=True):
    """A token and what is known of it. Both times are on the monotonic clock; None: not known."""

    value: SecretText
    scope: str = ""
    expires_at: float | None = None
    renew_at: float | None = None


class Credentials(Struct, frozen=True):
    """What the platform knows the client by, and where; `access_token` stands in for all of it.

    `region` is shown where the platform does not accept them, and has no other use.
    """

    token_url: str
    client_id: str
    client_secret: SecretText
    scope: str
    region: str
    access_token: SecretText | None = None

    @property
    def basic(self) -> str:
        """Id and secret as a request shows them (RFC 7617)."""
        return b64encode(f"{self.client_id}:{self.client_secret.get_secret_value()}".encode()).decode()


class GenesysAuth:
    """Gives the token, getting it where needed; any number of tasks may ask at once, and one of them asks for all.

    Args:
        client: for the requests.
        credentials: the client's, or a ready token.
        note: is told of every token that is issued.
        clock: monotonic seconds.
        sleep: waits so many seconds; False tells that there is no use in going on.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        *,
        note: Callable[[TokenIssued], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._note = note
        self._clock = clock
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._failure: EbingestError | None = None  # of the last time that there was no token
        ready = credentials.access_token
        self._token = Token(ready, credentials.scope) if ready is not None else None

    @property
    def current(self) -> Token | None:
        """The token, if there is one that has more than a minute left."""
        return None if self._token is None or self._runs_out(self._token) else self._token

    async def token(self) -> Token:
        """The current token, or a new one if it has less than a minute left.

        Raises:
            CredentialsError: the platform does not accept the credentials.
            EndpointError: there is no token endpoint at the URL.
            PendingError: the token endpoint can't be reached.
        """
        return await self._other_than(None)

    async def renew(self, failed: Token) -> Token:
        """A token other than `failed`, which the platform did not accept; a new one unless another task got it.

        Raises:
            CredentialsError: as in `token`, or the token was given ready-made.
            EndpointError: as in `token`.
            PendingError: as in `token`.
        """
        if self._credentials.access_token is not None:
            raise CredentialsError(
                "The platform does not accept GENESYS_ACCESS_TOKEN (HTTP 401).",
                "Get a new token, or give GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET instead, then run again.",
            )
        return await self._other_than(failed)

    async def _other_than(self, failed: Token | None) -> Token:
        before = self._failure
        async with self._lock:
            if self._failure is not None and self._failure is not before:
                raise self._failure  # it came while this task waited: to ask again would be one more failed log-in
            token = self.current
            if token is None or token is failed:
                try:
                    token = self._token = await self._get()
                except EbingestError as error:
                    self._failure = error
                    raise
            return token

    def _runs_out(self, token: Token) -> bool:
        return token.renew_at is not None and self._clock() >= token.renew_at

    async def _get(self) -> Token:
        started = self._clock()
        attempts = 0
        while True:
            attempts += 1
            began = self._clock()
            answer = await self._ask()
            token = self._read(answer, began)
            if token is not None:
                return token
            asked = retry_after(answer.headers, time.time()) if isinstance(answer, Answer) else None
            delay = backoff(
                _POLICY,
                attempts=attempts,
                elapsed=self._clock() - started,
                retry_after=asked,
                random=random.random,
            )
            if isinstance(delay, GiveUp):
                raise PendingError(
                    f"No token from {bare(self._credentials.token_url)}: {_what_came(answer)}, {delay.cause}.",
                    "Check the network and GENESYS_ENV; when the platform answers, run again.",
                )
            if await self._sleep(delay) is False:
                raise PendingError("The run was stopped before there was a token.", "Run the same command again.")

    async def _ask(self) -> Answer | NoAnswer:
        who = self._credentials
        form = urlencode({"grant_type": "client_credentials", "scope": who.scope})
        return await post(
            self._client,
            who.token_url,
            content=form.encode(),
            headers={
                "Authorization": f"Basic {who.basic}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
        )

    def _read(self, answer: Answer | NoAnswer, began: float) -> Token | None:
        """The token of an answer, or None if it is worth asking again."""
        if isinstance(answer, NoAnswer) or answer.status in {408, 425, 429} or answer.status >= 500:  # noqa: PLR2004
            return None
        if not answer.whole and answer.status in {200, 400}:  # what they mean stands in their bodies
            return None
        if answer.status == 400 and _RATE_LIMITED in answer.body.lower():  # noqa: PLR2004
            return None
        where = self._credentials
        if answer.status != 200:  # noqa: PLR2004
            raise self._no_token(answer)
        document = answer.document
        value, lifetime, scope = (document.get(name) for name in ("access_token", "expires_in", "scope"))
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise EndpointError(f"{bare(where.token_url)} answered without a token.", _CHECK_URL)
        seconds = float(lifetime) if isinstance(lifetime, int | float) and 0 < lifetime <= _MOST_SECONDS else None
        scope = scope if isinstance(scope, str) else where.scope
        self._note(TokenIssued(seconds or 0.0, scope, self._clock() - began))
        if seconds is None:
            return Token(Secret(value), scope)
        expires_at = began + seconds
        return Token(Secret(value), scope, expires_at, expires_at - min(RENEW_EARLY, seconds / 2))

    def _no_token(self, answer: Answer) -> ConfigurationError:
        """What an answer other than 200 says: that credentials are not known, or that this is no token endpoint."""
        where = self._credentials
        page = answer.body.lstrip().startswith(b"<")
        is_error = answer.status >= 400  # noqa: PLR2004 - of another answer, any part may be a token
        secrets = [where.client_secret.get_secret_value().encode(), where.basic.encode()]
        said = "an HTML page" if page else _oauth_error(answer.body, secrets) if is_error else ""
        status = f"HTTP {answer.status}{': ' + said if said else ''}"
        elsewhere = not is_error or answer.status in NOT_THERE
        if elsewhere or (page and answer.status not in _REFUSALS):
            return EndpointError(f"{bare(where.token_url)} is no token endpoint ({status}).", _CHECK_URL)
        scope = f"GENESYS_SCOPE ({where.scope}), " if "invalid_scope" in said else ""
        remedy = (
            f"Check {scope}GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and the region GENESYS_ENV ({where.region}): "
            "an id and secret of one region are unknown in all others."
        )
        if page:
            remedy += f"\n{bare(where.token_url)} may be no token endpoint, too. {_CHECK_URL}"
        return CredentialsError(f"The platform gave no token ({status}).", remedy)


def _what_came(answer: Answer | NoAnswer) -> str:
    if isinstance(answer, NoAnswer):
        return answer.kind.replace("_", " ")
    return f"HTTP {answer.status}{'' if answer.whole else ', which broke off'}"


def _oauth_error(body: bytes, secrets: Sequence[bytes]) -> str:
    """The `error` and `error_description` of RFC 6749, section 5.2, in short."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return excerpt(body, sent=secrets)
    if not isinstance(document, dict):
        return ""
    description = document.get("error_description") or document.get("description")
    text = " ".join(str(part) for part in (document.get("error"), description) if part)
    return excerpt(text.encode(errors="replace"), sent=secrets)
