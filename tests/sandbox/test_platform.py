"""The sandbox's decisions, without a server: clock and dice in hand."""

import json
import random
from typing import Any

import pytest
from support import event, line

from eventbridge_cli.sandbox.answers import Reply
from eventbridge_cli.sandbox.faults import Fault
from eventbridge_cli.sandbox.platform import Platform, Rules

FORM = {"content-type": "application/x-www-form-urlencoded", "authorization": "Basic aWQ6c2VjcmV0"}  # id:secret
GRANT = b"grant_type=client_credentials&scope=eventbridge%3Aingest"


class Bench:
    """A platform, its clock, and a client with a token."""

    def __init__(self, *faults: str, rng: random.Random | None = None, **rules: Any) -> None:
        self.now = 0.0
        found = tuple(Fault.parse(text) for text in faults)
        settings = Rules(client_id="id", client_secret="secret", faults=found, **rules)
        self.platform = Platform(settings, clock=lambda: self.now, rng=rng)
        self.bearer = self.new_bearer()

    def new_bearer(self) -> str:
        return f"Bearer {self.platform.token(FORM, GRANT).document['access_token']}"

    def ingest(self, request_id: str = "one", numbers: tuple[int, ...] = (1,), bearer: str = "") -> Reply:
        headers = {
            "authorization": bearer or self.bearer,
            "content-type": "application/json",
            "x-request-id": request_id,
        }
        return self.platform.ingest(headers, json.dumps({"events": [event(n) for n in numbers]}).encode())


@pytest.mark.parametrize(
    ("changed", "body", "status", "code"),
    [
        ({}, b"", 400, "invalid_request"),
        ({"content-type": "application/json"}, GRANT, 400, "invalid_request"),
        ({}, GRANT + b"&scope=twice", 400, "invalid_request"),
        ({}, b"grant_type=password", 400, "unsupported_grant_type"),
        ({"authorization": ""}, GRANT, 401, "invalid_client"),
        ({"authorization": "Basic !"}, GRANT, 401, "invalid_client"),
        ({"authorization": "Basic aWQ6d3Jvbmc="}, GRANT, 401, "invalid_client"),
        ({}, b"grant_type=client_credentials&scope=everything", 400, "invalid_scope"),
    ],
)
def test_token_errors(changed: dict[str, str], body: bytes, status: int, code: str) -> None:
    """Each way to ask for a token wrongly has the error that RFC 6749 gives it."""
    reply = Bench().platform.token(FORM | changed, body)
    assert (reply.status, reply.document["error"]) == (status, code)


def test_a_token_runs_out() -> None:
    """A token is good for its lifetime on the platform's clock, and for no longer."""
    bench = Bench(token_lifetime=60)
    bench.now = 59.9
    assert bench.ingest().status == 200
    bench.now = 60.0
    reply = bench.ingest("two")
    assert (reply.status, reply.document["code"]) == (401, "bad.credentials")


def test_a_token_without_the_scope_takes_no_events() -> None:
    """No scope asked for: a token, but 403 at the ingest path."""
    bench = Bench()
    token = bench.platform.token(FORM, b"grant_type=client_credentials").document
    assert token["scope"] == ""
    assert bench.ingest(bearer=f"Bearer {token['access_token']}").status == 403
    assert bench.platform.events == []


def test_the_quota_is_a_sliding_minute_for_each_token() -> None:
    """Over it: 429 with the seconds until the oldest request no longer counts; another token has its own."""
    bench = Bench(rate=2)
    first = bench.ingest("a")
    bench.now = 10.5
    bench.ingest("b")
    over = bench.ingest("c")
    assert (first.headers["inin-ratelimit-count"], first.headers["inin-ratelimit-reset"]) == ("1", "60")
    assert (over.status, over.headers["retry-after"]) == (429, "50")
    assert over.headers["inin-ratelimit-count"] == over.headers["inin-ratelimit-allowed"] == "2"
    assert bench.ingest("d", bearer=bench.new_bearer()).status == 200
    bench.now = 10.5 + int(over.headers["retry-after"])
    assert bench.ingest("c").status == 200


def test_a_refused_event_is_named_and_left_out() -> None:
    """`refused` takes all events but one, and the same request again gets the same answer."""
    bench = Bench("refused:1")
    reply = bench.ingest(numbers=(0, 1, 2))
    [error] = reply.document["errors"]
    assert (reply.status, reply.document["accepted"], error["retryable"]) == (200, 2, False)
    assert error["eventId"] == f"interaction-{error['index']}"
    left = [number for number in range(3) if number != error["index"]]
    assert [json.loads(raw) for raw in bench.platform.events] == [event(number) for number in left]
    assert bench.ingest(numbers=(0, 1, 2)).document == reply.document


def test_a_retryable_event_is_taken_when_it_comes_again() -> None:
    """`retryable` on a lone event is not the last word on its request id."""

    class Once(random.Random):
        rolls = iter((0.0, 0.0, 0.9))  # a fault, in its first event; none

        def random(self) -> float:
            return next(self.rolls)

    bench = Bench("retryable:0.5", rng=Once())
    first, second = bench.ingest(), bench.ingest()
    assert (first.document["accepted"], first.document["errors"][0]["retryable"]) == (0, True)
    assert (second.document["accepted"], second.document["errors"]) == (1, [])
    assert bench.platform.replayed == 0


def test_a_status_fault_records_nothing() -> None:
    """429 and 503 ask for a second's patience; no fault of this kind takes an event."""
    for status, wait in (("429", "1"), ("503", "1"), ("500", None)):
        bench = Bench(f"{status}:1")
        reply = bench.ingest()
        assert (reply.status, reply.headers.get("retry-after")) == (int(status), wait)
        assert bench.platform.events == []


def test_a_lost_answer_is_given_when_the_request_comes_again() -> None:
    """After `lost` the events are on record, and the same request is a replay that counts nothing twice."""
    bench = Bench("lost:1")
    assert bench.ingest().cut
    assert bench.ingest().cut
    assert (len(bench.platform.events), bench.platform.replayed) == (1, 1)
    assert json.loads(bench.platform.events[0]) == json.loads(line(1))


def test_faults_are_repeatable() -> None:
    """The same seed gives the same faults."""

    def statuses(seed: int) -> list[int]:
        bench = Bench("503:0.5", seed=seed)
        return [bench.ingest(str(number)).status for number in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 503}


@pytest.mark.parametrize(
    "text", ["", "foo", "503", "503:", "503:2", "503:-1", "503:nan", "200:1", "204:1", "600:1", "\u0665\u0660\u0663:1"]
)
def test_what_is_no_fault(text: str) -> None:
    """A fault has a name or a status that is no success, and a probability."""
    with pytest.raises(ValueError):  # noqa: PT011 - the caller words it
        Fault.parse(text)
