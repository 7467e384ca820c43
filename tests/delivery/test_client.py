"""The tool's own client: a POST goes past httpx, and is what it would be with it."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from raw_http import OK, answers, serving

from eventbridge_cli import __version__
from eventbridge_cli.delivery.client import MAX_ANSWER_BYTES, build_client, post
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.errors import ConfigurationError, EndpointError
from eventbridge_cli.transport.pool import Transport


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
        pytest.param(
            b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 9\r\n\r\n{",
            Answer(429, {"retry-after": "3", "content-length": "9"}, b"{", whole=False),
            id="broken off",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense",
            Answer(200, {"transfer-encoding": "chunked"}, b"{}", whole=False),
            id="no HTTP any more",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n" + gzip.compress(b"{}", mtime=0),
            Answer(200, {"content-encoding": "gzip", "content-length": "99"}, b"{}", whole=False),
            id="packed and broken off",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nConte", NoAnswer("connection_lost", sent=True), id="half a head"),
        pytest.param(b"nonsense\r\n\r\n", NoAnswer("connection_lost", sent=True), id="no HTTP"),
    ],
)
def test_the_direct_way_reads_what_httpx_reads(answer: bytes, expected: Answer | NoAnswer) -> None:
    """Status, headers by their names in lower case, and the body, unpacked."""
    with serving([answer]) as (url, _):
        assert answers(url) == [expected]


def test_an_answer_that_breaks_off_on_httpxs_own_way() -> None:
    """By httpx's own transport, too, the head of an answer stands."""

    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            raise httpx.ReadError("cut")

    async def run() -> Answer | NoAnswer:
        transport = httpx.MockTransport(lambda _: httpx.Response(202, stream=Broken()))
        async with httpx.AsyncClient(transport=transport) as client:
            return await post(client, "https://server/ingest", content=b"[1]", headers={})

    assert asyncio.run(run()) == Answer(202, {}, b"{", whole=False)


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


def test_plain_http_where_tls_was_meant() -> None:
    """It is told for what it is, and ends the run: no connection will ever be another."""
    bad = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with serving([bad], read_all=False) as (url, _), pytest.raises(EndpointError, match="does not speak TLS"):
        answers(url.replace("http:", "https:"))


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
        build_client(timeout=1)
