"""Connections and the answers on them, whatever a server says."""

import asyncio
import gzip
import socket
import ssl
import struct
import threading
from pathlib import Path

import httpx
import pytest
from raw_http import BUSY, CHUNKED, CLOSE, OK, post, serving, taking
from support import audit_lines, ebingest, lines

from eventbridge_cli.transport.pool import Origin, Transport


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


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_request_that_is_taken_slowly_is_no_timeout(secure: bool) -> None:  # noqa: FBT001
    """The time begins anew while the server takes the request; who takes nothing more has run out of it."""
    size, stopped = 50_000_000, threading.Event()

    def take(stream: socket.socket) -> None:
        left = size
        while left > 0 and (taken := len(stream.recv(1_000_000))):
            left -= taken
            stopped.wait(0.03 * taken / 1_000_000)
        stream.sendall(OK)

    def take_little(stream: socket.socket) -> None:
        stream.recv(1000)
        stopped.wait(30)

    with taking(take, secure=secure) as (url, trusting):
        [response] = post(url, timeout=0.5, content=b"x" * size, context=trusting)
    assert response.status_code == 200
    with taking(take_little, secure=secure) as (url, trusting):
        with pytest.raises(httpx.ReadTimeout):
            post(url, timeout=0.5, content=b"x" * size, context=trusting)
        stopped.set()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_connection_with_half_a_request_in_it_is_not_used_again(secure: bool) -> None:  # noqa: FBT001
    """A server that answers early keeps the connection open; the next request goes over another one all the same."""
    over = threading.Event()
    seen: list[bytes] = []

    def refuse(stream: socket.socket) -> None:
        seen.append(stream.recv(1000))
        stream.sendall(BUSY)
        over.wait(0.3)

    with taking(refuse, secure=secure) as (url, trusting):
        responses = post(url, 2, content=b"x" * 16_000_000, context=trusting)
    assert [response.status_code for response in responses] == [503, 503]
    assert [request.startswith(b"POST /ingest") for request in seen] == [True, True]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\n|xx",
        b"HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
    ],
)
def test_an_answer_whose_body_does_not_count(answer: bytes) -> None:
    """With `most` 0 an answer is there with its final headers, whatever becomes of its body."""
    with serving([answer, CLOSE], [OK]) as (url, _):
        assert [response.status_code for response in post(url, 2, most=0)] == [202, 200]


@pytest.mark.parametrize("behind", [OK, b"HTTP/1.1 200 OK\r\nContent-Le", b"garbage\r\n\r\n", b"H"])
@pytest.mark.parametrize(("answer", "status"), [(BUSY, 503), (OK, 200)])
@pytest.mark.parametrize("most", [1000, 0])
def test_what_stands_behind_an_answer_is_no_part_of_it(answer: bytes, status: int, behind: bytes, most: int) -> None:
    """More bytes in the same segment, as of an answer to nothing: the first stands, and the connection is not kept."""
    with serving([answer + behind, CLOSE], [OK]) as (url, heard):
        first, second = post(url, 2, most=most)
    assert (first.status_code, second.status_code) == (status, 200)
    assert (first.content, second.content) == ((b"{}" if answer is OK else b"", b"{}") if most else (b"", b""))
    assert len(heard) == 2


def test_a_connection_that_gave_an_error_is_not_used_again() -> None:
    """An error may come before the request is read; what then is left of that would be taken for the next one."""
    with serving([BUSY, BUSY], [OK]) as (url, heard):
        assert [response.status_code for response in post(url, 2)] == [503, 200]
    assert len(heard) == 2


def test_a_connection_that_was_closed_is_not_used() -> None:
    """A connection that the server closed in the meantime is replaced before anything is sent on it."""

    async def run(url: str) -> list[int]:
        transport = Transport(ssl.create_default_context, most=1000)
        async with httpx.AsyncClient(transport=transport) as client:
            first = await client.post(url, content=b"{}")
            await asyncio.sleep(0.1)
            return [first.status_code, (await client.post(url, content=b"{}")).status_code]

    with serving([OK, CLOSE], [OK]) as (url, heard):
        assert asyncio.run(run(url)) == [200, 200]
    assert len(heard) == 2


def test_a_connection_that_ends_as_it_is_used_again(tmp_path: Path) -> None:
    """A server that drops connections it has promised to keep: what was sent there goes again at once, on another."""
    with serving([OK, b"|"], [OK, b"|"], [OK]) as (url, heard):
        env = {"GENESYS_INGEST_URL": url, "GENESYS_ACCESS_TOKEN": "token"}
        options = ("--chunk-events", "1", "--concurrency", "1")
        ebingest("ingest", *options, cwd=tmp_path, env=env, stdin=lines(3), check=[0])
    retried = [each for each in audit_lines(tmp_path / "ingestion_audit.jsonl") if each["event"] == "BATCH_RETRIED"]
    assert [(each["outcome"], each["delay"], each["unknown"]) for each in retried] == [("connection_lost", 0, True)] * 2
    assert len(heard) == 5


@pytest.mark.parametrize(("is_cut", "error"), [(True, httpx.ReadError), (False, httpx.ReadTimeout)])
def test_connections_that_died_together(is_cut: bool, error: type[Exception]) -> None:  # noqa: FBT001
    """A firewall has forgotten all idle connections: one request finds that out, and the next goes by a new one."""
    came: list[asyncio.Task[None] | None] = []
    both = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(asyncio.current_task())
        if len(came) == 2:
            both.set()
        await reader.readuntil(b"{}")
        await both.wait()
        writer.write(OK)
        if await reader.read(2) and not is_cut:
            await reader.read()
        writer.transport.abort()

    async def run() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1")
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ingest"
        transport = Transport(ssl.create_default_context, most=1000)
        async with server, httpx.AsyncClient(transport=transport, timeout=2) as client:
            await asyncio.gather(client.post(url, content=b"{}"), client.post(url, content=b"{}"))
            with pytest.raises(error):
                await client.post(url, content=b"{}")
            status = (await client.post(url, content=b"{}")).status_code
        await asyncio.wait(filter(None, came))
        return status

    assert asyncio.run(run()) == 200
    assert len(came) == 3


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


def test_what_has_ended_a_connection_is_told() -> None:
    """What the system says of it, or TLS, is the cause of the error, where doctor finds it."""

    def reset(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with taking(reset, secure=False) as (url, _), pytest.raises(httpx.ReadError) as caught:
        post(url)
    assert isinstance(caught.value.__cause__, ConnectionResetError)


@pytest.mark.parametrize("name", ["bücher.example", "xn--bcher-kva.example", "xn--i-7iq.example", "xn--a.example"])
def test_a_name_is_asked_for_as_it_is_written_in_the_dns(name: str) -> None:
    """Whether IDNA 2008 knows its characters or not: there are hosts with a heart in their names."""
    assert Origin.of(httpx.URL(f"https://{name}/")).host == name.replace("bücher", "xn--bcher-kva")


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
        transport = Transport(ssl.create_default_context, most=1000)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.post(url, headers={"Authorization": value})

    with pytest.raises(httpx.LocalProtocolError) as caught:
        asyncio.run(run("http://127.0.0.1:9/"))
    assert "t0k3n" not in str(caught.value)
