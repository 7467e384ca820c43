"""A webhook as data lake, against a receiver in its own process that checks signatures by itself."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from lake_support import SECRET, batch, refusing, served, target
from support import ROOT

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.lake.payload import ndjson
from eventbridge_cli.lake.target import BATCH_BYTES, Content
from eventbridge_cli.lake.webhook import WebhookTarget
from eventbridge_cli.lake.worker import BATCH_ENTRIES
from eventbridge_cli.secret import Secret


@contextmanager
def receiver(*answers: dict[str, Any]) -> Iterator[str]:
    script = {"secret": SECRET.get_secret_value(), "answers": answers}
    with served("webhook_receiver.py", json.dumps(script)) as url:
        yield f"{url}/in?code=k3y"


def posts(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        found: list[dict[str, Any]] = json.load(answer)
    return found


def webhook(url: str, *, secret: Secret = SECRET, timeout: float = 30.0) -> WebhookTarget:
    return WebhookTarget(urlsplit(url), Content.RECEIPTS, secret, timeout=timeout)


def done(lake: WebhookTarget, work: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        try:
            await work
        finally:
            await lake.aclose()

    asyncio.run(run())


def check(lake: WebhookTarget) -> None:
    done(lake, lake.check())


def put(lake: WebhookTarget) -> None:
    done(lake, lake.put(batch()))


@pytest.mark.parametrize("content", Content)
def test_a_batch_is_posted_and_signed(content: Content) -> None:
    """The receiver gets the batch's lines, its name and a signature that holds; the query goes along."""

    async def hand_over(url: str) -> None:
        lake = target(url, content)
        await lake.check()
        await lake.put(whole)
        await lake.put(whole)
        await lake.aclose()

    whole = batch()
    with receiver() as url:
        asyncio.run(hand_over(url))
        seen = posts(url)
    assert all(post["signed"] and post["path"] == "/in?code=k3y" for post in seen)
    assert all(post["type"] == "application/x-ndjson" for post in seen)
    body = ndjson(whole, content).decode()
    assert [(post["batch"], post["body"]) for post in seen] == [("check", ""), (whole.name, body), (whole.name, body)]


def test_a_wrong_secret_is_found_before_anything_is_sent() -> None:
    """The receiver answers 401 to what it can't verify: exit 3."""
    with receiver() as url, pytest.raises(ConfigurationError, match="HTTP 401") as caught:
        check(webhook(url, secret=Secret("another")))
    assert "EBINGEST_WEBHOOK_SECRET" in caught.value.remedy
    assert "k3y" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_receiver_that_does_not_want_us_fails_the_check(status: int) -> None:
    """Not there, or not for us."""
    with receiver({"status": status}) as url, pytest.raises(ConfigurationError, match=f"HTTP {status}"):
        check(webhook(url))


def test_a_name_that_is_not_known() -> None:
    """The system's own words, and no number of an error."""
    with pytest.raises(ConfigurationError, match=r"can't be reached: \w") as caught:
        check(webhook(f"https://{'a' * 64}.example/in"))
    assert "Errno" not in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_fails_the_check(status: int) -> None:
    """It is not followed, so that no batch would ever arrive."""
    with receiver({"status": status, "headers": {"Location": "/elsewhere"}}) as url:
        with pytest.raises(ConfigurationError, match=f"HTTP {status}") as caught:
            check(webhook(url))
        assert len(posts(url)) == 1
    assert caught.value.remedy == "Give the URL that it leads to."


@pytest.mark.parametrize("status", [200, 202, 204, 400, 405, 422, 500, 503])
def test_another_answer_does_not_fail_the_check(status: int) -> None:
    """Somebody is there, who may not like an empty batch or is unwell for now."""
    with receiver({"status": status}) as url:
        check(webhook(url))
        assert len(posts(url)) == 1


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *[(status, False) for status in (408, 425, 429, 500, 501, 503)],
        *[(status, True) for status in (301, 400, 401, 403, 404, 410, 413, 422)],
    ],
)
def test_what_is_no_arrival(status: int, permanent: bool) -> None:  # noqa: FBT001
    """Anything but a 2xx is an error that says whether trying again can help; it is posted once."""
    with receiver({"status": status, "headers": {"Location": "/elsewhere"}}) as url:
        with pytest.raises(TargetError, match=f"HTTP {status}") as caught:
            put(webhook(url))
        assert len(posts(url)) == 1
    assert caught.value.permanent is permanent
    assert caught.value.remedy
    assert "k3y" not in str(caught.value)


def test_a_batch_that_is_too_large() -> None:
    """How large it is, and what the receiver has to be told."""
    whole = batch()
    with receiver({"status": 413}) as url, pytest.raises(TargetError) as caught:
        put(webhook(url))
    size = len(ndjson(whole, Content.RECEIPTS))
    assert f"did not take batch {whole.name} of {size:,} bytes (HTTP 413)" in caught.value.message
    assert "Raise the receiver's limit to 9 MB" in caught.value.remedy
    assert BATCH_BYTES + BATCH_ENTRIES < 9_000_000  # each entry has a line break


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("17", 17), (format_datetime(datetime.now(UTC) - timedelta(hours=1)), None), ("soon", None), ("", None)],
    ids=["seconds", "past", "nonsense", "empty"],
)
def test_retry_after_is_carried(said: str, seconds: float | None) -> None:
    """In seconds; the past and nonsense count for nothing."""
    with receiver({"status": 503, "headers": {"Retry-After": said}}) as url, pytest.raises(TargetError) as caught:
        put(WebhookTarget(urlsplit(url), Content.RECEIPTS, SECRET))
    assert caught.value.retry_after == seconds


def test_a_date_is_carried_as_retry_after() -> None:
    """As seconds from the answer's own date on, whatever our clock says."""
    said = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    with receiver({"status": 503, "headers": {"Retry-After": said}}) as url, pytest.raises(TargetError) as caught:
        put(WebhookTarget(urlsplit(url), Content.RECEIPTS, SECRET, clock=lambda: 0.0))
    assert caught.value.retry_after == pytest.approx(3600, abs=60)


def test_nobody_there() -> None:
    """A refused connection fails the check, and is a passing fault of a put."""
    with refusing() as address:
        url = f"http://{address}/in"
        with pytest.raises(ConfigurationError, match="can't be reached: Connection refused"):
            check(webhook(url))
        with pytest.raises(TargetError, match=r"did not answer .*: Connection refused") as caught:
            put(webhook(url))
    assert not caught.value.permanent


def test_silence_is_a_passing_fault() -> None:
    """A receiver that takes the batch and never answers."""
    with receiver({"silent": True}) as url, pytest.raises(TargetError, match="did not answer") as caught:
        put(webhook(url, timeout=0.2))
    assert not caught.value.permanent


def test_the_readme_tells_receivers_how_to_check() -> None:
    """The README's example takes what was signed, and nothing else."""
    example = (ROOT / "README.md").read_text(encoding="utf-8").partition("### A webhook")[2]
    example = example.partition("```python\n")[2].partition("```")[0]
    with receiver() as url:
        put(webhook(url))
        [post] = posts(url)
    arguments = [SECRET.get_secret_value().encode(), post["timestamp"], post["signature"]]
    calls = [(*arguments, post["body"].encode()), (*arguments, b"something else")]
    code = example + "".join(f"print(is_ours(*{call!r}))\n" for call in calls)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\nFalse\n"


def test_the_body_of_an_answer_does_not_count() -> None:
    """A 2xx is arrival, whether or not what it announces ever comes."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\nhalf")
                over.wait(10)

        thread = threading.Thread(target=answer)
        thread.start()
        put(webhook(f"http://127.0.0.1:{listening.getsockname()[1]}/in"))
        over.set()
        thread.join()


def test_another_address_of_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is posted to 127.0.0.2 does not go to the proxy of the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.2", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        put(webhook(f"http://127.0.0.2:{listening.getsockname()[1]}/in"))
        thread.join()


def test_a_proxy_that_can_not_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named when the target is opened; of a receiver on this machine no proxy is asked."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://x")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        webhook("https://lake.example/in")
    webhook("https://127.0.0.1:9/in")


@pytest.mark.parametrize("proxy", [{}, {"HTTPS_PROXY": "http://127.0.0.1:9"}])
def test_certificates_that_are_not_there(proxy: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named before anything is sent, with a way out."""
    for name, value in {"SSL_CERT_FILE": "/nowhere.pem", **proxy}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="certificates that SSL_CERT_FILE") as caught:
        check(webhook("https://127.0.0.1:9/in"))
    assert "PEM" in caught.value.remedy
