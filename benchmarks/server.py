"""An ingest endpoint that does next to nothing, so that a benchmark measures its client.

    python benchmarks/server.py [--latency MS]

It prints its URL and serves until standard input closes. It reads just enough HTTP/1.1 for the clients of the
benchmarks: kept connections and bodies with a Content-Length. Every other POST than one for a token is taken for
events. GET /stats tells what came, and what it cost.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

MARK = b'"eventType"'
"""Stands once in every event, so that counting it counts events."""

LENGTH = b"\r\ncontent-length:"
TOKEN = {"access_token": "benchmark", "expires_in": 3600, "token_type": "bearer"}


def response(status: str, document: dict[str, Any]) -> bytes:
    """A whole answer with a JSON body."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


TAKEN = response("200 OK", {})
GRANTED = response("200 OK", TOKEN)
LENGTHLESS = response("411 Length Required", {})


@dataclass
class Stats:
    """What came. Times in seconds; moments on the clock that all processes of the machine share."""

    requests: int = 0
    tokens: int = 0
    bytes: int = 0
    events: int = 0
    first_request: float = 0.0
    last_answer: float = 0.0
    held: float = 0.0  # from the end of a request to its answer, summed up
    cpu_before: float = field(default_factory=time.process_time)

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {
            "requests": self.requests,
            "tokens": self.tokens,
            "bytes": self.bytes,
            "events": self.events,
            "first_request": self.first_request,
            "last_answer": self.last_answer,
            "held_mean": self.held / self.requests if self.requests else 0.0,
            "cpu": time.process_time() - self.cpu_before,
        }


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other.

    Args:
        stats: of the server.
        latency: seconds from the end of a request for events to its answer.
    """

    def __init__(self, stats: Stats, latency: float) -> None:
        self._stats = stats
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._rest = b""  # of a head that has not come whole, or the end of a body in which a mark may have been cut
        self._missing = 0  # bytes of the body
        self._answer: Callable[[], None] | None = None  # of the request whose body is coming

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came, be it part of a request or several of them."""
        while data:
            data = self._take_head(data) if self._answer is None else self._take_body(data)
            if self._answer is not None and not self._missing:
                answer, self._answer, self._rest = self._answer, None, b""
                answer()

    def _take_head(self, data: bytes) -> bytes:
        head, end, body = (self._rest + data).partition(b"\r\n\r\n")
        if not end:
            self._rest = head
            return b""
        self._rest = b""
        if head.startswith(b"GET"):
            self._answer = self._tell
            return body
        _, found, length = head.lower().partition(LENGTH)
        if not found:
            self._transport.write(LENGTHLESS)
            self._transport.close()
            return b""
        self._missing = int(length.partition(b"\r\n")[0])
        if head.partition(b" HTTP/")[0].endswith(b"/token"):
            self._answer = self._grant
        else:
            self._answer = self._take
            self._stats.first_request = self._stats.first_request or time.monotonic()
        return body

    def _take_body(self, data: bytes) -> bytes:
        body, following = data[: self._missing], data[self._missing :]
        self._missing -= len(body)
        if self._answer == self._take:
            self._stats.bytes += len(body)
            body = self._rest + body
            self._stats.events += body.count(MARK)
            self._rest = body[1 - len(MARK) :]
        return following

    def _tell(self) -> None:
        self._transport.write(response("200 OK", self._stats.as_dict()))

    def _grant(self) -> None:
        self._stats.tokens += 1
        self._transport.write(GRANTED)

    def _take(self) -> None:
        self._stats.requests += 1
        if self._latency:
            self._loop.call_later(self._latency, self._release, time.monotonic())
        else:
            self._transport.write(TAKEN)
            self._stats.last_answer = time.monotonic()

    def _release(self, since: float) -> None:
        self._transport.write(TAKEN)
        now = time.monotonic()
        self._stats.last_answer = now
        self._stats.held += now - since


async def serve(latency: float) -> None:
    """Serve until standard input closes."""
    loop = asyncio.get_running_loop()
    stats = Stats()
    server = await loop.create_server(lambda: Connection(stats, latency), "127.0.0.1", 0, backlog=1024)
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stdin.read()


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Take uvloop's where it is installed, as it takes half the time."""
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        return asyncio.run
    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run
    return run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve a token and an ingest endpoint for the benchmarks.")
    parser.add_argument("--latency", metavar="MS", type=float, default=0.0, help="for each request with events")
    runner()(serve(parser.parse_args().latency / 1000))
