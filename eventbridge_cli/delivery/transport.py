"""HTTP/1.1 under httpx's API: asyncio below, llhttp for the answers.

httpx's own transport takes ten times as long for a POST, and its pool's cost grows with the number of connections
(`benchmarks/`). This one does what the tool needs and no more: no HTTP/2 and no proxies, for which `client.py` takes
httpx's own; a request is sent as one piece of bytes, an answer is taken as a whole and no longer than `most` bytes.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import httpx

_PIECE = 64 * 1024
_MOST_HEADER_BYTES = 64 * 1024
_CONTINUE = range(100, 200)
# RFC 9110, section 5.5: visible characters with spaces and tabs between them, and obs-text.
_FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")

_Origin = tuple[bytes, bytes, int | None]


@dataclass(slots=True)
class _Answer:
    """An answer as far as it has come in."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    has_length: bool = False


class _Body(httpx.AsyncByteStream):
    """The body of an answer, in pieces, so that one that was packed small is not unpacked all at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), _PIECE):
            yield self._data[start : start + _PIECE]


class _Connection(asyncio.Protocol):
    """One connection: an exchange at a time. The parser calls the methods that begin with `on_`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answer = _Answer()
        self._received = 0
        self._wanted: asyncio.Future[_Answer] | None = None
        self._headers_only = False
        self._stream: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self.reusable = True

    async def exchange(self, request: bytes, *, headers_only: bool) -> _Answer:
        """Send a request and wait for the answer.

        Raises:
            httpx.TransportError: there is none, or it is no HTTP.
        """
        if not self.reusable:
            raise httpx.ReadError("the connection was closed")
        self._answer, self._received, self._headers_only = _Answer(), 0, headers_only
        self._wanted = asyncio.get_running_loop().create_future()
        self._stream.write(request)
        return await self._wanted

    @property
    def is_free(self) -> bool:
        """Whether the last exchange came to its end."""
        return self._wanted is not None and self._wanted.done() and not self._wanted.cancelled()

    def get_extra_info(self, info: str) -> Any:
        """What asyncio knows of the connection, such as `ssl_object`."""
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        """Close at once; what is not yet sent stays unsent."""
        self.reusable = False
        self._stream.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._wanted is None or self._wanted.done():
            self.close()  # nobody has asked for this
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"the answer is no HTTP/1.1 ({error})"))
        if self._received > self._most + _MOST_HEADER_BYTES:
            self._succeed(reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._answer.status and not self._answer.has_length and exc is None:
            self._succeed(reusable=False)  # such an answer ends where the connection does
        self._fail(httpx.ReadError("the connection was lost"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers.append((name, value))
        self._answer.has_length |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._headers_only:
            self._succeed(reusable=False)

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        if self._answer.status in _CONTINUE:
            self._answer = _Answer()
            return
        self._succeed(reusable=self._parser.should_keep_alive() and not self._stream.get_write_buffer_size())

    def _succeed(self, *, reusable: bool) -> None:
        if self._wanted is not None and not self._wanted.done():
            if not self._answer.status:
                self._fail(httpx.RemoteProtocolError("the answer's headers have no end"))
                return
            self._wanted.set_result(self._answer)
            if not reusable:
                self.close()

    def _fail(self, error: httpx.TransportError) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_exception(error)
            self.close()


class Transport(httpx.AsyncBaseTransport):
    """Keeps connections open from one request to the next; opens as many as there are requests at once.

    Args:
        context: what TLS certificates are checked against.
        most: bytes of a body, after which the rest of an answer is not read.
    """

    def __init__(self, context: ssl.SSLContext, *, most: int) -> None:
        self._context = context
        self._most = most
        self._idle: dict[_Origin, list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; see httpx for what it raises."""
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(f"{url.scheme} is not spoken here")
        origin = (url.raw_scheme, url.raw_host, url.port)
        message = _head(request) + await request.aread()
        limits = request.extensions.get("timeout", {})
        connection = await self._connection(origin, url, limits)
        try:
            async with asyncio.timeout(limits.get("read")):
                answer = await connection.exchange(message, headers_only=request.method == "HEAD")
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        finally:
            if connection.reusable and connection.is_free:
                self._idle.setdefault(origin, []).append(connection)
            else:
                connection.close()
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(bytes(answer.body)),
            extensions={"network_stream": connection},
        )

    async def _connection(self, origin: _Origin, url: httpx.URL, limits: Mapping[str, float | None]) -> _Connection:
        idle = self._idle.get(origin, [])
        while idle:
            if (connection := idle.pop()).reusable:
                return connection
        secure = url.scheme == "https"
        try:
            async with asyncio.timeout(limits.get("connect")):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._most),
                    url.host,
                    url.port or (443 if secure else 80),
                    ssl=self._context if secure else None,
                    server_hostname=url.host if secure else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    async def aclose(self) -> None:
        """Close all connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    for name, value in request.headers.raw:
        if not _FIELD_VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"the header {name.decode()} has a character that may not be there")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"
