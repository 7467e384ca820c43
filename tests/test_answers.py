"""Every answer understood: the tool as a whole against a platform that does exactly what its script says."""

import json
import math
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import audit_lines, ebingest, line, lines, scripted


@dataclass
class Run:
    """One run of the tool, and what the platform saw of it."""

    code: int
    summary: dict[str, Any]
    stderr: str
    posts: list[dict[str, Any]]
    tokens: list[dict[str, Any]]

    @property
    def delivered(self) -> int:
        count: int = self.summary["counts"]["delivered"]
        return count


def run(folder: Path, script: dict[str, Any], data: bytes, *options: str, env: dict[str, str] | None = None) -> Run:
    with scripted(script) as url:
        settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s3cr3t-c4n4ry"}
        result = ebingest("ingest", "-o", "json", *options, cwd=folder, env=settings | (env or {}), stdin=data)
        with urllib.request.urlopen(f"{url}/ledger") as answer:  # noqa: S310 - loopback
            ledger = json.load(answer)
    assert b"Traceback" not in result.stderr
    assert b"s3cr3t-c4n4ry" not in result.stderr + result.stdout
    summary = json.loads(result.stdout)
    assert summary["counts"]["read"] == sum(list(summary["counts"].values())[1:])
    return Run(result.returncode, summary, result.stderr.decode(), ledger["posts"], ledger["tokens"])


def refused(by: dict[str, object], *, again: bool = False) -> dict[str, Any]:
    return {"body": {"errors": [{**by, "message": "no", "retryable": again}]}}


@pytest.mark.parametrize("status", [200, 404, 302])
def test_a_key_in_the_endpoints_url_stays_there(tmp_path: Path, status: int) -> None:
    """A gateway may want a key in the query: it is sent, and stands in no file, receipt or message."""
    (tmp_path / "lake").mkdir()
    with scripted({"always": {"status": status}}) as url:
        env = {
            "GENESYS_INGEST_URL": f"{url}/api/v2/events/ingest?code=k3y-c4n4ry",
            "GENESYS_ACCESS_TOKEN": "token",
            "GENESYS_CLIENT_ID": "id",
        }
        options = ("--verbose", "-o", "json", "--state", "s", "--sync", (tmp_path / "lake").as_uri())
        result = ebingest("ingest", *options, cwd=tmp_path, env=env, stdin=lines(3))
    assert result.returncode == (0 if status == 200 else 3)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not [text for text in [result.stdout, result.stderr, *written] if b"k3y-c4n4ry" in text]


def test_retryable_errors_are_sent_again_alone(tmp_path: Path) -> None:
    """A 2xx whose errors[] name a retryable event: that one is sent again alone, all others are delivered."""
    got = run(tmp_path, {"answers": [refused({"index": 4}, again=True)]}, lines(10))
    assert got.code == 0
    assert [post["events"] for post in got.posts][1:] == [["interaction-4"]]
    audit = audit_lines(tmp_path / "ingestion_audit.jsonl")
    submitted = [entry["request_id"] for entry in audit if entry["event"] == "BATCH_SUBMITTED"]
    assert submitted == [post["request_id"] for post in got.posts]


def test_an_event_that_is_sent_again_alone_may_be_all_there_was(tmp_path: Path) -> None:
    """A chunk of one event that the platform wants once more is the same chunk, under the same request id."""
    got = run(tmp_path, {"answers": [refused({"index": 0}, again=True)]}, lines(1))
    assert (got.code, got.delivered, len(got.posts), got.summary["chunks"]) == (0, 1, 2, 1)


@pytest.mark.parametrize("by", [{"index": 4}, {"eventId": "interaction-4"}])
@pytest.mark.parametrize("status", [200, 207, 400])
def test_named_events_are_refused_and_the_others_delivered(tmp_path: Path, status: int, by: dict[str, object]) -> None:
    """errors[] by index or by eventId, in a 2xx or a 400: those are refused, with a dead letter, the rest arrives."""
    got = run(tmp_path, {"answers": [{"status": status, **refused(by)}]}, lines(10))
    assert got.code == 1
    assert (got.delivered, got.summary["counts"]["refused"]) == (9, 1)
    [letter] = audit_lines(tmp_path / "dead_letters.ndjson")
    assert (letter["line"], letter["status"], letter["message"]) == (5, status, "no")
    assert (letter["stage"], letter["reason"]) == ("deliver", "refused")
    assert len(got.posts) == (1 if status != 400 else 2)


def test_what_the_platform_says_of_an_event_is_shown(tmp_path: Path) -> None:
    """The summary has the first message of each kind, without what it quotes of the event; the letter has it all."""
    message = "interactionId interaction-4 is unknown in this division"
    error = {"index": 4, "message": message, "retryable": False}
    got = run(tmp_path, {"answers": [{"body": {"errors": [error]}}]}, lines(10))
    [trouble] = got.summary["troubles"]
    assert trouble["said"] == "interactionId … is unknown in this division"
    assert f"first at <stdin>:5: {trouble['said']}" in got.stderr
    assert audit_lines(tmp_path / "dead_letters.ndjson")[0]["message"] == message


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 204, "body": ""},
        {"body": ""},
        {"body": "<html>ok</html>"},
        {"body": [1]},
        {"headers": {"Content-Encoding": "gzip"}},
    ],
)
def test_an_unreadable_success_is_a_success(tmp_path: Path, answer: dict[str, Any]) -> None:
    """204, an empty body, HTML, a list or what can't be unpacked: with a 2xx delivered, and never posted again."""
    got = run(tmp_path, {"always": answer}, lines(10))
    assert (got.code, got.delivered, len(got.posts)) == (0, 10, 1)
    assert got.summary["warnings"]


@pytest.mark.parametrize("seconds", [0, 60], ids=["breaks off", "stalls"])
def test_a_success_that_breaks_off_is_a_success(tmp_path: Path, seconds: int) -> None:
    """A 2xx in half, or that comes to no end in time, is asked for once more, then taken at its word."""
    got = run(tmp_path, {"always": {"half": seconds}}, lines(10), "--timeout", "0.5")
    assert (got.code, got.delivered, len(got.posts)) == (0, 10, 2)
    assert got.posts[0]["request_id"] == got.posts[1]["request_id"]
    assert "delivered although the answer broke off" in got.stderr


def test_a_success_that_breaks_off_with_no_attempt_left(tmp_path: Path) -> None:
    """It counts as delivered, too."""
    got = run(tmp_path, {"always": {"half": 0}}, lines(10), "--max-attempts", "1")
    assert (got.code, got.delivered, len(got.posts)) == (0, 10, 1)


def test_what_an_answer_was_about_to_say(tmp_path: Path) -> None:
    """The rest of an answer that broke off may have named errors: asked once more, it does."""
    got = run(tmp_path, {"answers": [{**refused({"index": 4}), "half": 0}, refused({"index": 4})]}, lines(10))
    assert (got.code, got.delivered, got.summary["counts"]["refused"]) == (1, 9, 1)
    assert not got.summary["warnings"]


def test_a_token_that_breaks_off_is_asked_for_again(tmp_path: Path) -> None:
    """There is no token in half an answer, and nothing wrong with the credentials."""
    got = run(tmp_path, {"tokens": [{"half": 0}]}, lines(10))
    assert (got.code, len(got.tokens)) == (0, 2)


@pytest.mark.parametrize("status", [200, 400])
def test_an_interaction_that_names_several_events(tmp_path: Path, status: int) -> None:
    """errors[] with the interaction of three events, of which one is bad: it is found, the others arrive."""
    data = b"\n".join(line(7, eventType=kind) for kind in ("a", "bad", "c")) + b"\n" + lines(5)
    got = run(tmp_path, {"refuses": {"type": "bad", "status": status}}, data)
    assert (got.code, got.delivered, got.summary["counts"]["refused"]) == (1, 7, 1)
    [letter] = audit_lines(tmp_path / "dead_letters.ndjson")
    assert json.loads(letter["record"])["eventType"] == "bad"


def test_a_400_that_may_be_retried_is_retried(tmp_path: Path) -> None:
    """`retryable` says that nothing is wrong with the event, whatever the status."""
    got = run(tmp_path, {"answers": [{"status": 400, **refused({"index": 0}, again=True)}]}, lines(3))
    assert (got.code, got.delivered, len(got.posts)) == (0, 3, 2)


def test_one_poison_event_holds_nothing_back(tmp_path: Path) -> None:
    """A 400 that names nothing: one bad event in 500 is found by halving; 499 are delivered within the budget."""
    got = run(tmp_path, {"poison": "interaction-321"}, lines(500))
    assert (got.code, got.delivered, got.summary["counts"]["refused"]) == (1, 499, 1)
    assert len(got.posts) <= 5 + 2 * math.ceil(math.log2(100))
    arrived = Counter(event for post in got.posts if post["status"] == 200 for event in post["events"])
    assert len(arrived) == 499
    assert set(arrived.values()) == {1}


@pytest.mark.parametrize("said", ["Maximum bytes: 9000", "<html>413</html>"])
def test_a_smaller_limit_is_learned(tmp_path: Path, said: str) -> None:
    """2,000 events through a platform that takes 9,000 bytes: all delivered, and the refusals are bounded."""
    got = run(tmp_path, {"max_bytes": 9000, "too_large": said}, lines(2000))
    assert (got.code, got.delivered) == (0, 2000)
    assert sum(post["status"] == 413 for post in got.posts) <= (5 if said.startswith("Maximum") else 20)


def test_a_lone_event_too_large_for_the_server_is_refused(tmp_path: Path) -> None:
    """413 for a single event: that one is refused, the others arrive."""
    data = lines(3) + line(3, attributes={"pad": "x" * 9000})
    got = run(tmp_path, {"max_bytes": 5000}, data)
    assert (got.code, got.delivered, got.summary["counts"]["refused"]) == (1, 3, 1)


def test_a_token_that_is_not_accepted_is_renewed_once(tmp_path: Path) -> None:
    """401: one renewal for all senders, then on with the same request ids."""
    got = run(tmp_path, {"answers": [{}, {"status": 401}]}, lines(500))
    assert (got.code, got.delivered, len(got.tokens)) == (0, 500, 2)
    [again] = [post["request_id"] for post in got.posts if post["status"] == 401]
    assert [post["authorization"] for post in got.posts if post["request_id"] == again] == [
        "Bearer token-0",
        "Bearer token-1",
    ]


def test_always_401_ends_after_a_handful(tmp_path: Path) -> None:
    """A platform that never accepts its own token: few requests, exit 3, all of it pending."""
    got = run(tmp_path, {"always": {"status": 401}}, lines(2000))
    assert got.code == 3
    assert len(got.posts) + len(got.tokens) <= 6
    assert got.summary["counts"]["pending"] == got.summary["counts"]["read"]


@pytest.mark.parametrize(
    ("status", "word"),
    [(403, "permission"), (404, "GENESYS_ENV"), (415, "GENESYS_INGEST_URL"), (302, "redirect"), (501, "501")],
)
def test_an_endpoint_that_can_not_work_ends_the_run(tmp_path: Path, status: int, word: str) -> None:
    """403, 404, 415, a redirect: one request, exit 3, the rest pending, and the message names what to mend."""
    body = "<html>\x1b[31m token-0 " + "x" * 5000
    got = run(tmp_path, {"always": {"status": status, "body": body, "headers": {"Location": "/else"}}}, lines(900))
    assert (got.code, len(got.posts)) == (3, 1)
    assert word in got.stderr
    assert "\x1b" not in got.stderr
    assert "x" * 200 not in got.stderr
    assert "token-0" not in got.stderr


def test_an_answer_that_quotes_the_request_gives_nothing_away(tmp_path: Path) -> None:
    """Of what the platform says, what it was sent is left out: the token, customers' data. The audit has none of it."""
    said = 'Method not allowed: Bearer token-0 sent {"phone": "+49 170 1234567", "name": "Zoë"} for eventTime'
    data = line(attributes={"phone": "+49 170 1234567", "name": "Zoë"})
    got = run(tmp_path, {"always": {"status": 405, "body": {"message": said}}}, data)
    assert "Method not allowed: Bearer … sent" in got.stderr
    assert "for eventTime" in " ".join(got.stderr.split())
    for text in (got.stderr, json.dumps(got.summary), (tmp_path / "ingestion_audit.jsonl").read_text()):
        assert not [word for word in ("token-0", "1234567", "Zoë", "Zo\\u00eb") if word in text]
    assert "not allowed" not in (tmp_path / "ingestion_audit.jsonl").read_text()


@pytest.mark.parametrize("errors", [[], [{"index": 0, "message": "no to Bearer token-0"}]], ids=["halved", "named"])
def test_a_refusal_that_quotes_the_token_does_not_give_it_away(tmp_path: Path, errors: list[dict[str, Any]]) -> None:
    """What the platform says of an event is shown and kept without the token."""
    script = {"always": {"status": 400, "body": {"message": "no to Bearer token-0", "errors": errors}}}
    got = run(tmp_path, script, line(), "--verbose")
    assert (got.code, got.summary["counts"]["refused"]) == (1, 1)
    assert "no to Bearer …" in got.stderr
    for text in (got.stderr, json.dumps(got.summary), *(path.read_text() for path in tmp_path.glob("*.*json*"))):
        assert "token-0" not in text


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_failures_are_retried_under_the_same_id(tmp_path: Path, status: int) -> None:
    """A passing failure: the same body goes again with the same request id, and each attempt is on record."""
    got = run(tmp_path, {"answers": [{"status": status}]}, lines(10))
    assert (got.code, got.delivered, len(got.posts)) == (0, 10, 2)
    assert len({post["request_id"] for post in got.posts}) == 1
    [retried] = [
        entry for entry in audit_lines(tmp_path / "ingestion_audit.jsonl") if entry["event"] == "BATCH_RETRIED"
    ]
    assert (retried["status"], retried["unknown"]) == (status, False)


def test_a_lost_answer_is_unknown_and_sent_again(tmp_path: Path) -> None:
    """A connection cut after sending: named unknown in the audit, counted, sent again under the same id."""
    got = run(tmp_path, {"answers": [{"cut": True}]}, lines(10))
    assert (got.code, got.delivered, got.summary["unknown_outcomes"]) == (0, 10, 1)
    assert len({post["request_id"] for post in got.posts}) == 1
    [retried] = [
        entry for entry in audit_lines(tmp_path / "ingestion_audit.jsonl") if entry["event"] == "BATCH_RETRIED"
    ]
    assert (retried["outcome"], retried["unknown"]) == ("connection_lost", True)


def test_retry_after_holds_back_every_sender(tmp_path: Path) -> None:
    """A 429 with Retry-After 2 under five senders: no request begins inside the pause."""
    script: dict[str, Any] = {"answers": [{}] * 10 + [{"status": 429, "headers": {"Retry-After": "2"}}]}
    got = run(tmp_path, script, lines(600), "--chunk-events", "10")
    assert (got.code, got.delivered) == (0, 600)
    [at] = [post["time"] for post in got.posts if post["status"] == 429]
    # Others may have begun before the 429 had come back; half a second is long for that.
    later = [post["time"] - at for post in got.posts if post["time"] > at]
    assert not [seconds for seconds in later if 0.5 < seconds < 2.0]


def test_time_before_the_first_post_is_none_of_retrying(tmp_path: Path) -> None:
    """A chunk that had to wait for its turn, for longer than --max-elapsed, is retried as any other."""
    script: dict[str, Any] = {"answers": [{}] * 11 + [{"status": 503}]}
    options = ("--chunk-events", "1", "--concurrency", "12", "--rate", "4/s", "--max-elapsed", "2")
    got = run(tmp_path, script, lines(12), *options)
    assert (got.code, got.delivered, len(got.posts)) == (0, 12, 13)


def test_retry_after_holds_even_where_a_chunk_is_given_up(tmp_path: Path) -> None:
    """The last attempt of a chunk gets a 429: the other chunks keep to its Retry-After all the same."""
    script = {"answers": [{"status": 429, "headers": {"Retry-After": "2"}}]}
    got = run(tmp_path, script, lines(3), "--chunk-events", "1", "--max-attempts", "1")
    assert (got.code, got.delivered, len(got.posts)) == (5, 2, 3)
    assert got.posts[1]["time"] - got.posts[0]["time"] >= 2.0


def test_a_wait_over_max_wait_ends_the_run(tmp_path: Path) -> None:
    """A Retry-After of an hour: the run ends at once, exit 5, all pending."""
    script = {"always": {"status": 503, "headers": {"Retry-After": "3600"}}}
    got = run(tmp_path, script, lines(900))
    assert (got.code, len(got.posts)) == (5, 1)
    assert "3,600 s" in got.stderr


def test_a_quota_that_is_used_up_for_long_ends_the_run(tmp_path: Path) -> None:
    """No request for a day, by the quota's headers: the run ends at once, exit 5, what is left is pending."""
    headers = {"inin-ratelimit-allowed": "300", "inin-ratelimit-count": "300", "inin-ratelimit-reset": "86400"}
    got = run(tmp_path, {"always": {"headers": headers}}, lines(900))
    assert (got.code, got.delivered, len(got.posts)) == (5, 100, 1)
    assert "quota" in got.stderr
    got = run(tmp_path, {"always": {"headers": headers}}, lines(100), "--resend")
    assert (got.code, got.delivered) == (0, 100)


def test_timeouts_that_fall_together(tmp_path: Path) -> None:
    """Twenty requests that end in the same instant, more than it takes to give up: each has its account."""
    script = {"answers": [{}], "always": {"stall": 3}}
    options = ("--concurrency", "20", "--chunk-events", "10", "--timeout", "1", "--max-attempts", "1")
    got = run(tmp_path, script, lines(1000), *options)
    assert (got.code, got.delivered) == (5, 10)
    assert got.summary["counts"]["pending"] == got.summary["counts"]["read"] - 10 >= 190
    assert audit_lines(tmp_path / "ingestion_audit.jsonl")[-1]["event"] == "RUN_FINISHED"


def test_answers_that_never_take_anything_end_the_run(tmp_path: Path) -> None:
    """A 2xx after the other that takes no event: that is no success, and the run gives up."""
    script = {"always": {"body": {"errors": [{"index": n, "retryable": True} for n in range(10)]}}}
    got = run(tmp_path, script, lines(500), "--chunk-events", "10", "--max-attempts", "2")
    assert (got.code, got.delivered) == (5, 0)
    assert len(got.posts) <= 30


def test_the_quota_is_used_and_never_overdrawn(tmp_path: Path) -> None:
    """A quota of 60 in 2 s with truthful headers: no 429, and at least 95 % of it is used in every whole window."""
    got = run(tmp_path, {"quota": {"allowed": 60, "window": 2.0}}, lines(200), "--chunk-events", "1")
    assert (got.code, got.delivered) == (0, 200)
    assert {post["status"] for post in got.posts} == {200}
    begin = got.posts[0]["time"]
    windows = Counter(int((post["time"] - begin) // 2.0) for post in got.posts)
    whole = [windows[number] for number in sorted(windows)[:-1]]
    assert sum(whole) >= 0.95 * 60 * len(whole)


def test_the_rate_is_a_ceiling(tmp_path: Path) -> None:
    """--rate 10/s: requests are spaced by at least a tenth of a second."""
    got = run(tmp_path, {}, lines(12), "--chunk-events", "1", "--rate", "10/s")
    times = [post["time"] for post in got.posts]
    assert times[-1] - times[0] >= 1.0


def test_the_token_endpoints_own_limit_is_waited_out(tmp_path: Path) -> None:
    """HTTP 400 "rate limit exceeded" from the token endpoint is no credentials error: it is asked again."""
    limited = {"status": 400, "body": {"error": "invalid_request", "description": "rate limit exceeded"}}
    got = run(tmp_path, {"tokens": [limited, {"status": 503}]}, lines(3))
    assert (got.code, got.delivered, len(got.tokens)) == (0, 3, 3)


def test_a_resumed_body_keeps_its_request_id(tmp_path: Path) -> None:
    """What was left pending goes in the next run under the same request id."""
    first = run(tmp_path, {"always": {"status": 500}}, lines(10), "--max-attempts", "1")
    assert first.code == 5
    second = run(tmp_path, {}, lines(10), env={})
    assert second.posts[0]["request_id"] == first.posts[0]["request_id"]


def test_headers_and_token_request(tmp_path: Path) -> None:
    """The token is asked for by HTTP Basic with grant and scope; the events carry it as a bearer."""
    got = run(tmp_path, {}, lines(1))
    assert got.tokens[0]["body"] == "grant_type=client_credentials&scope=eventbridge%3Aingest"
    assert got.tokens[0]["authorization"].startswith("Basic ")
    assert got.posts[0]["authorization"] == "Bearer token-0"
