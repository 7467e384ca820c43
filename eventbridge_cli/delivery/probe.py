"""Look at the platform without giving it anything: is it there, is it who it says, would it take events?"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from ssl import SSLError, SSLObject, cert_time_to_seconds

import httpx
from msgspec import Struct

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.delivery.client import post, tls_fault
from eventbridge_cli.delivery.ingester import CLIENT_VERSION
from eventbridge_cli.delivery.oauth import Token
from eventbridge_cli.delivery.verdict import Answer, NoAnswer, Renew, Retry, Stop, verdict
from eventbridge_cli.errors import CredentialsError, EndpointError, PendingError
from eventbridge_cli.transport.hosts import address
from eventbridge_cli.transport.message import date_of
from eventbridge_cli.transport.proxies import checked_proxy

_EMPTY = Chunk.of([])


class Contact(Struct, frozen=True):
    """What one exchange with a server showed.

    `tls` is the protocol's version, empty for plain http; `expires` when its certificate ends. `skew` is how many
    seconds the server's clock is ahead of ours, None if the answer has no date.
    """

    tls: str
    expires: datetime | None
    skew: float | None


def proxy(url: str) -> str:
    """The proxy that the environment has for a URL, as host and port; empty if there is none.

    Raises:
        ConfigurationError: it is none that can be spoken to.
    """
    found = checked_proxy(url)
    return "" if found is None else found.url.netloc.decode()


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host.

    Raises:
        EndpointError: its name is not known.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise EndpointError(
            f"The name {host} is not known: {getattr(error, 'strerror', None) or 'it is no name of a host'}.",
            "Check the spelling of GENESYS_ENV, and that this machine can resolve names.",
        ) from error
    return sorted({str(each[4][0]) for each in found})


async def contact(client: httpx.AsyncClient, url: str) -> Contact:
    """Send a HEAD without credentials, which changes nothing; any answer at all will do.

    Raises:
        EndpointError: there is no connection, no TLS, or no trust in the server's certificate.
    """
    host, port = address(url)
    began = time.time()
    try:
        async with client.stream("HEAD", url) as response:
            ended = time.time()
            tls = response.extensions["network_stream"].get_extra_info("ssl_object")
            version, expires = _certificate(tls)
            return Contact(version, expires, _skew(response.headers, (began + ended) / 2))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if fault := tls_fault(error, host):
            raise fault from error
        through = f" through the proxy {proxy(url)}" if proxy(url) else ""
        raise EndpointError(
            f"{host}:{port} can't be spoken to{through}: {_cause(error)}.",
            "Check host and port, the firewall, and the proxy (HTTPS_PROXY, NO_PROXY).",
        ) from error


async def try_ingest(client: httpx.AsyncClient, url: str, token: Token) -> Answer:
    """POST an empty list of events with the token: whatever the server does with it, there is no event to create.

    A HEAD or OPTIONS would be safer by its name, but a server may answer those before it looks at the token (the
    sandbox does, with 405), so that they prove neither token nor permission. The empty list goes the way that events
    go. A platform accepts it, or refuses it as empty with 400 or 422; both prove the address, the token and the
    permission. The request id is that of the empty body: for a server that honours it, all such requests are one.

    Raises:
        CredentialsError: the token or its permission is not accepted.
        EndpointError: there is no ingest endpoint, or it can't be spoken to.
        PendingError: it takes no requests for now.
    """
    secret = token.value.get_secret_value()
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/json",
        "X-Genesys-Platform-Client-Version": CLIENT_VERSION,
        "X-Request-Id": _EMPTY.request_id,
    }
    answer = await post(client, url, content=_EMPTY.body, headers=headers)
    match verdict(answer, _EMPTY.events, url=url, now=time.time(), secret=secret):
        case Renew():
            raise CredentialsError(
                "The ingest endpoint does not accept the token (HTTP 401).",
                "Check that both belong to the same region, and that a GENESYS_ACCESS_TOKEN is not too old.",
            )
        case Stop(error):
            raise error
        case Retry(cause):
            raise PendingError(
                f"The ingest endpoint takes no requests at present ({cause.replace('_', ' ')}).",
                "That may pass. If it stays so, ask whoever runs the platform.",
            )
        case _:
            assert not isinstance(answer, NoAnswer)  # noqa: S101 - the verdict on that is Retry
            return answer


def quota(headers: Mapping[str, str]) -> str:
    """What the platform's rate headers say, in words; empty if there are none."""
    allowed, count, reset = (headers.get(f"inin-ratelimit-{name}") for name in ("allowed", "count", "reset"))
    return f"{count} of {allowed} requests used, reset in {reset} s" if allowed and count and reset else ""


def _certificate(tls: SSLObject | None) -> tuple[str, datetime | None]:
    if tls is None:
        return "", None
    ends = (tls.getpeercert() or {}).get("notAfter")
    return tls.version() or "", datetime.fromtimestamp(cert_time_to_seconds(str(ends)), UTC) if ends else None


def _skew(headers: Mapping[str, str], now: float) -> float | None:
    answered = date_of(headers)
    return None if answered is None else answered - now


def _cause(error: BaseException) -> str:
    """The deepest thing that an error of the client says about its cause, in the system's words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    text = str(error)
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, SSLError):
            return f"it does not speak TLS as it should ({each.reason or 'connection cut'})"
        if isinstance(each, OSError) and each.errno is not None:
            text = os.strerror(each.errno).lower()
        each = each.__cause__ or each.__context__
    return text or "the connection was cut"
