"""The sandbox's description of itself is true: held against its real answers, over a real socket."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from support import ROOT, event

from eventbridge_cli.sandbox.app import build_app
from eventbridge_cli.sandbox.platform import Platform, Rules
from eventbridge_cli.sandbox.process import SandboxProcess

DOCUMENT = json.loads((ROOT / "eventbridge_cli" / "sandbox" / "openapi.json").read_text(encoding="utf-8"))
INGEST, TOKEN = "/api/v2/events/ingest", "/oauth/token"
FORM = {"grant_type": "client_credentials", "scope": "eventbridge:ingest"}


class Client:
    """Speaks to one sandbox as a well-behaved client, with ways to go wrong."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(base_url=sandbox.url)

    def token(self, path: str = TOKEN, secret: str = "", **form: str) -> httpx.Response:
        who = (self.sandbox.client_id, secret or self.sandbox.client_secret)
        return self.http.post(path, data=FORM | form, auth=who)

    def ingest(self, body: Any = None, **headers: str) -> httpx.Response:
        body = {"events": [event(1)]} if body is None else body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        usual = {
            "Authorization": f"Bearer {self.token().json()['access_token']}",
            "Content-Type": "application/json",
            "X-Request-Id": "one",
        }
        return self.http.post(INGEST, content=content, headers=usual | headers)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with SandboxProcess("--max-bytes", "5000") as sandbox:
        talker = Client(sandbox)
        yield talker
        talker.http.close()


def twice(talker: Client) -> httpx.Response:
    talker.ingest(**{"X-Request-Id": "twice"})
    return talker.ingest({"events": [event(2)]}, **{"X-Request-Id": "twice"})


def with_options(*options: str, requests: int = 1) -> httpx.Response:
    with SandboxProcess(*options) as sandbox:
        talker = Client(sandbox)
        token = talker.token().json()["access_token"]
        for number in range(requests):
            answer = talker.ingest(**{"Authorization": f"Bearer {token}", "X-Request-Id": str(number)})
        talker.http.close()
        return answer


CASES: list[tuple[str, str, int, Callable[[Client], httpx.Response]]] = [
    *(
        case
        for path in (TOKEN, "/login/oauth2/token")
        for case in (
            (path, "post", 200, lambda c, path=path: c.token(path)),
            (path, "post", 400, lambda c, path=path: c.token(path, scope="everything")),
            (path, "post", 400, lambda c, path=path: c.token(path, grant_type="password")),
            (path, "post", 401, lambda c, path=path: c.token(path, secret="wrong")),
        )
    ),
    (INGEST, "post", 200, lambda c: c.ingest()),
    (
        INGEST,
        "post",
        400,
        lambda c: c.ingest({"events": [event(1), event(2, schemaVersion=9), 7]}, **{"X-Request-Id": "b"}),
    ),
    (INGEST, "post", 400, lambda c: c.ingest(b'{"events":[NaN]}', **{"X-Request-Id": "c"})),
    (INGEST, "post", 400, lambda c: c.ingest({"event": []}, **{"X-Request-Id": "d"})),
    (INGEST, "post", 401, lambda c: c.ingest(Authorization="Bearer of-nothing")),
    (INGEST, "post", 409, twice),
    (INGEST, "post", 413, lambda c: c.ingest({"events": [event(n) for n in range(50)]}, **{"X-Request-Id": "e"})),
    (INGEST, "post", 415, lambda c: c.ingest(**{"Content-Type": "text/plain", "X-Request-Id": "f"})),
    (INGEST, "post", 429, lambda _: with_options("--rate", "2/min", requests=3)),
    (INGEST, "post", 503, lambda _: with_options("--fault", "503:1")),
    ("/sandbox/stats", "get", 200, lambda c: c.http.get("/sandbox/stats")),
    ("/sandbox/events", "get", 200, lambda c: c.http.get("/sandbox/events")),
    ("/openapi.json", "get", 200, lambda c: c.http.get("/openapi.json")),
]


def check(schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


@pytest.mark.parametrize(("path", "method", "status", "ask"), CASES)
def test_answers_are_as_described(
    client: Client, path: str, method: str, status: int, ask: Callable[[Client], httpx.Response]
) -> None:
    """A real answer has the status, the headers and the body that the description gives for it."""
    described = DOCUMENT["paths"][path][method]["responses"][str(status)]
    answer = ask(client)
    assert answer.status_code == status, answer.text
    for name in described.get("headers", {}):
        check(DOCUMENT["components"]["headers"][name]["schema"], answer.headers[name])
    [(media, content)] = described["content"].items()
    assert answer.headers["content-type"].partition(";")[0] == media
    if media == "application/json":
        check(content["schema"], answer.json())
    else:
        for text in answer.text.splitlines():
            check(DOCUMENT["components"]["schemas"]["Event"], json.loads(text))


def test_all_that_is_described_is_tested() -> None:
    """Every path and status of the description has a case above, and every case is described."""
    described = {
        (path, method, int(status))
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    assert described == {case[:3] for case in CASES}


def test_all_routes_are_described() -> None:
    """The application has the paths of the description and no others; its errors name each bad event."""
    app = build_app(Platform(Rules(client_id="id", client_secret="secret")))
    assert {route.path for route in app.routes} == set(DOCUMENT["paths"])  # type: ignore[attr-defined]


def test_bad_events_are_named_and_nothing_is_taken(client: Client) -> None:
    """A 400 names each bad event by index, and none of the request's events is taken."""
    before = client.http.get("/sandbox/stats").json()["events"]
    answer = client.ingest({"events": [event(1), event(2, eventType="")]}, **{"X-Request-Id": "named"})
    [error] = answer.json()["errors"]
    assert (error["index"], error["eventId"], error["retryable"]) == (1, "interaction-2", False)
    assert client.http.get("/sandbox/stats").json()["events"] == before


def test_a_request_that_comes_again_counts_once(client: Client) -> None:
    """The same X-Request-Id and body get the same answer; the events are taken once, the replay is counted."""
    before = client.http.get("/sandbox/stats").json()
    answers = [client.ingest(**{"X-Request-Id": "again"}).json() for _ in range(3)]
    after = client.http.get("/sandbox/stats").json()
    assert answers[0] == answers[1] == answers[2]
    assert after["events"] == before["events"] + 1
    assert after["replayed"] == before["replayed"] + 2


def test_a_token_runs_out(tmp_path: Path) -> None:
    """A token is good for --token-lifetime seconds on the platform's clock, and for no longer."""
    now = [0.0]
    platform = Platform(Rules(client_id="id", client_secret="secret", token_lifetime=60), clock=lambda: now[0])
    reply = platform.token({"authorization": "Basic aWQ6c2VjcmV0"}, b"grant_type=client_credentials")
    headers = {
        "authorization": f"Bearer {reply.document['access_token']}",
        "content-type": "application/json",
        "x-request-id": "x",
    }
    body = json.dumps({"events": [event(1)]}).encode()
    assert platform.ingest(headers, body).status == 200
    now[0] = 60.0
    assert platform.ingest(headers, body).status == 401


@pytest.mark.parametrize(("fault", "taken"), [("lost:1", 1), ("drop:1", 0)])
def test_cut_connections(fault: str, taken: int) -> None:
    """`lost` takes the events and gives no answer, `drop` takes nothing."""
    with SandboxProcess("--fault", fault) as sandbox:
        talker = Client(sandbox)
        with pytest.raises(httpx.RemoteProtocolError):
            talker.ingest()
        assert talker.http.get("/sandbox/stats").json()["events"] == taken
        talker.http.close()


def test_faults_are_repeatable() -> None:
    """The same seed gives the same faults."""

    def statuses(seed: int) -> list[int]:
        rules = Rules(client_id="id", client_secret="secret", faults=(("503", 0.5),), seed=seed)
        platform = Platform(rules)
        token = platform.token({"authorization": "Basic aWQ6c2VjcmV0"}, b"grant_type=client_credentials")
        headers = {"authorization": f"Bearer {token.document['access_token']}", "content-type": "application/json"}
        body = json.dumps({"events": [event(1)]}).encode()
        return [platform.ingest({**headers, "x-request-id": str(n)}, body).status for n in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 503}
