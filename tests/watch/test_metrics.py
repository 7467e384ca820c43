"""`--metrics-textfile`: what Prometheus' own parser reads there is what the summary says."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from prometheus_client.parser import text_string_to_metric_families
from support import clean_environment, ebingest, line, lines, scripted, without

from eventbridge_cli.intake.sources import Meter
from eventbridge_cli.ledger.delivered import scope_name
from eventbridge_cli.ledger.lock import locked
from eventbridge_cli.ledger.tally import Tally
from eventbridge_cli.watch.metrics import Textfile

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
BAD = line(1, schemaVersion=9) + b"\n"


def metrics(path: Path) -> dict[str, float]:
    """Every sample, by its name and labels as they are written."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def ingest(folder: Path, url: str, data: bytes, *options: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s3cr3t-c4n4ry"} | (env or {})
    arguments = ("ingest", "-o", "json", "--metrics-textfile", "run.prom", *options)
    run = ebingest(*arguments, cwd=folder, env=settings, stdin=data)
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary | {"stderr": run.stderr.decode(), "code": run.returncode}


def test_the_file_says_what_the_summary_says(tmp_path: Path) -> None:
    """Counts, requests, retries, bytes and the histogram of a run with every outcome but pending."""
    refused = {"body": {"errors": [{"index": 4, "message": "no", "retryable": False}]}}
    with scripted({"answers": [{"status": 503}, refused]}) as url:
        summary = ingest(tmp_path, url, lines(300) + lines(3) + BAD)
    found = metrics(tmp_path / "run.prom")
    counts = summary["counts"]
    assert found["ebingest_records_read"] == counts["read"] == 304
    outcomes = {name: found[f"ebingest_records{{outcome={name}}}"] for name in counts if name != "read"}
    assert outcomes == {name: count for name, count in counts.items() if name != "read"}
    assert (outcomes["duplicate"], outcomes["rejected"], outcomes["refused"]) == (3, 1, 1)
    for name in ("chunks", "requests", "retries", "splits", "unknown_outcomes", "bytes_sent"):
        assert found[f"ebingest_{name}_total"] == summary[name]
    assert summary["retries"] == 1
    assert found["ebingest_request_duration_seconds_count"] == summary["requests"]
    seen = 0
    for row in summary["latency"]["histogram"]:
        seen += row["requests"]
        bound = "+Inf" if row["up_to"] is None else str(row["up_to"])
        assert found[f"ebingest_request_duration_seconds_bucket{{le={bound}}}"] == seen
    longest = summary["latency"]["max"]
    assert longest <= found["ebingest_request_duration_seconds_sum"] + 1e-4 <= longest * summary["requests"] + 1
    assert (found["ebingest_running"], found["ebingest_last_run_exit_code"]) == (0, 1)
    assert "ebingest_last_success_timestamp_seconds" not in found
    assert f'run="{summary["run"]}"' in (tmp_path / "run.prom").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.glob("run.prom*")) == ["run.prom"]


def test_a_failed_run_keeps_the_last_success(tmp_path: Path) -> None:
    """After a good run, one whose events stay pending: its exit code, its time, and the good run's success."""
    with scripted({}) as url:
        ingest(tmp_path, url, lines(1))
    good = metrics(tmp_path / "run.prom")
    with scripted({"always": {"status": 503}}) as url:
        summary = ingest(tmp_path, url, lines(2), "--max-attempts", "1", "--no-otlp")
    found = metrics(tmp_path / "run.prom")
    assert summary["code"] == found["ebingest_last_run_exit_code"] == 5
    assert found["ebingest_records{outcome=pending}"] == summary["counts"]["pending"]
    assert found["ebingest_last_run_timestamp_seconds"] > good["ebingest_last_run_timestamp_seconds"]
    success = "ebingest_last_success_timestamp_seconds"
    assert found[success] == good[success] == good["ebingest_last_run_timestamp_seconds"]


def test_a_run_that_can_not_begin_says_so(tmp_path: Path) -> None:
    """No settings at all: exit 3 stands in the file, for whoever is to be woken."""
    env = {"EBINGEST_METRICS_TEXTFILE": "run.prom"}
    ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(1), check=[3])
    found = metrics(tmp_path / "run.prom")
    assert (found["ebingest_last_run_exit_code"], found["ebingest_records_read"]) == (3, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "nowhere.ndjson"),
        ("ingest", "-", "--max-errors", "many"),
        ("ingest", "."),
        ("replay", "nowhere.ndjson"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_the_end_of_a_run(tmp_path: Path, server: Server, arguments: tuple[str, ...]) -> None:
    """Once the settings are known, exit 2 stands in the file; the last success stays."""
    env = server.settings | {"EBINGEST_METRICS_TEXTFILE": "run.prom"}
    ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(1), check=[0])
    (tmp_path / "ingestion_audit.jsonl").unlink()
    good = metrics(tmp_path / "run.prom")
    ebingest(*arguments, cwd=tmp_path, env=env, check=[2])
    found = metrics(tmp_path / "run.prom")
    assert (found["ebingest_last_run_exit_code"], found["ebingest_records_read"], found["ebingest_running"]) == (
        2,
        0,
        0,
    )
    assert found["ebingest_last_success_timestamp_seconds"] == good["ebingest_last_success_timestamp_seconds"]


def test_a_plan_is_no_run(tmp_path: Path, server: Server) -> None:
    """A dry run, good or not, leaves the file alone."""
    env = server.settings | {"EBINGEST_METRICS_TEXTFILE": "run.prom"}
    ebingest("ingest", "-", "--dry-run", cwd=tmp_path, env=env, stdin=lines(1), check=[0])
    ebingest("ingest", "nowhere.ndjson", "--dry-run", cwd=tmp_path, env=env, check=[2])
    assert not (tmp_path / "run.prom").exists()


def test_a_file_that_serves_two_purposes_is_not_written(tmp_path: Path, server: Server) -> None:
    """The metrics file is the input, or the audit file: exit 2, and it is as it was."""
    (tmp_path / "run.prom").write_bytes(lines(1))
    for more in ({}, {"EBINGEST_AUDIT": "run.prom"}):
        env = server.settings | {"EBINGEST_METRICS_TEXTFILE": "run.prom"} | more
        ebingest("ingest", "run.prom" if not more else "-", cwd=tmp_path, env=env, check=[2])
        assert (tmp_path / "run.prom").read_bytes() == lines(1)


@pytest.mark.parametrize("exit_code", [141, pytest.param(5, marks=FULL)], ids=["nobody reads it", "the disk is full"])
def test_output_that_can_not_be_written_is_the_end_of_a_run(tmp_path: Path, server: Server, exit_code: int) -> None:
    """What the shell is told of standard output stands in the file as well."""
    reading, writing = os.pipe()
    os.close(reading)
    if exit_code == 5:
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    env = clean_environment(tmp_path, **server.settings, EBINGEST_METRICS_TEXTFILE="run.prom")
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "-o", "json"]
    run = subprocess.run(
        command, cwd=tmp_path, env=env, input=lines(1), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert run.returncode == metrics(tmp_path / "run.prom")["ebingest_last_run_exit_code"] == exit_code


@pytest.mark.parametrize(
    ("left", "age", "exit_code"),
    [(1, 0, None), (1, 120, 6), (0, 0, 6)],
    ids=["another run writes it", "another run was killed", "no run writes it"],
)
def test_a_run_that_another_one_holds_off(
    tmp_path: Path, server: Server, left: int, age: float, exit_code: int | None
) -> None:
    """Exit 6 stands in the file, unless that belongs to the run that is under way."""
    path, success = tmp_path / "run.prom", "ebingest_last_success_timestamp_seconds"
    path.write_text(f"{success} 1000\nebingest_running {left}\n", encoding="utf-8")
    then = time.time() - age
    os.utime(path, (then, then))
    scope = scope_name(f"{server.url}/api/v2/events/ingest", "someone")
    env = server.settings | {"EBINGEST_STATE": "state", "EBINGEST_METRICS_TEXTFILE": "run.prom"}
    with locked(tmp_path / "state", scope, "the same endpoint and client"):
        ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(1), check=[6])
    found = metrics(path)
    assert found.get("ebingest_last_run_exit_code") == exit_code
    assert found["ebingest_running"] == (left if exit_code is None else 0)
    assert found[success] == 1000


def test_a_file_that_can_not_be_written_changes_nothing_else(tmp_path: Path, server: Server) -> None:
    """One warning; the events arrive, the exit code is theirs."""
    (tmp_path / "file").write_bytes(b"")
    env = server.settings | {"EBINGEST_METRICS_TEXTFILE": "file/run.prom"}
    run = ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(3), check=[0])
    assert run.stderr.count(b"file/run.prom can't be written: Not a directory") == 1
    assert len(server.events()) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_a_pipe_is_left_alone(tmp_path: Path, server: Server) -> None:
    """It is neither waited for nor replaced by a file, as a device would be; the run goes on."""
    os.mkfifo(tmp_path / "run.prom")
    env = server.settings | {"EBINGEST_METRICS_TEXTFILE": "run.prom"}
    run = ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(3), check=[0])
    assert run.stderr.count(b"run.prom can't be written: it is no ordinary file") == 1
    assert (tmp_path / "run.prom").is_fifo()
    assert len(server.events()) == 3


def test_a_link_leads_to_the_file(tmp_path: Path, server: Server) -> None:
    """The collector looks where it leads to; the link stays."""
    (tmp_path / "collected").mkdir()
    (tmp_path / "run.prom").symlink_to("collected/run.prom")
    for _ in range(2):
        ingest(tmp_path, server.url, lines(3))
    assert (tmp_path / "run.prom").is_symlink()
    assert metrics(tmp_path / "collected/run.prom")["ebingest_records{outcome=duplicate}"] == 3
    assert [path.name for path in (tmp_path / "collected").iterdir()] == ["run.prom"]


def test_without_the_extra_nothing_is_sent(tmp_path: Path, server: Server) -> None:
    """Exit 3 and how to install it, before the first request."""
    env = server.settings | without("prometheus_client", tmp_path / "site")
    run = ebingest("ingest", "-", "--metrics-textfile", "run.prom", cwd=tmp_path, env=env, stdin=lines(3), check=[3])
    assert b"pip install 'ebingest[metrics]'" in run.stderr
    assert server.requests() == []


def test_replay_writes_it_too(tmp_path: Path, server: Server) -> None:
    """Dead letters that are sent again are a run like any other."""
    ebingest("ingest", "-", cwd=tmp_path, env=server.settings, stdin=lines(1) + BAD, check=[1])
    arguments = ("replay", "dead_letters.ndjson", "--metrics-textfile", "run.prom")
    ebingest(*arguments, cwd=tmp_path, env=server.settings, check=[1])
    found = metrics(tmp_path / "run.prom")
    assert (found["ebingest_records_read"], found["ebingest_records{outcome=rejected}"]) == (1, 1)


def test_while_a_run_lasts_the_file_speaks_of_both_runs(tmp_path: Path) -> None:
    """The counts are those of the run under way, `last_run` those of the one before."""
    path, now = tmp_path / "run.prom", [1000.0]
    Textfile(path, "first", warn=pytest.fail, clock=lambda: now[0]).finish(0, "")
    now[0] = 2000.0
    tally = Tally()
    second = Textfile(path, "second", warn=pytest.fail, clock=lambda: now[0])
    with second.watch(tally, Meter(total=100, read=40)):
        found = metrics(path)
    assert (found["ebingest_running"], found["ebingest_run_start_timestamp_seconds"]) == (1, 2000)
    assert (found["ebingest_input_read_bytes"], found["ebingest_input_bytes"]) == (40, 100)
    assert (found["ebingest_last_run_exit_code"], found["ebingest_last_run_timestamp_seconds"]) == (0, 1000)
    now[0] = 3000.0
    second.finish(5, "pending")
    found = metrics(path)
    assert (found["ebingest_running"], found["ebingest_last_run_timestamp_seconds"]) == (0, 3000)
    assert found["ebingest_last_success_timestamp_seconds"] == 1000


@pytest.mark.parametrize("left", [b"\xff\x00", b"{{{", b"ebingest_last_run_exit_code", b"other 1\n", b""])
def test_a_strange_file_is_written_over(tmp_path: Path, left: bytes) -> None:
    """What stood there before is no metrics of ours, or none at all: no error, and no false last run."""
    (tmp_path / "run.prom").write_bytes(left)
    Textfile(tmp_path / "run.prom", "run", warn=pytest.fail).finish(3, "configuration")
    assert "ebingest_last_success_timestamp_seconds" not in metrics(tmp_path / "run.prom")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """A reader that polls while the file is written again and again: each time it is whole."""
    path, tally = tmp_path / "run.prom", Tally()
    textfile = Textfile(path, "run", warn=pytest.fail, every=0.0001)
    seen = [0.0]
    with textfile.watch(tally, Meter(total=1)):
        while len(set(seen)) < 50:
            tally.counts.read += 1
            tally.latency.add(tally.counts.read / 1000)
            found = metrics(path)
            assert "ebingest_input_bytes" in found  # the last of its lines
            seen.append(found["ebingest_records_read"])
    assert seen == sorted(seen)
