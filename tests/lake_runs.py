"""What tests of real runs with a data lake behind them need: a webhook's receiver, and what was told of hand-overs."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lake_support import SECRET, served
from support import audit_lines, clean_environment

COUNT = 950  # events, in chunks of 10
CHUNKS = 95
WEBHOOK = {"EBINGEST_WEBHOOK_SECRET": SECRET.get_secret_value()}
INGEST = ("ingest", "events.ndjson", "--chunk-events", "10", "-o", "json")


@contextmanager
def receiver(*answers: dict[str, Any]) -> Iterator[str]:
    script = {"secret": SECRET.get_secret_value(), "answers": answers}
    with served("webhook_receiver.py", json.dumps(script)) as url:
        yield url


def posts(url: str) -> list[dict[str, Any]]:
    """What a receiver has got, without the check of the target."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return [post for post in json.load(answer) if post["batch"] != "check"]


def synced(run: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run.stdout)["sync"]
    return found


def sync_lines(place: Path) -> list[tuple[str, int]]:
    audit = place / "ingestion_audit.jsonl"
    lake = [each for each in audit_lines(audit) if each["event"] == "DATA_LAKE_SYNC"] if audit.exists() else []
    return [(each["state"], each["entries"]) for each in lake]


def until(condition: Callable[[], object]) -> None:
    """Wait for another process to have come so far."""
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def start(place: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "eventbridge_cli", *arguments],
        cwd=place,
        env=clean_environment(place, **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
