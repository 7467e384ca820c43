"""The sandbox's description of itself is true: held against its real answers, over a real socket."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from starlette.routing import Route
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
            (path, "post", 400, lambda c, path=path: c.http.post(path, content=b"{}")),
            (path, "post", 401, lambda c, path=path: c.token(path, secret="wrong")),
        )
    ),
    (INGEST, "post", 200, lambda c: c.ingest()),
    (INGEST, "post", 200, lambda _: with_options("--fault", "refused:1")),
    (
        INGEST,
        "post",
        400,
        lambda c: c.ingest({"events": [event(1), event(2, schemaVersion=9), 7]}, **{"X-Request-Id": "b"}),
    ),
    (INGEST, "post", 400, lambda c: c.ingest(b'{"events":[NaN]}', **{"X-Request-Id": "c"})),
    (INGEST, "post", 400, lambda c: c.ingest({"event": []}, **{"X-Request-Id": "d"})),
    (INGEST, "post", 401, lambda c: c.ingest(Authorization="Bearer of-nothing")),
    (INGEST, "post", 403, lambda c: c.ingest(Authorization=f"Bearer {c.token(scope='').json()['access_token']}")),
    (INGEST, "post", 409, twice),
    (INGEST, "post", 413, lambda c: c.ingest({"events": [event(n) for n in range(50)]}, **{"X-Request-Id": "e"})),
    (INGEST, "post", 415, lambda c: c.ingest(**{"Content-Type": "text/plain", "X-Request-Id": "f"})),
    (INGEST, "post", 429, lambda _: with_options("--rate", "2/min", requests=3)),
    (INGEST, "post", 503, lambda _: with_options("--fault", "503:1")),
    (INGEST, "post", 502, lambda _: with_options("--fault", "502:1")),
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
    responses = DOCUMENT["paths"][path][method]["responses"]
    described = responses.get(str(status)) or responses["default"]
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
        (path, method, status)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    tested = {(path, method, str(status)) for path, method, status, _ in CASES}
    assert described == {case if case in described else (*case[:2], "default") for case in tested}


def test_all_routes_are_described() -> None:
    """The application has the paths and methods of the description and no others."""
    app = build_app(Platform(Rules(client_id="id", client_secret="secret")))
    routes = [route for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes)
    served = {(route.path, method.lower()) for route in routes for method in route.methods or ()}
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert {case for case in served if case[1] != "head"} == described


@pytest.mark.parametrize(("path", "status"), [("/api/v2/events", 404), (INGEST, 405)])
def test_other_paths_and_methods(client: Client, path: str, status: int) -> None:
    """What is not there is answered in the platform's shape, too."""
    answer = client.http.get(path)
    assert answer.status_code == answer.json()["status"] == status
    check(DOCUMENT["components"]["schemas"]["Error"], answer.json())
    assert answer.headers["inin-correlation-id"]


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


@pytest.mark.parametrize(("fault", "taken"), [("lost:1", 1), ("drop:1", 0)])
def test_cut_connections(fault: str, taken: int) -> None:
    """`lost` takes the events and gives no answer, `drop` takes nothing."""
    with SandboxProcess("--fault", fault) as sandbox:
        talker = Client(sandbox)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            talker.ingest()
        assert talker.http.get("/sandbox/stats").json()["events"] == taken
        talker.http.close()


def test_events_come_back_as_they_came(client: Client) -> None:
    """/sandbox/events gives each event in its own bytes, whatever the digits, in one line."""
    raw = json.dumps(event(9), indent=1).replace(
        '"number": 9', '"n": 1.10, "long": 0.12345678901234567890, "far": 1e999'
    )
    client.ingest(f'{{"events": [{raw}]}}'.encode(), **{"X-Request-Id": "digits"})
    last = client.http.get("/sandbox/events").content.splitlines()[-1]
    assert last == raw.replace("\n", " ").encode()
