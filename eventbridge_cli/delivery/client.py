"""The one place that builds the HTTP client and turns its exceptions into values."""

import ssl
from functools import lru_cache
from urllib.request import getproxies

import httpx

from eventbridge_cli import __version__
from eventbridge_cli.delivery.transport import Transport
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.errors import ConfigurationError, EndpointError

MAX_ANSWER_BYTES = 1_000_000
"""An answer is read no further than this; none that means anything is as long."""

_CONNECT_SECONDS = 10.0


def build_client(*, concurrency: int, timeout: float) -> httpx.AsyncClient:
    """One pooled client. Redirects are not followed; the proxy and CA variables of the environment hold.

    Where a proxy is named, httpx's own transport is used, which knows how to speak to one.

    Args:
        concurrency: connections, at most.
        timeout: seconds to wait for each part of an answer.

    Raises:
        ConfigurationError: the certificates that the environment names can't be read.
    """
    try:
        certificates = httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: {error.strerror or error}.",
            "Give the path of a PEM file with SSL_CERT_FILE, or unset both.",
        ) from error
    transport = None if getproxies() else Transport(certificates, most=MAX_ANSWER_BYTES)
    return httpx.AsyncClient(
        transport=transport,
        headers={"User-Agent": f"ebingest/{__version__}"},
        verify=certificates,
        timeout=httpx.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout), pool=None),
        limits=httpx.Limits(max_connections=concurrency + 1, max_keepalive_connections=concurrency + 1),
        follow_redirects=False,
    )


async def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    content: bytes,
    headers: dict[str, str],
    auth: httpx.Auth | None = None,
) -> Answer | NoAnswer:
    """POST and wait for the answer, or for the lack of one.

    Raises:
        EndpointError: the server's certificate is not trusted, or the URL can't be spoken to at all.
    """
    try:
        async with client.stream("POST", _parsed(url), content=content, headers=headers, auth=auth) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    break
            # httpx gives header names in lower case.
            return Answer(response.status_code, dict(response.headers), bytes(body))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        if reason := untrusted(error):
            raise EndpointError(
                f"The certificate of {url} is not trusted: {reason}.",
                "Set SSL_CERT_FILE to the certificate of your proxy or company, then run again.",
            ) from error
        return NoAnswer("no_connection", sent=False)
    except httpx.TimeoutException:
        return NoAnswer("timeout", sent=True)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise EndpointError(f"{url} can't be sent to: {error}.", "Check the URL, then run again.") from error
    except httpx.LocalProtocolError:
        # Its text may quote the token, so it goes no further.
        raise EndpointError(
            f"The request to {url} can't be put into HTTP: a header has a character that may not be there.",
            "Check GENESYS_ACCESS_TOKEN for stray line breaks and spaces, then run again.",
        ) from None
    except httpx.DecodingError:
        return NoAnswer("unreadable_answer", sent=True)
    except httpx.TransportError:
        return NoAnswer("connection_lost", sent=True)


@lru_cache(maxsize=8)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)  # as long a work as sending a kilobyte


def untrusted(error: BaseException | None) -> str:
    """Why a certificate was not trusted, if that is what lies behind an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""
