"""Real runs with a data lake behind them: what was delivered arrives there, and delivery never notices."""

import io
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from conftest import Server
from lake_runs import CHUNKS, COUNT, INGEST, WEBHOOK, posts, receiver, start, sync_lines, synced, until
from lake_support import consume, moto_server, refusing, served, silent
from obstore.store import S3Store
from support import audit_lines, clean_environment, damage, ebingest, line, lines, scripted, without

from eventbridge_cli.ledger.audit import LINE_BEGIN


def receipts(folder: Path) -> list[dict[str, Any]]:
    """All receipts in a lake that is a folder."""
    return [json.loads(text) for path in sorted(folder.rglob("*.ndjson")) for text in path.read_bytes().splitlines()]


def events_of(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(each["interaction_id"] for receipt in found for each in receipt["events"])


def test_a_folder_gets_a_receipt_for_each_request(place: Path, server: Server) -> None:
    """Receipts and their events are those of the account; audit file and summary say so; the chain holds."""
    run = ebingest(*INGEST, "--sync", (place / "lake").as_uri(), cwd=place, env=server.settings, check=[0])
    found = receipts(place / "lake")
    assert json.loads(run.stdout)["counts"]["delivered"] == COUNT
    assert events_of(found) == Counter(f"interaction-{number}" for number in range(COUNT))
    assert {each["request_id"] for each in found} == {each["headers"]["x-request-id"] for each in server.requests()}
    assert {each["endpoint"] for each in found} == {f"{server.url}/api/v2/events/ingest"}
    assert synced(run) == [
        {"target": (place / "lake").as_uri(), "synced": CHUNKS, "pending": 0, "failed": 0, "message": ""}
    ]
    assert sync_lines(place) == [("synced", CHUNKS)]
    ebingest("audit", "verify", cwd=place, check=[0])


def test_a_damaged_outbox_blocks_no_run(place: Path, server: Server) -> None:
    """What waits for the lake is damaged: the next run sets it aside, says so, and ends as if it had been the first."""
    lake = ("--sync", (place / "lake").as_uri())
    ebingest(*INGEST, *lake, cwd=place, env=server.settings, check=[0])
    [state] = place.rglob("*.sqlite3")
    damage(state, "receipt")
    run = ebingest(*INGEST, *lake, cwd=place, env=server.settings, check=[0])
    assert b"damaged" in run.stderr
    assert synced(run)[0]["synced"] == CHUNKS


def test_several_targets_get_the_events(place: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and a bucket from one setting, as Parquet: each has every event once, with the delivered bytes."""
    with moto_server() as url:
        for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_CONDITIONAL_PUT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {
            "ENDPOINT_URL": url,
            "REGION": "us-east-1",
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        urllib.request.urlopen(urllib.request.Request(f"{url}/lake", method="PUT")).close()  # noqa: S310 - loopback
        targets = {"EBINGEST_SYNC": f"{(place / 'lake').as_uri()}, s3://lake/deep"}
        how = ("--sync-content", "events", "--sync-format", "parquet")
        run = ebingest(*INGEST, *how, cwd=place, env=server.settings | targets, check=[0])
        store = S3Store("lake", client_options={"allow_http": True})
        names = [each["path"] for part in store.list() for each in part if each["path"].endswith(".parquet")]
        bucket = [pyarrow.parquet.read_table(io.BytesIO(store.get(name).bytes())) for name in names]
    folder = [pyarrow.parquet.read_table(io.BytesIO(path.read_bytes())) for path in (place / "lake").rglob("*.parquet")]
    for tables in (bucket, folder):
        rows = [row for table in tables for row in table.to_pylist()]
        assert Counter(row["interaction_id"] for row in rows) == Counter(f"interaction-{n}" for n in range(COUNT))
    assert [(each["synced"], each["pending"]) for each in synced(run)] == [(CHUNKS, 0), (CHUNKS, 0)]


def test_kafka_gets_a_message_for_each_request(place: Path, server: Server) -> None:
    """Two brokers in one URL, from a setting in which commas also part URLs; each request id is a key once."""
    with served("kafka_cluster.py", "receipts") as brokers:
        targets = {"EBINGEST_SYNC": f"kafka://{brokers}/receipts,{(place / 'lake').as_uri()}"}
        ebingest(*INGEST, cwd=place, env=server.settings | targets, check=[0])
        messages = consume(brokers, "receipts")
    values = [json.loads(message.value() or b"") for message in messages]
    assert events_of(values) == events_of(receipts(place / "lake"))
    assert len({message.key() for message in messages}) == len(messages) == CHUNKS


def test_killed_between_delivery_and_lake(place: Path, server: Server) -> None:
    """After kill -9 while a put goes on, sync puts the same batch under the same name; by name all arrive once."""
    with receiver({}, {"silent": True}) as url:
        with start(place, *INGEST, "--sync", url, **server.settings, **WEBHOOK) as process:
            until(lambda: len(server.requests()) == CHUNKS and posts(url))
            until(lambda: (place / "ingestion_audit.jsonl").read_text().count("INGESTION_SUCCEEDED") == CHUNKS)
            process.send_signal(signal.SIGKILL)
        [cut_short] = posts(url)
        done = ebingest("sync", "-o", "json", cwd=place, env=server.settings | WEBHOOK, check=[0])
        assert [(each["synced"], each["pending"]) for each in synced(done)] == [(CHUNKS, 0)]
        again = posts(url)[1:]
        assert again[0]["batch"] == cut_short["batch"]
        assert again[0]["body"] == cut_short["body"]
        assert len({post["batch"] for post in again}) == len(again)
        found = [json.loads(text) for post in again for text in post["body"].splitlines()]
        assert events_of(found) == Counter(f"interaction-{number}" for number in range(COUNT))
        ebingest("sync", cwd=place, env=server.settings | WEBHOOK, check=[0])
        assert len(posts(url)) == 1 + len(again)
    assert sum(entries for state, entries in sync_lines(place) if state == "synced") == CHUNKS
    ebingest("audit", "verify", cwd=place, check=[0])


def test_killed_at_any_time_and_resumed(place: Path, server: Server) -> None:
    """Killed three times in the midst of it, then run to the end: each delivery has its receipt once."""
    (place / "events.ndjson").write_bytes(lines(6000))
    target = (place / "lake").as_uri()
    for quota in (100, 250, 400):
        with start(place, *INGEST, "--sync", target, **server.settings) as process:
            while len(server.requests()) < quota and process.poll() is None:
                time.sleep(0.01)
            process.kill()
    ebingest(*INGEST, "--sync", target, cwd=place, env=server.settings, check=[0])
    found = receipts(place / "lake")
    assert {each["request_id"] for each in found} == {each["headers"]["x-request-id"] for each in server.requests()}
    assert max(Counter((each["run"], each["request_id"]) for each in found).values()) == 1
    assert set(events_of(found)) == {f"interaction-{number}" for number in range(6000)}


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": 503}, "pending"),
        ({"status": 410}, "failed"),
        ({"seconds": 10}, "pending"),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, "pending"),
    ],
    ids=["down", "refusing", "slow", "busy"],
)
def test_delivery_never_notices(place: Path, server: Server, answer: dict[str, Any], state: str) -> None:
    """A lake that is down, slow or says no holds back no request, and changes neither account nor exit code."""
    with receiver({}, *[answer] * 50) as url:
        arguments = (*INGEST, "--sync", url, "--sync-grace", "0.5")
        run = ebingest(*arguments, cwd=place, env=server.settings | WEBHOOK, check=[0])
        counts = json.loads(run.stdout)["counts"]
        assert counts == {"read": COUNT, "delivered": COUNT, "duplicate": 0, "rejected": 0, "refused": 0, "pending": 0}
        assert len(server.requests()) == CHUNKS
        [told] = synced(run)
        assert told[state] == CHUNKS
        assert told["synced"] == 0
        assert told["message"]
        first = f"mend what keeps {url} from taking them, then " if state == "failed" else ""
        advice = f"Next: {first}hand the 95 receipts left for the data lake on with: ebingest sync\n"
        assert advice in run.stderr.decode()
        assert "synced" not in dict(sync_lines(place))
        required = ebingest(*arguments, "--sync-required", cwd=place, env=server.settings | WEBHOOK, check=[5])
        assert json.loads(required.stdout)["exit_code"] == 5
    assert len(server.requests()) == CHUNKS


def test_a_run_hands_on_what_was_left_as_something_else(place: Path, server: Server) -> None:
    """Receipts that were left for a target go there with the next run, although that one hands over events."""
    (place / "more.ndjson").write_bytes(line(COUNT))
    with receiver({}, {"status": 400}) as url:
        settings = server.settings | WEBHOOK
        ebingest(*INGEST, "--sync", url, cwd=place, env=settings, check=[0])
        how = ("-o", "json", "--sync", url, "--sync-content", "events", "--sync-required")
        run = ebingest("ingest", "more.ndjson", *how, cwd=place, env=settings, check=[0])
        assert synced(run) == [{"target": url, "synced": CHUNKS + 1, "pending": 0, "failed": 0, "message": ""}]
        _, *taken = posts(url)
    arrived = [json.loads(text) for post in taken for text in post["body"].splitlines()]
    assert sum("request_id" in each for each in arrived) == CHUNKS
    assert [each["interactionId"] for each in arrived if "interactionId" in each] == [f"interaction-{COUNT}"]


def test_what_stays_as_something_else_is_required_too(place: Path, server: Server) -> None:
    """What was left for a target as other content, and waits still, counts for `--sync-required`, and why is said."""
    (place / "more.ndjson").write_bytes(line(COUNT))
    with receiver({}, *[{"status": 500}] * 50) as url:
        settings = server.settings | WEBHOOK
        ebingest(*INGEST, "--sync", url, "--sync-grace", "0", cwd=place, env=settings, check=[0])
        how = ("-o", "json", "--sync", url, "--sync-content", "events", "--sync-required", "--sync-grace", "0")
        second = ebingest("ingest", "more.ndjson", *how, cwd=place, env=settings, check=[5])
        [told] = synced(second)
        assert told["pending"] == CHUNKS + 1
        assert told["message"]


def test_the_account_of_a_bad_day_is_the_same_with_a_lake(place: Path) -> None:
    """Refusals, retries and splits: the platform gets the same with a lake, and receipts name no refused event."""
    (place / "events.ndjson").write_bytes(lines(40) + b"rubbish\n" + line(41) + b"\n")
    script = {"answers": [{"status": 503}], "poison": "interaction-7"}
    told = {}
    for name, target in (("without", ()), ("with", ("--sync", (place / "lake").as_uri()))):
        with scripted(script) as url:
            server = Server(url)
            state = ("--state", str(place / name), "--concurrency", "1")
            run = ebingest(*INGEST, *state, *target, cwd=place, env=server.settings, check=[1])
            posted = [(post["status"], post["request_id"]) for post in server.get("/ledger")["posts"]]
            told[name] = (posted, json.loads(run.stdout)["counts"], run.returncode)
    assert told["with"] == told["without"]
    assert sorted(events_of(receipts(place / "lake"))) == sorted(
        f"interaction-{number}" for number in [*range(7), *range(8, 40), 41]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sync", "ftp://host/x"), "ftp: is no kind of data lake"),
        (("--sync", "nothing"), "nothing is no kind of data lake"),
        (("--sync", "file:///not/there"), "/not/there can't be written to"),
        (("--sync", "https://user:pass@host/"), "holds a user name or password"),
        (("--sync", "http://127.0.0.1:1/"), "There is no secret to sign"),
        (("--sync", "file:///tmp", "--sync-format", "parquet"), "Receipts can't be written as Parquet"),
    ],
    ids=["scheme", "no URL", "no folder", "password", "no secret", "parquet"],
)
def test_a_target_that_will_not_do_ends_the_run_first(
    place: Path, server: Server, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 3, the reason, nothing sent and nothing lost: the same run without it delivers everything."""
    run = ebingest(*INGEST, *arguments, cwd=place, env=server.settings, check=[3])
    assert said in run.stderr.decode()
    assert server.requests() == []
    ebingest(*INGEST, cwd=place, env=server.settings, check=[0])
    assert len(server.events()) == COUNT


def test_a_target_out_of_reach_ends_the_run_first(place: Path, server: Server) -> None:
    """No broker, no bucket, a wrong secret, a missing extra: exit 3, and nothing is sent."""
    with refusing() as address, moto_server() as s3, receiver() as url:
        cloud = {
            "AWS_ENDPOINT_URL": s3,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        wrong = {"EBINGEST_WEBHOOK_SECRET": "another"}
        no_obstore = without("obstore", place / "shadow")
        for target, env, said in (
            (f"kafka://{address}/topic", {}, "can't be reached"),
            ("s3://nobody", cloud, "s3://nobody can't be written to"),
            (url, wrong, "does not take what is posted (HTTP 401)"),
            ("s3://bucket", no_obstore, "pip install 'ebingest[s3]'"),
        ):
            run = ebingest(*INGEST, "--sync", target, cwd=place, env=server.settings | env, check=[3])
            assert said in run.stderr.decode()
    assert server.requests() == []


@pytest.mark.parametrize("scheme", ["http", "kafka", "s3"])
def test_interrupted_while_a_target_is_tried(place: Path, server: Server, scheme: str) -> None:
    """A target that takes the connection and says nothing holds nobody back who wants the run to end."""
    with silent() as address:
        cloud = {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        target = {"http": f"http://{address}/in", "kafka": f"kafka://{address}/topic", "s3": "s3://lake/deep"}[scheme]
        with start(place, *INGEST, "--sync", target, **server.settings, **WEBHOOK, **cloud) as process:
            until((place / "ingestion_audit.jsonl").exists)
            time.sleep(1)
            process.terminate()
            out, said = process.communicate(timeout=10)
    assert process.returncode == 143, said
    assert json.loads(out)["stopped"]["code"] == "interrupted"
    assert server.requests() == []


@pytest.mark.parametrize("option", ["--sync-content=all", "--sync-format=csv", "--sync-grace=-1"])
def test_a_wrong_option_is_named(place: Path, server: Server, option: str) -> None:
    """Exit 2, before anything is sent."""
    run = ebingest(*INGEST, option, cwd=place, env=server.settings, check=[2])
    assert option.partition("=")[0] in run.stderr.decode()
    assert server.requests() == []


def test_status_names_what_waits(place: Path, server: Server) -> None:
    """What the data lake has yet to get is no settled matter."""
    with receiver({}, *[{"status": 503}] * 50) as url:
        ebingest(*INGEST, "--sync", url, "--sync-grace", "0", cwd=place, env=server.settings | WEBHOOK, check=[0])
    text = ebingest("status", cwd=place, check=[0]).stdout.decode()
    assert f"Data lake: {CHUNKS} receipts left for {url}" in text
    assert f"Next: hand the {CHUNKS} receipts left for the data lake on with: ebingest sync" in text
    assert "all is settled" not in text


def test_a_sandbox_says_what_goes_with_it(place: Path) -> None:
    """Its state is gone at the end, so that `ebingest sync` could not help."""
    with receiver({}, *[{"status": 503}] * 50) as url:
        run = ebingest(*INGEST, "--sandbox", "--sync", url, "--sync-grace", "0", cwd=place, env=WEBHOOK, check=[0])
    assert b"95 receipts did not reach the data lake and will go with the sandbox's state." in run.stderr
    assert b"ebingest sync" not in run.stderr.partition(b"go with the sandbox")[2]


def test_an_interrupt_ends_the_grace(place: Path, server: Server) -> None:
    """Ctrl-C while a lake hangs ends the run at once, in order: all is delivered, the rest waits."""
    with (
        receiver({}, {"silent": True}) as url,
        start(place, *INGEST, "--sync", url, "--sync-grace", "3600", **server.settings, **WEBHOOK) as process,
    ):
        audit = place / "ingestion_audit.jsonl"
        until(lambda: posts(url) and audit.read_text().count("INGESTION_SUCCEEDED") == CHUNKS)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(output)["sync"][0]["pending"] == CHUNKS
    assert audit_lines(audit)[-1]["event"] == "RUN_FINISHED"


def test_a_line_that_is_missing_is_told_even_if_quiet(place: Path, server: Server) -> None:
    """The disk is full where a hand-over is to be written down: it has happened, and that it lacks a line is said.

    So is that the end of the run could not be written down, either.
    """
    audit = place / "ingestion_audit.jsonl"
    long_line = LINE_BEGIN + b"x" * 1_000_000 + b'"}\n'  # no other file of the run is as large
    run = ("ingest", "events.ndjson", "--resend", "--quiet", "--sync", (place / "lake").as_uri())
    audit.write_bytes(long_line)
    ebingest(*run, cwd=place, env=server.settings, check=[0])
    before = audit.read_bytes().partition(b"DATA_LAKE_SYNC")[0]
    audit.write_bytes(long_line)
    code = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)"
    limited = subprocess.run(
        [
            *(sys.executable, "-c", f"{code}; os.execv(sys.executable, sys.argv[2:])", str(len(before))),
            *(sys.executable, "-m", "eventbridge_cli", *run),
        ],
        cwd=place,
        env=clean_environment(place, **server.settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert limited.returncode == 5
    assert limited.stderr.startswith(b"Note: a DATA_LAKE_SYNC line is missing: ingestion_audit.jsonl can't be written")
    assert len(list((place / "lake").rglob("*.ndjson"))) == 2


def test_a_dry_run_names_the_targets(place: Path) -> None:
    """It tells where receipts would go, asks nothing of the target, and still finds a URL that can't be one."""
    run = ebingest("ingest", "events.ndjson", "--dry-run", "--sync", "file:///not/there", cwd=place, check=[0])
    assert b"receipts would go to file:///not/there" in run.stderr
    ebingest("ingest", "events.ndjson", "--dry-run", "--sync", "ftp://x", cwd=place, check=[3])


def test_doctor_asks_the_targets(place: Path) -> None:
    """One that is ready is so, one that is not there and one that is none are to be mended, whatever the platform."""
    env = {"EBINGEST_SYNC": f"{(place / 'lake').as_uri()} file:///not/there ftp://x"}
    run = ebingest("doctor", "-o", "json", cwd=place, env=env, check=[3])
    found = [each for each in json.loads(run.stdout)["findings"] if each["group"] == "Sync"]
    assert [each["state"] for each in found] == ["ok", "bad", "bad"]
