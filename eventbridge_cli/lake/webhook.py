"""An HTTPS endpoint as data lake: each batch is one signed POST."""

import hashlib
import hmac
import os
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import SplitResult

import httpx

from eventbridge_cli import __version__
from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.names import name_of
from eventbridge_cli.lake.payload import ndjson
from eventbridge_cli.lake.target import BATCH_BYTES, Content
from eventbridge_cli.lake.thread import in_thread
from eventbridge_cli.secret import SecretText
from eventbridge_cli.transport.certificates import certificates
from eventbridge_cli.transport.hosts import is_loopback
from eventbridge_cli.transport.message import retry_after
from eventbridge_cli.transport.pool import Transport
from eventbridge_cli.transport.proxies import checked_proxy

_CHECK = "check"
_NOT_FOR_US = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class WebhookTarget:
    """Posts a batch as NDJSON. A 2xx means that it has arrived; the batch's name tells the receiver a copy.

    The signature is the HMAC-SHA256 of the timestamp, a dot and the body.

    Args:
        parts: the endpoint's URL. Its query is sent, and shown nowhere: it may hold a key.
        content: what the lines hold.
        secret: signs. The receiver has it, too.
        timeout: seconds to wait for the head of an answer; they begin anew while the batch is still being taken.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: there is no secret, the URL is plain http to another machine, or the certificates or the
            proxy that the environment names can't be used.
    """

    def __init__(
        self,
        parts: SplitResult,
        content: Content,
        secret: SecretText | None,
        *,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name_of(parts)
        if not parts.hostname or not _is_valid(parts):
            raise ConfigurationError(f"{self.name} is no URL of a server.", "Write it as in https://host/path.")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ConfigurationError(
                f"{self.name} would send customer data in the clear.",
                "Use https. Plain http is taken for this machine (127.0.0.1, ::1, localhost) alone.",
            )
        if secret is None or not secret.get_secret_value():
            raise ConfigurationError(
                f"There is no secret to sign what is posted to {self.name}.",
                "Set EBINGEST_WEBHOOK_SECRET to a long random text, and give the receiver the same.",
            )
        self._url = parts.geturl()
        checked_proxy(self._url)
        self._content = content
        self._secret = secret
        self._clock = clock
        self._client = httpx.AsyncClient(
            transport=Transport(certificates, most=0),
            headers={"User-Agent": f"ebingest/{__version__}", "Content-Type": "application/x-ndjson"},
            timeout=httpx.Timeout(timeout, connect=min(10.0, timeout)),
        )

    async def check(self) -> None:
        """Post a batch of no lines: the same way, signature and right as for any other.

        Raises:
            ConfigurationError: nobody answers, or the answer is 401, 403, 404 or a redirect.
        """
        try:
            status, _ = await self._post(_CHECK, b"")
        except httpx.HTTPError as error:
            raise ConfigurationError(
                f"{self.name} can't be reached: {_reason(error)}.",
                "Check the URL and the network. For a certificate of your own, set SSL_CERT_FILE.",
            ) from error
        if httpx.codes.is_redirect(status):
            raise ConfigurationError(
                f"{self.name} redirects what is posted (HTTP {status}), which is not followed.",
                "Give the URL that it leads to.",
            )
        if status in _NOT_FOR_US:
            raise ConfigurationError(
                f"{self.name} does not take what is posted (HTTP {status}).",
                "Check the URL, and that EBINGEST_WEBHOOK_SECRET is the receiver's.",
            )

    async def put(self, batch: Batch) -> None:
        """Post the batch once.

        Raises:
            TargetError: there was no answer, or none that means arrival; permanent for 3xx and most of 4xx.
        """
        try:
            body = await in_thread(lambda: ndjson(batch, self._content))
            status, headers = await self._post(batch.name, body)
        except httpx.HTTPError as error:
            raise TargetError(
                f"{self.name} did not answer for batch {batch.name}: {_reason(error)}.",
                "Check that the receiver is up, then run ebingest sync.",
            ) from error
        if httpx.codes.is_success(status):
            return
        permanent = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING
        raise TargetError(
            f"{self.name} did not take batch {batch.name} of {len(body):,} bytes (HTTP {status}).",
            _remedy(status) if permanent else "Run ebingest sync when the receiver is well again.",
            permanent=permanent,
            retry_after=retry_after(headers, self._clock()),
        )

    async def _post(self, name: str, body: bytes) -> tuple[int, httpx.Headers]:
        """The status and the headers of the answer. Its body is not read."""
        timestamp = str(int(self._clock()))
        headers = {
            "X-Ebingest-Timestamp": timestamp,
            "X-Ebingest-Signature": await in_thread(lambda: self._signature(timestamp, body)),
            "X-Ebingest-Batch": name,
        }
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            return response.status_code, response.headers

    def _signature(self, timestamp: str, body: bytes) -> str:
        signature = hmac.new(self._secret.get_secret_value().encode(), f"{timestamp}.".encode(), hashlib.sha256)
        signature.update(body)
        return f"sha256={signature.hexdigest()}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _is_valid(parts: SplitResult) -> bool:
    try:
        httpx.URL(parts.geturl())
        _ = parts.port
    except (httpx.InvalidURL, ValueError):
        return False
    return True


def _remedy(status: int) -> str:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        most = BATCH_BYTES // 1_000_000
        return f"Raise the receiver's limit to {most + 1} MB, as a batch may have {most}, then run ebingest sync."
    return "Mend the URL, the secret or the receiver, then run ebingest sync."


def _reason(error: BaseException) -> str:
    """What lies at the root of a failed request."""
    if cause := error.__cause__ or error.__context__:
        return _reason(cause)
    if isinstance(error, ConnectionError) and error.errno:  # asyncio has put words of its own there
        return os.strerror(error.errno)
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
