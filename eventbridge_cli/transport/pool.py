"""The connections to all servers, kept from one request to the next.

httpx's own transport takes ten times as long for a POST, and its pool's cost grows with the number of connections
(`benchmarks/`). This one does what the tool needs and no more: no HTTP/2, and no proxy that itself speaks TLS or SOCKS,
by which it goes with httpx's own; a request is ready in bytes before it is sent, an answer is taken as a whole and no
longer than `most` bytes.
It has two doors: httpx's, and `exchange` for requests that are ready as they are.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import httpx

from eventbridge_cli.transport.connection import Connection
from eventbridge_cli.transport.hosts import reach
from eventbridge_cli.transport.message import Reply, head
from eventbridge_cli.transport.proxies import checked_proxy, tunnel


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
        return cls(secure, url.raw_host.decode(), url.port or (443 if secure else 80))


class _Way(NamedTuple):
    """How an origin is reached: straight, in a tunnel through a proxy, or by httpx's own transport."""

    tunnel_by: httpx.Proxy | None = None
    by_proxy: httpx.AsyncHTTPTransport | None = None


class StaleConnectionError(httpx.ReadError):
    """A connection that had been kept ended before a byte of the answer came."""


class Transport(httpx.AsyncBaseTransport):
    """Keeps connections open from one request to the next; opens as many as there are requests at once.

    By httpx's own transport, each request gets a connection of its own.

    Args:
        context: gives what TLS certificates are checked against; it is asked once, when TLS is first spoken.
        most: bytes of a body, after which the rest of an answer is not read. With 0 the body does not count at all: an
            answer is there once its headers are.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], *, most: int) -> None:
        self._context = cache(context)
        self._most = most
        self._idle: dict[Origin, list[Connection]] = {}
        self._ways: dict[Origin, _Way] = {}

    def by_proxy(self, origin: Origin) -> httpx.AsyncHTTPTransport | None:
        """What goes by the proxy that stands before an origin; None where `exchange` serves.

        Raises:
            ConfigurationError: the proxy is none that can be spoken to.
        """
        return self._way(origin).by_proxy

    def _way(self, origin: Origin) -> _Way:
        if origin not in self._ways:
            scheme = "https" if origin.secure else "http"
            proxy = checked_proxy(str(httpx.URL(scheme=scheme, host=origin.host, port=origin.port)))
            if proxy is None or (origin.secure and proxy.url.scheme == "http"):
                self._ways[origin] = _Way(tunnel_by=proxy)
            else:
                # Kept, a connection of httpx's takes what stood behind an answer for the answer to the next request.
                limits = httpx.Limits(max_keepalive_connections=0)
                transport = httpx.AsyncHTTPTransport(verify=self._context(), limits=limits, proxy=proxy)
                self._ways[origin] = _Way(by_proxy=transport)
        return self._ways[origin]

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
        if reply.broken_by is not None:
            raise reply.broken_by
        return reply.as_response()

    async def exchange(
        self, origin: Origin, message: bytes, *, connect: float | None, read: float | None, headers_only: bool = False
    ) -> Reply:
        """Send a request, ready as it is, and wait for the answer, which may have broken off in its body.

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
                if kept is not None and not connection.has_heard:
                    self._close_idle(origin)  # whatever ended it in silence has most likely ended them all

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin, [])
        while idle:
            if (connection := idle.pop()).reusable:
                return connection
        return None

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        context = self._context() if origin.secure else None
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._most),
                    sock=await self._reach(origin),
                    ssl=context,
                    server_hostname=origin.host if origin.secure else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    async def _reach(self, origin: Origin) -> socket.socket:
        proxy = self._way(origin).tunnel_by
        if proxy is None:
            return await reach(origin.host, origin.port)
        way = await reach(proxy.url.host, proxy.url.port or 80)
        try:
            await tunnel(way, proxy, origin.host, origin.port)
        except BaseException:
            way.close()
            raise
        return way

    def _close_idle(self, origin: Origin) -> None:
        for connection in self._idle.pop(origin, []):
            connection.close()

    async def aclose(self) -> None:
        """Close all connections."""
        for origin in list(self._idle):
            self._close_idle(origin)
        for way in self._ways.values():
            if way.by_proxy is not None:
                await way.by_proxy.aclose()
