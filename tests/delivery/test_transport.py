"""The transport under httpx, against servers that say what they like, byte by byte, over real sockets."""

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest

from eventbridge_cli.delivery.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
CLOSE = b""


@contextmanager
def serving(*connections: Sequence[bytes], read_all: bool = True) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each request of each connection with the next piece; `CLOSE` closes. Gives what it read."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                with connection:
                    for answer in answers:
                        if answer == CLOSE:
                            break
                        heard.append(_request(connection) if read_all else connection.recv(1000))
                        for piece in answer.split(b"|"):
                            connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/ingest", heard
        thread.join(timeout=5)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(text.split(b":")[1]) for text in head.split(b"\r\n") if text.lower().startswith(b"content-length"))
    while len(body) < size:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def post(
    url: str, times: int = 1, *, most: int = 1000, timeout: float = 5, content: bytes = b"{}"
) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = Transport(ssl.create_default_context(), most=most)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            return [await client.post(url, content=content) for _ in range(times)]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(OK, b"{}", id="with a length"),
        pytest.param(b"HTTP/1.1 200 OK|\r\nContent-|Length: 2\r\n\r|\n{|}", b"{}", id="in pieces"),
        pytest.param(
            CHUNKED + b"1\r\n{\r\n|1\r\n}\r\n0\r\n\r\n",
            b"{}",
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}", id="after a 100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n|" + OK, b"{}", id="after a 103"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="without a body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"{}", mtime=0),
            b"{}",
            id="packed",
        ),
    ],
)
def test_answers(answer: bytes, expected: bytes) -> None:
    """An answer is understood however it is framed, and the connection serves the next request too."""
    with serving([answer, answer]) as (url, heard):
        responses = post(url, 2)
    assert [response.content for response in responses] == [expected, expected]
    assert len(heard) == 2


def test_an_answer_that_ends_with_its_connection() -> None:
    """Without a length, the end of the connection is the end of the answer."""
    with serving([b"HTTP/1.0 200 OK\r\n\r\nall of it", CLOSE]) as (url, _):
        [response] = post(url)
    assert response.content == b"all of it"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"nonsense\r\n\r\n", httpx.RemoteProtocolError, id="no HTTP"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", httpx.RemoteProtocolError, id="101"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", httpx.ReadError, id="cut off"),
        pytest.param(CHUNKED + b"9\r\n{", httpx.ReadError, id="cut off in a chunk"),
        pytest.param(b"HTTP/1.1 200", httpx.ReadError, id="cut off in the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, httpx.RemoteProtocolError, id="headers without end"),
    ],
)
def test_no_answer(answer: bytes, error: type[Exception]) -> None:
    """What is no answer is the error that httpx has for it, and the next request gets another connection."""
    with serving([answer, CLOSE], [OK]) as (url, _):
        with pytest.raises(error):
            post(url)
        assert post(url)[0].status_code == 200


def test_an_answer_without_end_is_cut() -> None:
    """Of an answer that is too long no more is held than was asked for, give or take a block."""
    with serving([b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 1_000_000, CLOSE]) as (url, _):
        [response] = post(url, most=1000)
    assert 1000 < len(response.content) < 500_000


def test_an_answer_before_the_request_is_sent() -> None:
    """A server may say no while the body is on its way; that connection is not used again."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with serving([refusal, CLOSE], read_all=False) as (url, _):
        [response] = post(url, content=b"x" * 8_000_000)
    assert response.status_code == 413


def test_a_connection_that_was_closed_is_not_used() -> None:
    """A connection that the server closed in the meantime is replaced before anything is sent on it."""

    async def run(url: str) -> list[int]:
        transport = Transport(ssl.create_default_context(), most=1000)
        async with httpx.AsyncClient(transport=transport) as client:
            first = await client.post(url, content=b"{}")
            await asyncio.sleep(0.1)
            return [first.status_code, (await client.post(url, content=b"{}")).status_code]

    with serving([OK, CLOSE], [OK]) as (url, heard):
        assert asyncio.run(run(url)) == [200, 200]
    assert len(heard) == 2


def test_connection_close_is_obeyed() -> None:
    """A server that closes after each answer gets a connection for each request."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    with serving([answer], [answer]) as (url, _):
        assert len(post(url, 2)) == 2


def test_silence_is_a_timeout() -> None:
    """A server that says nothing is given up, and so is one that stalls in the midst of its answer."""
    for answer in (b"|", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"):
        with serving([answer, OK]) as (url, _), pytest.raises(httpx.ReadTimeout):
            post(url, timeout=0.2)


def test_nobody_listens() -> None:
    """A closed port is a connection that could not be made, so that nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        post(f"http://127.0.0.1:{port}/")
    with pytest.raises(httpx.UnsupportedProtocol):
        post("ftp://127.0.0.1/")


@pytest.mark.parametrize("value", ["t0k3n\r\nX-Injected: 1", "t0k3n\nb", "t0k3n\0b", " t0k3n", "t0k3n ", "t0k3n\x7fb"])
def test_a_header_can_not_carry_another(value: str) -> None:
    """What would end a header early is refused before anything is sent."""

    async def run(url: str) -> None:
        transport = Transport(ssl.create_default_context(), most=1000)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.post(url, headers={"Authorization": value})

    with pytest.raises(httpx.LocalProtocolError) as caught:
        asyncio.run(run("http://127.0.0.1:9/"))
    assert "t0k3n" not in str(caught.value)
