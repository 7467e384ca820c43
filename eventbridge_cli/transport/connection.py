"""One connection to a server: asyncio below, llhttp for the answers."""

import asyncio
import sys
from typing import cast

import httptools
import httpx

from eventbridge_cli.transport.message import Reply

_PIECE = 64 * 1024  # bytes
_MOST_HEADER_BYTES = 64 * 1024
_CONTINUE = range(100, 200)
_FIRST_ERROR = 400


class Connection(asyncio.Protocol):
    """One connection: an exchange at a time.

    The parser calls the methods that begin with `on_`; asyncio calls those that it calls in every protocol.

    Args:
        most: bytes of a body, after which the rest of an answer is not read.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._reply: Reply
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
        """Send a request and wait for the answer, or for as much of one as comes behind its head.

        Raises:
            httpx.TransportError: there is none, not in time, or it is no HTTP.
        """
        if not self.reusable:
            raise httpx.ReadError("the connection was closed")
        self._reply, self._received, self._headers_only = Reply(self._stream), 0, headers_only
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

    def close(self) -> None:
        """Close at once; what is not yet sent stays unsent."""
        self.reusable = False
        self._stream.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream = cast("asyncio.Transport", transport)
        self._reply = Reply(self._stream)
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
            self._break_off(httpx.RemoteProtocolError(f"the answer is no HTTP/1.1 ({error})"))
            self.close()  # the answer may have been whole, and this behind it
        if self._received > self._most + _MOST_HEADER_BYTES:
            self._succeed(reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._has_final_head and not self._reply.has_length and exc is None:
            self._succeed(reusable=False)  # such an answer ends where the connection does
        lost = httpx.ReadError("the connection was lost")
        lost.__cause__ = exc
        self._break_off(lost)

    def on_message_begin(self) -> None:
        if self._wanted is None or self._wanted.done():
            self.close()  # something stands behind the answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers.append((name, value))
        self._reply.has_length |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        self._reply.status = self._parser.get_status_code()
        if self._headers_only and self._has_final_head:
            self._succeed(reusable=False)

    def on_body(self, body: bytes) -> None:
        self._reply.body += body

    def on_message_complete(self) -> None:
        if self._reply.status in _CONTINUE:
            self._reply = Reply(self._stream)
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
            self._reply = Reply(self._stream)  # whatever follows is no part of it

    @property
    def _has_final_head(self) -> bool:
        return bool(self._reply.status) and self._reply.status not in _CONTINUE

    def _break_off(self, error: httpx.TransportError) -> None:
        """Nothing more comes. The head alone is an answer, too: it says what became of the request."""
        if self._has_final_head:
            self._reply.broken_by = error
            self._succeed(reusable=False)
        else:
            self._fail(error)

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
            self._break_off(httpx.ReadTimeout("no answer in time"))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_exception(error)
            self.close()
