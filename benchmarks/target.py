"""The local server as its clients' benchmarks see it."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).with_name("server.py")
INGEST = "/api/v2/events/ingest"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that was started for one run of one contender."""

    url: str

    @property
    def ingest_url(self) -> str:
        """Where events are sent."""
        return self.url + INGEST

    @property
    def settings(self) -> dict[str, str]:
        """What points the tool at it."""
        return {"GENESYS_ENV": self.url, "GENESYS_CLIENT_ID": "someone", "GENESYS_CLIENT_SECRET": "secret"}

    def stats(self) -> dict[str, float]:
        """What has come so far; see `server.Stats`."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        try:
            connection.request("GET", "/stats")
            found: dict[str, float] = json.load(connection.getresponse())
        finally:
            connection.close()
        return found


@contextmanager
def serving(latency: float = 0) -> Iterator[Target]:
    """A new server which takes `latency` milliseconds for each answer."""
    command = [sys.executable, str(SERVER), "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            yield Target(process.stdout.readline().strip())
        finally:
            process.stdin.close()
