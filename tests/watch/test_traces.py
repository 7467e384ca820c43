"""`--otlp`: a real run, told to a collector in a process of its own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from support import ROOT, audit_lines, ebingest, line, lines, scripted, without

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.facts import Answered, Attempt, Receipt, Submitted
from eventbridge_cli.flow import Event, Origin
from eventbridge_cli.watch.traces import Traces

CANARY = "s3cr3t-c4n4ry"


@contextmanager
def collector(*arguments: str) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests" / "otlp_collector.py"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=10)


def kept(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/spans") as answer:  # noqa: S310 - loopback
        found: dict[str, Any] = json.load(answer)
        return found


class Trace:
    """A run's summary and its spans."""

    def __init__(self, folder: Path, script: dict[str, Any], data: bytes, *options: str, **variables: str) -> None:
        with collector() as otlp, scripted(script) as url:
            settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": CANARY}
            settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp, **variables}
            arguments = ("ingest", "--otlp", "-o", "json", *options)
            run = ebingest(*arguments, cwd=folder, env=settings, stdin=data)
            self.kept = kept(otlp)
        self.code, self.stderr, self.summary = run.returncode, run.stderr.decode(), json.loads(run.stdout)
        self.spans: list[dict[str, Any]] = self.kept["spans"]

    def named(self, name: str) -> list[dict[str, Any]]:
        return sorted((span for span in self.spans if span["name"] == name), key=lambda span: span["start"])

    def children(self, span: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.spans if each["parent"] == span["id"]]


def test_spans_are_chunks_and_posts(tmp_path: Path) -> None:
    """Chunk spans equal chunks, POST spans equal requests; one trace, each span within its parent's time."""
    trace = Trace(tmp_path, {"answers": [{"status": 503}]}, lines(1000) + line(1) + b"\n{\n")
    [run], chunks, posts = trace.named("ingest"), trace.named("chunk"), trace.named("POST")
    assert len(chunks) == trace.summary["chunks"] == 10
    assert len(posts) == trace.summary["requests"] == 11
    assert len(trace.named("token")) == 1
    assert {span["trace"] for span in trace.spans} == {run["trace"]}
    assert {span["parent"] for span in chunks} == {run["id"]}
    by_id = {span["id"]: span for span in trace.spans}
    for span in chunks + posts:
        parent = by_id[span["parent"]]
        assert parent["start"] <= span["start"] <= span["end"] <= parent["end"]
    counts = {name.rpartition(".")[2]: value for name, value in run["attributes"].items() if ".records." in name}
    assert counts == trace.summary["counts"]
    assert run["attributes"]["ebingest.run"] == trace.summary["run"]
    assert (run["attributes"]["process.exit.code"], run["error"]) == (1, True)


def test_a_chunk_tells_its_attempts(tmp_path: Path) -> None:
    """A 503, then a 200: two POSTs below one chunk, by the semantic conventions, and the wait between them."""
    trace = Trace(tmp_path, {"answers": [{"status": 503}]}, lines(5))
    [chunk], posts = trace.named("chunk"), trace.named("POST")
    assert trace.children(chunk) == posts
    statuses = [post["attributes"]["http.response.status_code"] for post in posts]
    assert (statuses, [post["error"] for post in posts], chunk["error"]) == ([503, 200], [True, False], False)
    assert posts[0]["attributes"]["error.type"] == "503"
    assert posts[1]["attributes"]["http.request.resend_count"] == 1
    assert posts[1]["attributes"]["http.request.method"] == "POST"
    assert posts[1]["attributes"]["server.address"] == "127.0.0.1"
    [submitted] = [entry for entry in audit_lines(tmp_path / "ingestion_audit.jsonl") if "sha256" in entry]
    about = chunk["attributes"]
    assert about["ebingest.request_id"] == submitted["request_id"]
    assert (about["ebingest.events"], about["ebingest.bytes"]) == (5, submitted["bytes"])
    assert (about["ebingest.outcome"], about["ebingest.attempts"]) == ("delivered", 2)
    assert [event["name"] for event in chunk["events"]] == ["retry"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"body": {"errors": [{"index": 0, "message": CANARY, "retryable": False}]}}, "delivered+refused"),
        ({"status": 503, "body": CANARY}, "pending"),
        ({"status": 403, "body": {"message": CANARY}}, "pending"),
        ({"cut": True}, "pending"),
    ],
)
def test_what_did_not_arrive_is_an_error_without_a_word_of_the_platform(
    tmp_path: Path, answer: dict[str, Any], outcome: str
) -> None:
    """Refused and pending chunks have the status ERROR; no event, secret or answer's text is in any byte sent."""
    data = line(1, attributes={"name": "customer-c4n4ry"}) + b"\n" + line(2)
    trace = Trace(tmp_path, {"always": answer}, data, "--max-attempts", "1")
    [chunk] = trace.named("chunk")
    assert (chunk["error"], chunk["attributes"]["ebingest.outcome"]) == (True, outcome)
    for sent in trace.kept["bytes"]:
        assert b"c4n4ry" not in bytes.fromhex(sent)
        assert b"interaction-" not in bytes.fromhex(sent)


def test_parts_stand_below_the_chunk_they_were_cut_from(tmp_path: Path) -> None:
    """413: the chunk's span ends as split, its halves are its children."""
    size = len(lines(10)) + 20
    trace = Trace(tmp_path, {"max_bytes": size * 6 // 10}, lines(10))
    whole, *parts = trace.named("chunk")
    assert whole["attributes"]["ebingest.outcome"] == "split"
    assert [span["parent"] for span in parts] == [whole["id"]] * 2
    assert trace.summary["counts"]["delivered"] == 10


def test_the_standard_variables_decide(tmp_path: Path) -> None:
    """Headers, service name, resource and sampler come from OTEL_ variables, as in any other program."""
    trace = Trace(
        tmp_path,
        {},
        lines(1),
        OTEL_EXPORTER_OTLP_HEADERS="x-key=abc",
        OTEL_SERVICE_NAME="nightly",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    assert trace.kept["headers"][0]["x-key"] == "abc"
    resource = trace.kept["resources"][0]
    assert (resource["service.name"], resource["deployment.environment"]) == ("nightly", "test")
    nothing = Trace(tmp_path, {}, lines(2), OTEL_TRACES_SAMPLER="always_off")
    assert (nothing.code, nothing.spans) == (0, [])
    assert "Note" not in nothing.stderr


def test_chunks_with_the_same_content_may_be_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a request id (`--window-size` lets copies through): each has its span all the same."""
    body = Event(Origin("a", 1), b"{}", b"{}", "i", "t", "2026-03-02T09:15:03Z")
    chunk, attempt = Chunk.of([body]), Attempt(1, "delivered", 0.001, 200)
    with collector() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        traces = Traces("run", "https://api.mypurecloud.de/api/v2/events/ingest", warn=pytest.fail)
        for fact in (
            Submitted(chunk, "id"),
            Answered("id", 14, attempt),
            Receipt(chunk, "id", (body,), (), (), (attempt,)),
        ):
            traces.observe(fact)
            traces.observe(fact)
        traces.finish(0, "")
        names = sorted(span["name"] for span in kept(url)["spans"])
    assert names == ["POST", "POST", "chunk", "chunk", "ingest"]


@pytest.mark.parametrize("mute", [True, False], ids=["mute", "dead"])
def test_a_collector_that_is_down_changes_nothing(tmp_path: Path, server: Server, *, mute: bool) -> None:
    """Nobody listens, or somebody who never answers: same exit code, same counts, one note and no other noise."""
    with collector("0") as url:
        env = server.settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url if mute else "http://127.0.0.1:1"}
        run = ebingest("ingest", "-", "--otlp", "-o", "json", cwd=tmp_path, env=env, stdin=lines(300), check=[0])
    assert json.loads(run.stdout)["counts"]["delivered"] == len(server.events()) == 300
    assert run.stderr.count(b"Note: the collector confirmed 0 of 8 trace spans") == 1
    assert b"Check OTEL_EXPORTER_OTLP_ENDPOINT" in run.stderr
    assert b"opentelemetry" not in run.stderr.lower()
    assert b"127.0.0.1" not in run.stderr


def test_a_collector_that_is_too_slow_is_told_from_a_wrong_address(tmp_path: Path, server: Server) -> None:
    """It confirms one batch and no other in time: the note looks for the cause elsewhere."""
    with collector("1") as url:
        env = server.settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1"}
        run = ebingest("ingest", "-", "--otlp", cwd=tmp_path, env=env, stdin=lines(300), check=[0])
    assert run.stderr.count(b"Note: the collector confirmed 1 of 8 trace spans") == 1
    assert b"OTEL_EXPORTER_OTLP_ENDPOINT is right" in run.stderr
    assert b"OTEL_BSP_MAX_QUEUE_SIZE" in run.stderr


def test_replay_is_traced_by_its_setting(tmp_path: Path, server: Server) -> None:
    """EBINGEST_OTLP=on is what --otlp is; --no-otlp wins over it."""
    ebingest("ingest", "-", cwd=tmp_path, env=server.settings, stdin=b"{}", check=[1])
    with collector() as url:
        env = server.settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "EBINGEST_OTLP": "on"}
        ebingest("replay", "dead_letters.ndjson", "--no-otlp", cwd=tmp_path, env=env, check=[1])
        assert kept(url)["spans"] == []
        ebingest("replay", "dead_letters.ndjson", cwd=tmp_path, env=env, check=[1])
        assert [span["name"] for span in kept(url)["spans"]] == ["ingest"]


WRONG = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "x",  # read as the SDK is loaded
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "x",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-4",
    "OTEL_BSP_MAX_QUEUE_SIZE": "-3",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",
    "OTEL_BSP_SCHEDULE_DELAY": "0",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "9" * 30,
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "nobody",
}


@pytest.mark.parametrize("variable", WRONG)
def test_wrong_variables_end_no_run(tmp_path: Path, server: Server, variable: str) -> None:
    """Whatever the SDK makes of them: the events arrive, exit 0, and one note names the variable."""
    env = server.settings | {variable: WRONG[variable]}
    run = ebingest("ingest", "-", "--otlp", cwd=tmp_path, env=env, stdin=lines(3), check=[0])
    assert len(server.events()) == 3
    [note] = [text for text in run.stderr.decode().splitlines() if text.startswith("Note:")]
    assert f"Look at {variable}." in note
    assert note.endswith("The run goes on without traces.")
    assert ".." not in note
    assert b"Traceback" not in run.stderr


def test_the_sdk_says_nothing_of_its_own(tmp_path: Path, server: Server) -> None:
    """What it logs as it is loaded, and goes on, is not shown."""
    with collector() as url:
        env = server.settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_PYTHON_CONTEXT": "nobody"}
        run = ebingest("ingest", "-", "--otlp", cwd=tmp_path, env=env, stdin=lines(3), check=[0])
        assert len(kept(url)["spans"]) == 4
    assert b"opentelemetry" not in run.stderr


def test_without_the_extra_nothing_is_sent(tmp_path: Path, server: Server) -> None:
    """Exit 3 and how to install it, before the first request."""
    env = server.settings | without("opentelemetry", tmp_path / "site")
    run = ebingest("ingest", "-", "--otlp", cwd=tmp_path, env=env, stdin=lines(1), check=[3])
    assert b"pip install 'ebingest[otlp]'" in run.stderr
    assert server.requests() == []
