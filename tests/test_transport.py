"""The transport under httpx, against servers that say what they like, byte by byte, over real sockets."""

import asyncio
import gzip
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvloop
from support import audit_lines, ebingest, lines, scripted, without

from eventbridge_cli import __version__
from eventbridge_cli.delivery.client import MAX_ANSWER_BYTES, _DirectClient, build_client
from eventbridge_cli.delivery.client import post as direct_post
from eventbridge_cli.delivery.probe import proxy
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.errors import ConfigurationError, EndpointError
from eventbridge_cli.transport.pool import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
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
                        if not (request := _request(connection) if read_all else connection.recv(1000)):
                            break
                        heard.append(request)
                        for piece in answer.split(b"|"):
                            connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://{host}:{listening.getsockname()[1]}/ingest", heard
        thread.join(timeout=5)


def _request(connection: socket.socket) -> bytes:
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
        stream.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
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


BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


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


@contextmanager
def deaf() -> Iterator[tuple[str, int]]:
    """An address that leaves all who knock without an answer: its listener has as many waiting as it will have."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as stack:
        address = listening.getsockname()
        for _ in range(3):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)  # noqa: FBT003 - that is its signature
            knocking.connect_ex(address)
        yield address


def by_addresses(addresses: Sequence[tuple[str, int]], loop: Callable[[], asyncio.AbstractEventLoop]) -> int:
    """The status of a POST to a host that has these addresses."""

    async def run() -> int:
        running = asyncio.get_running_loop()
        known = running.getaddrinfo

        async def resolve(host: Any, *ports: Any, **hints: Any) -> list[Any]:
            if host != b"several.example":
                return await known(host, *ports, **hints)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]

        running.getaddrinfo = resolve  # type: ignore[method-assign]
        async with httpx.AsyncClient(transport=Transport(ssl.create_default_context, most=1000), timeout=2) as client:
            return (await client.post("http://several.example/", content=b"{}")).status_code

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_host_of_several_addresses(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """One that says nothing, or nobody listens at, keeps nobody from the next; where all are so, time is kept."""
    with deaf() as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = closed.getsockname()
        for before in ([silent], [refusing], [silent, refusing, silent]):
            with serving([OK]) as (url, _):
                assert by_addresses([*before, ("127.0.0.1", httpx.URL(url).port or 0)], loop) == 200
        with pytest.raises(httpx.ConnectTimeout):
            by_addresses([refusing, silent], loop)
        with pytest.raises(httpx.ConnectError):
            by_addresses([refusing, refusing], loop)


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


def answers(url: str, times: int = 1, *, bearer: str = "Bearer t0k3n", timeout: float = 5) -> list[Answer | NoAnswer]:
    """What the tool's own client makes of POSTs, one after the other."""

    async def run() -> list[Answer | NoAnswer]:
        async with build_client(concurrency=1, timeout=timeout) as client:
            headers = {"Authorization": bearer, "Accept": "application/json"}
            return [await direct_post(client, url, content=b"[1]", headers=headers) for _ in range(times)]

    return asyncio.run(run())


def test_the_direct_way_sends_what_httpx_sends() -> None:
    """The same request line, headers and body; only a default that the caller has replaced is sent once."""
    content, headers = b"[1]", {"Authorization": "Bearer t0k3n", "Accept": "application/json"}

    async def by_httpx(url: str) -> None:
        transport = Transport(ssl.create_default_context, most=1000)
        async with httpx.AsyncClient(transport=transport, headers={"User-Agent": f"ebingest/{__version__}"}) as client:
            await client.post(url, content=content, headers=headers)

    def fields(request: bytes) -> tuple[bytes, list[bytes], bytes]:
        top, _, body = request.partition(b"\r\n\r\n")
        first, *rest = top.split(b"\r\n")
        return first, sorted(each.lower() for each in rest), body

    with serving([OK], [OK]) as (url, heard):
        asyncio.run(by_httpx(url + "?a=%20b"))
        answers(url + "?a=%20b")
    assert fields(heard[0]) == fields(heard[1])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(OK, Answer(200, {"content-length": "2"}, b"{}"), id="plain"),
        pytest.param(
            b"HTTP/1.1 429 Slow\r\nRETRY-AFTER: 3\r\nx: a\r\nX: b\r\nn: \xe9\r\nContent-Length: 0\r\n\r\n",
            Answer(429, {"retry-after": "3", "x": "a, b", "n": "é", "content-length": "0"}, b""),
            id="headers",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"{}", mtime=0),
            Answer(200, {"content-encoding": "gzip", "content-length": "22"}, b"{}"),
            id="packed",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
            Answer(200, {"content-encoding": "gzip", "content-length": "4"}, b""),
            id="packed badly",
        ),
        pytest.param(b"nonsense\r\n\r\n", NoAnswer("connection_lost", sent=True), id="no HTTP"),
    ],
)
def test_the_direct_way_reads_what_httpx_reads(answer: bytes, expected: Answer | NoAnswer) -> None:
    """Status, headers by their names in lower case, and the body, unpacked."""
    with serving([answer]) as (url, _):
        assert answers(url) == [expected]


def test_a_packed_answer_is_unpacked_no_further_than_it_is_read() -> None:
    """A few kilobytes that unpack to 100 MB are not held as such."""
    packed = gzip.compress(bytes(100_000_000), mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with serving([head + packed]) as (url, _):
        [answer] = answers(url)
    assert isinstance(answer, Answer)
    assert MAX_ANSWER_BYTES < len(answer.body) < MAX_ANSWER_BYTES + 10_000_000


def test_an_answer_that_is_packed_twice_is_not_unpacked() -> None:
    """A kilobyte could hold a gigabyte."""
    packed = gzip.compress(gzip.compress(bytes(1_000_000), mtime=0), mtime=0)
    assert b"|" not in packed  # or the server would take it for a pause
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with serving([head + packed]) as (url, _):
        [answer] = answers(url)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"")


def test_the_direct_way_keeps_its_connection() -> None:
    """Three POSTs to a server that takes one connection; silence is given up."""
    with serving([OK, OK, b"|", OK]) as (url, heard):
        *first, last = answers(url, 3, timeout=0.5)
    assert [answer.status for answer in first if isinstance(answer, Answer)] == [200, 200]
    assert last == NoAnswer("timeout", sent=True)
    assert len(heard) == 3


@pytest.mark.parametrize("bearer", ["Bearer t0k3n\r\nX-Injected: 1", "Bearer t0k3n\u20ac"])
def test_the_direct_way_refuses_what_httpx_refuses(bearer: str) -> None:
    """A token that can't stand in a header ends the run, and is not quoted."""
    with pytest.raises(EndpointError) as caught:
        answers("http://127.0.0.1:9/", bearer=bearer)
    assert "t0k3n" not in str(caught.value)
    with pytest.raises(EndpointError):
        answers("ftp://127.0.0.1/")


def test_certificates_are_read_for_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http loads none; a name that is wrong is said before anything is sent, be it http or not."""
    read: list[ssl.SSLContext] = []
    create = httpx.create_ssl_context

    def counted() -> ssl.SSLContext:
        read.append(create())
        return read[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    with serving([OK]) as (url, _):
        answers(url)
    assert not read
    assert answers("https://127.0.0.1:9/", 2) == [NoAnswer("no_connection", sent=False)] * 2
    assert len(read) == 1
    monkeypatch.setenv("SSL_CERT_FILE", "no-such.pem")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        build_client(concurrency=1, timeout=1)


def clear_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def goes_straight(url: str) -> bool:
    client = build_client(concurrency=1, timeout=1)
    return isinstance(client, _DirectClient) and client.goes_straight(url)


def test_exceptions_alone_are_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY without the name of a proxy leaves everything as it is, and so does a proxy for something else."""
    clear_proxies(monkeypatch)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("FTP_PROXY", "http://127.0.0.1:9")
    assert goes_straight("https://api.mypurecloud.de/")
    assert proxy("https://api.mypurecloud.de/") == ""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert not goes_straight("https://api.mypurecloud.de/")
    assert proxy("https://api.mypurecloud.de/") == "127.0.0.1:9"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "127.255.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]"])
def test_this_machine_has_many_names(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever plain http is taken for is reached without a proxy."""
    clear_proxies(monkeypatch)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    for url in (f"http://{host}:8080/", f"https://{host}/"):
        assert (goes_straight(url), proxy(url)) == (True, "")


def test_another_address_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A POST to 127.0.0.2 arrives, although the proxy of the environment is none."""
    clear_proxies(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving([OK], host="127.0.0.2") as (url, heard):
        assert answers(url) == [Answer(200, {"content-length": "2"}, b"{}")]
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("exceptions", "straight"),
    [
        ("mypurecloud.de", True),
        (".mypurecloud.de", True),
        ("other.de, api.mypurecloud.de", True),
        ("api.mypurecloud.de:443", True),
        ("api.mypurecloud.de:8443", False),
        ("purecloud.de", False),
        ("*", True),
    ],
)
def test_exceptions_from_the_proxy(exceptions: str, monkeypatch: pytest.MonkeyPatch, *, straight: bool) -> None:
    """NO_PROXY says of domains, hosts and ports that they are reached without it."""
    clear_proxies(monkeypatch)
    monkeypatch.setenv("https_proxy", "127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exceptions)
    url = "https://api.mypurecloud.de/api/v2/events/ingest"
    assert (goes_straight(url), proxy(url)) == (straight, "" if straight else "127.0.0.1:9")


BAD_PROXIES = [
    "HTTPS_PROXY=foo:bar",
    "https_proxy=ftp://x",
    "HTTPS_PROXY=http://",
    "HTTPS_PROXY=http://:s3cr3t@host:99999",
    "ALL_PROXY=socks5://127.0.0.1:1",
]


@pytest.mark.parametrize("proxy", BAD_PROXIES)
def test_a_proxy_that_can_not_be_one(tmp_path: Path, proxy: str) -> None:
    """Exit 3 with the variable and what to do, before anything is begun; where no proxy is asked, nobody minds it."""
    variable, _, value = proxy.partition("=")
    env = {"GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s", variable: value}
    env |= without("socksio", tmp_path / "site")
    there = env | {"GENESYS_ENV": "mypurecloud.de"}
    for command in ("ingest", "token"):
        run = ebingest(command, cwd=tmp_path, env=there, stdin=lines(3), check=[3])
        assert variable.encode() in run.stderr
        assert re.search(rb"NO_PROXY|pip install socksio", run.stderr)
        assert b"s3cr3t" not in run.stderr
    assert not list(tmp_path.rglob("*.jsonl"))
    doctor = json.loads(ebingest("doctor", "-o", "json", cwd=tmp_path, env=there, check=[3]).stdout)
    assert any(each["state"] == "bad" and variable in each["detail"] for each in doctor["findings"])
    with scripted({}) as url:
        ebingest("ingest", cwd=tmp_path, env=env | {"GENESYS_ENV": url}, stdin=lines(3), check=[0])


@contextmanager
def tunnelling(url: str) -> Iterator[str]:
    """The URL of a proxy whose tunnels all end at the same server, whatever name they are asked for."""
    server = httpx.URL(url)

    def tunnel(stream: socket.socket) -> None:
        while not stream.recv(65536).endswith(b"\r\n\r\n"):
            pass
        stream.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection((server.host, server.port or 0)) as beyond:
            back = threading.Thread(target=carry, args=(beyond, stream))
            back.start()
            carry(stream, beyond)
            back.join(timeout=5)

    def carry(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)

    with taking(tunnel, secure=False) as (proxy, _):
        yield proxy.removesuffix("/ingest")


@pytest.mark.parametrize(("answer", "status"), [(BUSY, 503), (OK, 200)], ids=["error", "success"])
def test_what_stands_behind_an_answer_by_a_proxy(answer: bytes, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for the answer to the next request, which goes over a connection of its own."""
    heard: list[bytes] = []

    def serve(stream: socket.socket) -> None:
        while request := _request(stream):
            heard.append(request)
            stream.sendall(answer + OK if len(heard) == 1 else BUSY)

    clear_proxies(monkeypatch)
    with taking(serve, secure=True) as (url, trusting), tunnelling(url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        responses = post("https://api.example/ingest", 2, context=trusting)
    assert [response.status_code for response in responses] == [status, 503]
    assert len(heard) == 2


def test_what_is_for_this_machine_goes_to_no_proxy(tmp_path: Path) -> None:
    """A proxy in the environment gets what is for others, and neither token nor event of a server on loopback."""
    refusal = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    with serving([refusal], read_all=False) as (address, heard):
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), address.removesuffix("/ingest"))
        with scripted({}) as url:
            here = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s"}
            ebingest("ingest", cwd=tmp_path, env=here | proxies, stdin=lines(3), check=[0])
            assert not heard
        there = {"GENESYS_ENV": "mypurecloud.de", "GENESYS_ACCESS_TOKEN": "t", "EBINGEST_MAX_ATTEMPTS": "1"}
        ebingest("ingest", cwd=tmp_path, env=there | proxies, stdin=lines(3), check=[5])
        assert heard[0].startswith(b"CONNECT api.mypurecloud.de:443 HTTP/1.1\r\n")
