"""Servers that say what they like, byte by byte, over real sockets, and clients that ask them."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import httpx
import trustme

from eventbridge_cli.delivery.client import build_client
from eventbridge_cli.delivery.client import post as direct_post
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.transport.pool import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
CLOSE = b""


@contextmanager
def serving(
    *connections: Sequence[bytes], read_all: bool = True, host: str = "127.0.0.1"
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each request of each connection with the next piece; `CLOSE` closes. Gives what it read."""
    heard: list[bytes] = []
    with socket.create_server((host, 0)) as listening:

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                with connection:
                    for answer in answers:
                        if answer == CLOSE:
                            break
                        if not (request := request_of(connection) if read_all else connection.recv(1000)):
                            break
                        heard.append(request)
                        for piece in answer.split(b"|"):
                            connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://{host}:{listening.getsockname()[1]}/ingest", heard
        thread.join(timeout=5)


def request_of(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(text.split(b":")[1]) for text in head.split(b"\r\n") if text.lower().startswith(b"content-length"))
    while len(body) < size:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def taking(work: Callable[[socket.socket], None], *, secure: bool) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A server that does `work` with each connection, over TLS if asked for. Gives its URL, and what vouches for it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "api.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with context.wrap_socket(connection, server_side=True) if secure else connection as stream:
                        work(stream)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http{'s' if secure else ''}://localhost:{listening.getsockname()[1]}/ingest", trusting
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def post(
    url: str,
    times: int = 1,
    *,
    most: int = 1000,
    timeout: float = 5,
    content: bytes = b"{}",
    context: ssl.SSLContext | None = None,
) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = Transport(lambda: context or ssl.create_default_context(), most=most)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            return [await client.post(url, content=content) for _ in range(times)]

    return asyncio.run(run())


def answers(url: str, times: int = 1, *, bearer: str = "Bearer t0k3n", timeout: float = 5) -> list[Answer | NoAnswer]:
    """What the tool's own client makes of POSTs, one after the other."""

    async def run() -> list[Answer | NoAnswer]:
        async with build_client(timeout=timeout) as client:
            headers = {"Authorization": bearer, "Accept": "application/json"}
            return [await direct_post(client, url, content=b"[1]", headers=headers) for _ in range(times)]

    return asyncio.run(run())
