"""Fixtures: real servers, each in a process of its own on loopback."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import lines

from eventbridge_cli.sandbox.process import SandboxProcess

# What starts the tests in the background may ignore signals, which processes inherit; the tool's would heed none then.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@dataclass(frozen=True)
class Server:
    """A server that takes events, and what it says it got."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        return {
            "GENESYS_ENV": self.url,
            "GENESYS_CLIENT_ID": "someone",
            "GENESYS_CLIENT_SECRET": "s3cr3t-c4n4ry",
        }

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/ledger")
        return found

    def events(self) -> list[dict[str, Any]]:
        return [event for request in self.requests() for event in request["events"]]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that shares nothing with the tool and takes everything."""
    script = Path(__file__).parent / "independent_server.py"
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Server(process.stdout.readline().strip())
        process.communicate(timeout=10)


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """The stand-in platform, without faults."""
    with SandboxProcess() as process:
        yield process


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with events and a lake."""
    (tmp_path / "events.ndjson").write_bytes(lines(950))
    (tmp_path / "lake").mkdir()
    return tmp_path
