"""Which proxy is asked, and what is made of one."""

import json
import os
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from raw_http import BUSY, OK, answers, post, request_of, serving, taking
from support import ebingest, lines, scripted, without

from eventbridge_cli.delivery.probe import proxy
from eventbridge_cli.delivery.verdict import Answer, NoAnswer
from eventbridge_cli.transport.pool import Origin, Transport


def clear_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def goes_straight(url: str) -> bool:
    transport = Transport(ssl.create_default_context, most=0)
    return transport._way(Origin.of(httpx.URL(url))) == (None, None)


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
def tunnelling(url: str) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a proxy whose tunnels all end at the same server, whatever it is asked for, and what that is."""
    server, asked = httpx.URL(url), list[bytes]()

    def tunnel(stream: socket.socket) -> None:
        asked.append(stream.recv(65536))
        stream.sendall(b"HTTP/1.1 200 Connected\r\nVia: 1.1 proxy\r\n\r\n")
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
        yield proxy.removesuffix("/ingest"), asked


def test_a_tunnel_serves_one_request_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for once, with the name and password of the proxy's URL, and ends at the server's own certificate."""

    def serve(stream: socket.socket) -> None:
        while request_of(stream):
            stream.sendall(OK)

    clear_proxies(monkeypatch)
    with taking(serve, secure=True) as (url, trusting), tunnelling(url) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("://", "://me:s3cr%40t@"))
        responses = post("https://api.example/ingest", 3, context=trusting)
        with pytest.raises(httpx.ConnectError, match="certificate"):
            post("https://other.example/ingest", context=trusting)
    assert [response.status_code for response in responses] == [200, 200, 200]
    name = b64encode(b"me:s3cr@t")
    assert asked[0].split(b"\r\n") == [
        b"CONNECT api.example:443 HTTP/1.1",
        b"Host: api.example:443",
        b"Proxy-Authorization: Basic " + name,
        b"",
        b"",
    ]
    assert [each.split(b" ")[1] for each in asked] == [b"api.example:443", b"other.example:443"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 Not there!\r\nContent-Length: 2\r\n\r\nno", "403 Not there"),
        (b"HTTP/1.0 502\r\n\r\n", "502"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + OK, "more than that it would connect"),
        (b"", "no answer that is HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer that is HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "no answer that is HTTP"),
    ],
    ids=["refused", "failed", "more", "closed", "not http", "endless"],
)
def test_a_proxy_that_does_not_connect(answer: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent through it, and what it says is the reason; to a run it is a server that can't be reached."""

    def refuse(stream: socket.socket) -> None:
        stream.recv(65536)
        stream.sendall(answer)

    clear_proxies(monkeypatch)
    with taking(refuse, secure=False) as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy.removesuffix("/ingest"))
        with pytest.raises(httpx.ProxyError, match=reason):
            post("https://api.example/ingest")
        assert answers("https://api.example/ingest") == [NoAnswer("no_connection", sent=False)]


@pytest.mark.parametrize("command", ["ingest", "token"])
def test_a_proxy_that_wants_a_log_in(tmp_path: Path, command: str) -> None:
    """It is asked once, and the run ends with exit 3 and how to log in: to come again later is of no use."""
    refusal = b"HTTP/1.1 407 Who are you?\r\nContent-Length: 3\r\n\r\nyou"
    with serving([refusal], read_all=False) as (address, heard):
        env = {"HTTPS_PROXY": address.removesuffix("/ingest").replace("://", "://me:s3cr3t@")}
        env |= {"GENESYS_ENV": "mypurecloud.de", "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s"}
        run = ebingest(command, cwd=tmp_path, env=env, stdin=lines(3), check=[3])
    assert len(heard) == 1
    assert b"proxy" in run.stderr
    assert b"HTTP 407" in run.stderr
    assert b"HTTPS_PROXY=http://user:password@" in run.stderr
    assert b"s3cr3t" not in run.stderr


@pytest.mark.parametrize(("answer", "status"), [(BUSY, 503), (OK, 200)], ids=["error", "success"])
def test_what_stands_behind_an_answer_by_a_proxy(answer: bytes, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for the answer to the next request, which goes over a connection of its own."""
    heard: list[bytes] = []

    def serve(stream: socket.socket) -> None:
        while request := request_of(stream):
            heard.append(request)
            stream.sendall(answer + OK if len(heard) == 1 else BUSY)

    clear_proxies(monkeypatch)
    with taking(serve, secure=True) as (url, trusting), tunnelling(url) as (proxy, _):
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
