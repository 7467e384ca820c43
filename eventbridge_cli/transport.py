"""HTTP/1.1 under httpx's API: asyncio below, llhttp for the answers.

httpx's own transport takes ten times as long for a POST, and its pool's cost grows with the number of connections
(`benchmarks/`). This one does what the tool needs and no more: no HTTP/2, and by a proxy it goes with httpx's own; a
request is ready in bytes before it is sent, an answer is taken as a whole and no longer than `most` bytes.
It has two doors: httpx's, and `exchange` for requests that are ready as they are.
"""

import asyncio
import re
import socket
import ssl
import sys
from asyncio.staggered import staggered_race
from collections.abc import AsyncIterator, Callable, Iterable
from email.utils import parsedate_to_datetime
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple, cast

import httptools
import httpx
from msgspec import Struct, field

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.proxies import proxy_of

_PIECE = 64 * 1024  # bytes
_MOST_HEADER_BYTES = 64 * 1024
_PACKED_PIECE = 4 * 1024  # may unpack to a thousand times that
_CONTINUE = range(100, 200)
_FIRST_ERROR = 400
_LAST_PORT = 65_535
_HEAD_START = 0.25  # seconds that an address has before the next one is tried as well (RFC 8305, section 8)
# RFC 9110, section 5.5: visible characters with spaces and tabs between them, and obs-text.
_FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")

Headers = Iterable[tuple[bytes, bytes]]


class Origin(NamedTuple):
    """What a connection is made to."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        """The origin of a URL.

        Raises:
            httpx.UnsupportedProtocol: it is neither http nor https.
        """
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(f"{url.scheme or 'a URL without a scheme'} is not spoken here")
        secure = url.scheme == "https"
        return cls(secure, url.host, url.port or (443 if secure else 80))


class StaleConnectionError(httpx.ReadError):
    """A connection that had been kept ended before a byte of the answer came."""


class Reply(Struct):
    """An answer as far as it has come in."""

    connection: "_Connection"
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    has_length: bool = False

    @property
    def named(self) -> dict[str, str]:
        """The headers by their names in lower case; those of the same name as one, as httpx gives them."""
        named: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
            named[name] = f"{named[name]}, {value}" if name in named else value
        return named

    def as_response(self) -> httpx.Response:
        """The same for httpx, which unpacks the body where it is packed."""
        return httpx.Response(
            self.status,
            headers=self.headers,
            stream=_Body(bytes(self.body)),
            extensions={"network_stream": self.connection},
        )


class _Body(httpx.AsyncByteStream):
    """The body of an answer, in pieces, so that one that was packed small is not unpacked all at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), _PACKED_PIECE):
            yield self._data[start : start + _PACKED_PIECE]


class _Connection(asyncio.Protocol):
    """One connection: an exchange at a time. The parser calls the methods that begin with `on_`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._reply = Reply(self)
        self._received = 0
        self._piece = sys.maxsize  # of a request, that is sent at once
        self._later = memoryview(b"")  # what is to be sent once that is taken
        self._is_full = False
        self._was_unsent = 0
        self._limit: asyncio.TimerHandle | None = None
        self._wanted: asyncio.Future[Reply] | None = None
        self._headers_only = False
        self._stream: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self.reusable = True

    async def exchange(self, request: bytes, *, seconds: float | None, headers_only: bool) -> Reply:
        """Send a request and wait for the answer.

        Raises:
            httpx.TransportError: there is none, not in time, or it is no HTTP.
        """
        if not self.reusable:
            raise httpx.ReadError("the connection was closed")
        self._reply, self._received, self._headers_only = Reply(self), 0, headers_only
        self._wanted = asyncio.get_running_loop().create_future()
        self._later = memoryview(request)[self._piece :]
        self._stream.write(request[: self._piece])
        self._send_on()
        self._was_unsent = self._unsent
        if seconds is not None:
            self._wait(seconds)
        try:
            return await self._wanted
        finally:
            if self._limit is not None:
                self._limit.cancel()

    @property
    def is_free(self) -> bool:
        """Whether the last exchange came to its end."""
        return self._wanted is not None and self._wanted.done() and not self._wanted.cancelled()

    @property
    def has_heard(self) -> bool:
        """Whether anything of an answer to the last request has come."""
        return self._received > 0

    def get_extra_info(self, info: str) -> Any:
        """What asyncio knows of the connection, such as `ssl_object`."""
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        """Close at once; what is not yet sent stays unsent."""
        self.reusable = False
        self._stream.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream = cast("asyncio.Transport", transport)
        if self._stream.get_extra_info("ssl_object") is not None:
            self._piece = _PIECE  # what TLS was given it has sent, for all that it tells
        else:
            # uvloop would keep what is written until all that is ready has had its turn: the other senders' work.
            self._stream.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        if self._wanted is None or self._wanted.done():
            self.close()  # nobody has asked for this
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"the answer is no HTTP/1.1 ({error})"))
            self.close()  # the answer may have been whole, and this behind it
        if self._received > self._most + _MOST_HEADER_BYTES:
            self._succeed(reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._reply.status and not self._reply.has_length and exc is None:
            self._succeed(reusable=False)  # such an answer ends where the connection does
        self._fail(httpx.ReadError("the connection was lost"))

    def on_message_begin(self) -> None:
        if self._wanted is None or self._wanted.done():
            self.close()  # something stands behind the answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers.append((name, value))
        self._reply.has_length |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        self._reply.status = self._parser.get_status_code()
        if self._headers_only and self._reply.status not in _CONTINUE:
            self._succeed(reusable=False)

    def on_body(self, body: bytes) -> None:
        self._reply.body += body

    def on_message_complete(self) -> None:
        if self._reply.status in _CONTINUE:
            self._reply = Reply(self)
            return
        self._succeed(reusable=self._parser.should_keep_alive() and not self._unsent)

    def _succeed(self, *, reusable: bool) -> None:
        if self._wanted is not None and not self._wanted.done():
            if not self._reply.status:
                self._fail(httpx.RemoteProtocolError("the answer's headers have no end"))
                return
            self._wanted.set_result(self._reply)
            # What is an error may be said before the request is read, of which the rest is then taken for another.
            if not reusable or self._reply.status >= _FIRST_ERROR:
                self.close()
            self._reply = Reply(self)  # whatever follows is no part of it

    def _send_on(self) -> None:
        while self._later and not self._is_full:
            piece, self._later = self._later[: self._piece], self._later[self._piece :]
            self._stream.write(piece)

    @property
    def _unsent(self) -> int:
        """Bytes of the request that are known not to have been sent."""
        return len(self._later) + self._stream.get_write_buffer_size()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._wanted is not None and not self._wanted.done():
            self._send_on()

    def _wait(self, seconds: float) -> None:
        # A third of what asyncio.timeout takes.
        self._limit = asyncio.get_running_loop().call_later(seconds, self._run_out, seconds)

    def _run_out(self, seconds: float) -> None:
        """End the exchange, unless a part of the request was still sent within the time: then wait once more."""
        if self._unsent < self._was_unsent:
            self._was_unsent = self._unsent
            self._wait(seconds)
        else:
            self._fail(httpx.ReadTimeout("no answer in time"))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_exception(error)
            self.close()


class Transport(httpx.AsyncBaseTransport):
    """Keeps connections open from one request to the next; opens as many as there are requests at once.

    By a proxy, each request gets a connection of its own.

    Args:
        context: gives what TLS certificates are checked against; it is asked once, when TLS is first spoken.
        most: bytes of a body, after which the rest of an answer is not read. With 0 the body does not count at all: an
            answer is there once its headers are.
        at_once: connections to a proxy, at most; None for as many as there are requests.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], *, most: int, at_once: int | None = None) -> None:
        self._context = cache(context)
        self._most = most
        # Kept, a connection of httpx's takes what stood behind an answer for the answer to the next request.
        self._limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=0)
        self._idle: dict[Origin, list[_Connection]] = {}
        self._by_proxy: dict[Origin, httpx.AsyncHTTPTransport | None] = {}

    def by_proxy(self, origin: Origin) -> httpx.AsyncHTTPTransport | None:
        """What speaks to the proxy that stands before an origin; None if there is none, so that `exchange` serves.

        Raises:
            ConfigurationError: the proxy is none that can be spoken to.
        """
        if origin not in self._by_proxy:
            scheme = "https" if origin.secure else "http"
            proxy = checked_proxy(str(httpx.URL(scheme=scheme, host=origin.host, port=origin.port)))
            self._by_proxy[origin] = (
                httpx.AsyncHTTPTransport(verify=self._context(), limits=self._limits, proxy=proxy) if proxy else None
            )
        return self._by_proxy[origin]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; see httpx for what it raises."""
        origin = Origin.of(request.url)
        if by_proxy := self.by_proxy(origin):
            return await by_proxy.handle_async_request(request)
        message = head(request.method.encode(), request.url.raw_path, request.headers.raw) + await request.aread()
        limits = request.extensions.get("timeout", {})
        reply = await self.exchange(
            origin,
            message,
            connect=limits.get("connect"),
            read=limits.get("read"),
            headers_only=request.method == "HEAD" or not self._most,
        )
        return reply.as_response()

    async def exchange(
        self, origin: Origin, message: bytes, *, connect: float | None, read: float | None, headers_only: bool = False
    ) -> Reply:
        """Send a request, ready as it is, and wait for the answer.

        Args:
            origin: where to.
            message: the request.
            connect: seconds for the connection.
            read: seconds for the answer, to its last byte; they begin anew while the request is still being taken.
            headers_only: whether the answer ends with its headers, as one to a HEAD does.

        Raises:
            httpx.TransportError: there is no answer.
        """
        kept = self._kept(origin)
        connection = kept or await self._connect(origin, connect)
        try:
            return await connection.exchange(message, seconds=read, headers_only=headers_only)
        except httpx.ReadError as error:
            if kept is None or connection.has_heard:
                raise
            raise StaleConnectionError(str(error)) from error
        finally:
            if connection.reusable and connection.is_free:
                self._idle.setdefault(origin, []).append(connection)
            else:
                connection.close()

    def _kept(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin, [])
        while idle:
            if (connection := idle.pop()).reusable:
                return connection
        return None

    async def _connect(self, origin: Origin, seconds: float | None) -> _Connection:
        context = self._context() if origin.secure else None
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._most),
                    sock=await _reach(origin),
                    ssl=context,
                    server_hostname=origin.host if origin.secure else None,
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
        for by_proxy in filter(None, self._by_proxy.values()):
            await by_proxy.aclose()


async def _reach(origin: Origin) -> socket.socket:
    """A socket to the first of a host's addresses that answers; one that says nothing holds up the next but shortly.

    What asyncio has for that (`happy_eyeballs_delay`) uvloop has not.
    """
    loop = asyncio.get_running_loop()

    async def reach(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> socket.socket:
        reaching = socket.socket(family, kind, protocol)
        try:
            reaching.setblocking(False)  # noqa: FBT003 - that is its signature
            await loop.sock_connect(reaching, address)
        except BaseException:
            reaching.close()
            raise
        return reaching

    host = origin.host.encode() if origin.host.isascii() else origin.host  # for text Python loads tables of Unicode
    found = await loop.getaddrinfo(host, origin.port, type=socket.SOCK_STREAM)
    attempts = [partial(reach, family, kind, protocol, address) for family, kind, protocol, _, address in found]
    reached: socket.socket | None
    reached, _, errors = await staggered_race(attempts, _HEAD_START)
    if reached is None:
        raise next(filter(None, reversed(errors)))
    return reached


def checked_proxy(url: str) -> httpx.Proxy | None:
    """The proxy that the environment has for a URL.

    Raises:
        ConfigurationError: it is none that can be spoken to.
    """
    found = proxy_of(url)
    if found is None:
        return None
    try:
        proxy = httpx.Proxy(found.url)
        is_address = bool(proxy.url.host) and (proxy.url.port or 0) <= _LAST_PORT
    except (ValueError, httpx.InvalidURL):
        is_address = False
    if not is_address:
        # It is not quoted, as it may hold a password.
        raise ConfigurationError(
            f"{found.variable} is no URL of a proxy that can be spoken to.",
            "Write it as in http://host:8080, unset it, or name in NO_PROXY what is reached without it.",
        )
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{found.variable} names a SOCKS proxy, which takes socksio to speak to, and that is not installed.",
            "Install it with: pip install socksio. Or name a proxy that speaks HTTP.",
        )
    return proxy


def head(method: bytes, path: bytes, headers: Headers) -> bytes:
    """The first part of a request.

    Raises:
        httpx.LocalProtocolError: a header has a character that may not be there.
    """
    lines = [b"%s %s HTTP/1.1" % (method, path)]
    for name, value in headers:
        if not _FIELD_VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"the header {name.decode()} has a character that may not be there")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def retry_after(text: str | None, now: float) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3): a number or an HTTP-date.

    None for nonsense and for what is not in the future.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None
