"""The one place that builds the HTTP client and turns its exceptions into values."""

import asyncio
import ssl
from functools import lru_cache
from typing import NamedTuple

import httpx
from msgspec.structs import replace

from eventbridge_cli import __version__
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.errors import CredentialsError, EndpointError
from eventbridge_cli.excerpt import bare
from eventbridge_cli.transport.certificates import certificates, check_certificates
from eventbridge_cli.transport.message import head
from eventbridge_cli.transport.pool import Origin, StaleConnectionError, Transport

MAX_ANSWER_BYTES = 10_000_000
"""An answer is read no further than this; none that means anything is as long."""

REQUEST_ID = "X-Request-Id"
"""The one header that is another for each request; a UUID's characters may stand in any header."""

_CONNECT_SECONDS = 10.0
_LOG_IN_FIRST = "407"  # Proxy Authentication Required

_WRONG_NAME = (
    "Give the host the name that its certificate has, in GENESYS_ENV, GENESYS_TOKEN_URL or GENESYS_INGEST_URL, "
    "then run again."
)
_WRONG_TIME = "Check this machine's clock. If it is right, whoever runs the server has to renew its certificate."
# What OpenSSL makes of an answer in plain text; the second by its releases from 3.2 on.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}
# By the codes of OpenSSL (x509_vfy.h); to trust another authority is of no use there.
_REMEDIES = {9: _WRONG_TIME, 10: _WRONG_TIME, 62: _WRONG_NAME, 64: _WRONG_NAME}


class _DirectClient(httpx.AsyncClient):
    """httpx's client, with a way of its own for a POST: the requests and responses of httpx take 0.3 ms of each.

    What is sent is the same, and so is what is made of the answer; there are no cookies on this way.
    """

    def __init__(self, transport: Transport, headers: dict[str, str], timeout: httpx.Timeout) -> None:
        super().__init__(transport=transport, headers=headers, timeout=timeout)
        self._direct = transport
        self._always = {name.title(): value for name, value in self.headers.items()}

    def goes_straight(self, url: str) -> bool:
        """Whether httpx's own transport is not needed, for the proxy that stands in between."""
        return self._direct.by_proxy(_parsed(url).origin) is None

    async def answer(self, url: str, content: bytes, headers: dict[str, str]) -> Answer:
        """POST straight to the server and wait for the answer."""
        where = _parsed(url)
        own = headers.get(REQUEST_ID, "")
        shared = ((name, value) for name, value in (self._always | headers).items() if name != REQUEST_ID)
        end = f"{REQUEST_ID}: {own}\r\n" if own else ""
        message = b"%b%bContent-Length: %d\r\n\r\n%b" % (_head(where, *shared), end.encode(), len(content), content)
        reply = await self._direct.exchange(where.origin, message, connect=self.timeout.connect, read=self.timeout.read)
        named = reply.named
        if "content-encoding" in named:
            return replace(await _read(reply.as_response()), whole=reply.broken_by is None)
        return Answer(reply.status, named, bytes(reply.body), reply.broken_by is None)


class _Address(NamedTuple):
    origin: Origin
    authority: str
    path: bytes


@lru_cache(maxsize=8)
def _head(where: _Address, *headers: tuple[str, str]) -> bytes:
    """The head of a POST as far as one is like the other: to make and check it takes as long as to send a kilobyte."""
    try:
        raw = [(name.encode(), value.encode("ascii")) for name, value in (("Host", where.authority), *headers)]
    except UnicodeEncodeError:
        raise httpx.LocalProtocolError("a header has a character that may not be there") from None
    return head(b"POST", where.path, raw).removesuffix(b"\r\n")


def build_client(*, timeout: float) -> httpx.AsyncClient:
    """One pooled client. Redirects are not followed; the proxy and CA variables of the environment hold.

    Args:
        timeout: seconds to wait for each part of an answer.

    Raises:
        ConfigurationError: the certificates that the environment names can't be read.
    """
    check_certificates()
    headers = {"User-Agent": f"ebingest/{__version__}"}
    limits = httpx.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout), pool=None)
    transport = Transport(certificates, most=MAX_ANSWER_BYTES)
    return _DirectClient(transport, headers, limits)


def most_seconds(client: httpx.AsyncClient) -> float | None:
    """How long a POST may last, with its connection; None for as long as it takes."""
    limits = client.timeout
    return None if limits.connect is None or limits.read is None else limits.connect + limits.read


async def post(client: httpx.AsyncClient, url: str, *, content: bytes, headers: dict[str, str]) -> Answer | NoAnswer:
    """POST and wait for the answer, or for the lack of one. Of an answer that breaks off, its head is one, too.

    Raises:
        CredentialsError: a proxy wants to know who asks.
        EndpointError: the server does not speak TLS, its certificate is not trusted, or the URL can't be spoken to.
    """
    try:
        if isinstance(client, _DirectClient) and client.goes_straight(url):
            return await client.answer(url, content, headers)
        async with (
            asyncio.timeout(client.timeout.read),
            client.stream("POST", url, content=content, headers=headers) as response,
        ):
            return await _read(response)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        if fault := tls_fault(error, bare(url)):
            raise fault from error
        if isinstance(error, httpx.ProxyError) and str(error).startswith(_LOG_IN_FIRST):
            raise CredentialsError(
                f"The proxy in between does not let this tool through to {bare(url)} (HTTP {_LOG_IN_FIRST}).",
                "Give the proxy's URL a user name and password that it knows, "
                "as in HTTPS_PROXY=http://user:password@host:8080, then run again.",
            ) from error
        return NoAnswer("no_connection", sent=False)
    except (httpx.TimeoutException, TimeoutError):
        return NoAnswer("timeout", sent=True)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise EndpointError(f"{bare(url)} can't be sent to: {error}.", "Check the URL, then run again.") from error
    except httpx.LocalProtocolError:
        # Its text may quote the token, so it goes no further.
        raise EndpointError(
            f"The request to {bare(url)} can't be put into HTTP: a header has a character that may not be there.",
            "Check GENESYS_ACCESS_TOKEN for stray line breaks and spaces, then run again.",
        ) from None
    except StaleConnectionError:
        return NoAnswer("connection_lost", sent=True, stale=True)
    except httpx.TransportError:
        return NoAnswer("connection_lost", sent=True)


async def _read(response: httpx.Response) -> Answer:
    """The answer, whatever becomes of its body: the status says what became of the request."""
    body, whole = bytearray(), True
    headers = dict(response.headers)  # with their names in lower case
    if "," in headers.get("content-encoding", ""):  # packed twice, a kilobyte can hold a gigabyte
        return Answer(response.status_code, headers)
    try:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                break
    except httpx.DecodingError:
        pass
    except httpx.TransportError:
        whole = False
    return Answer(response.status_code, headers, bytes(body), whole)


@lru_cache(maxsize=8)
def _parsed(url: str) -> _Address:
    parsed = httpx.URL(url)  # as long a work as sending a kilobyte
    return _Address(Origin.of(parsed), parsed.netloc.decode(), parsed.raw_path)


def tls_fault(error: BaseException | None, where: str) -> EndpointError | None:
    """What to say of the server at `where` if no TLS with it, or no trust in it, is what lies behind an error."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            return EndpointError(
                f"{where} does not speak TLS.",
                "Check its port, and whether the address should begin with http:, which is for this machine alone.",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return EndpointError(
                f"The certificate of {where} is not trusted: {error.verify_message.rstrip('.')}.",
                _REMEDIES.get(
                    error.verify_code, "Set SSL_CERT_FILE to the certificate of your proxy or company, then run again."
                ),
            )
        error = error.__cause__ or error.__context__
    return None
