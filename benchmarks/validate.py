"""How fast `ebingest validate` is next to the tutorial's own loop, and in how much memory.

    python benchmarks/validate.py [EVENTS] [ROUNDS]

Both run as whole processes over the same file, in turn; the ratio of the medians is what carries over to other
machines. Memory is the peak of the process, as the kernel counts it.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from generate import events

TUTORIAL = """
import json, sys
from datetime import datetime
from typing import Any, Literal
from pydantic import BaseModel, Field, field_validator

class RoutingMetadata(BaseModel):
    queueId: str
    skill: str
    actionType: Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]

class Event(BaseModel):
    eventType: str
    eventTime: str
    interactionId: str
    routingMetadata: RoutingMetadata
    attributes: dict[str, Any] = Field(default_factory=dict)
    schemaVersion: int = Field(ge=1, le=3)

    @field_validator("eventTime")
    @classmethod
    def is_time(cls, text):
        datetime.fromisoformat(text.replace("Z", "+00:00"))
        return text

valid = []
with open(sys.argv[1]) as lines:
    for line in lines:
        raw = json.loads(line)
        valid.append(Event(**raw).model_dump())
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of one run of a command."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{command} failed with status {status}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Generate, measure in turn, print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3  # noqa: PLR2004
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.ndjson"
        with file.open("wb") as out:
            for event in events(count):
                out.write(event + b"\n")
        commands = {
            "tutorial": [sys.executable, "-c", TUTORIAL, str(file)],
            "ebingest": [sys.executable, "-m", "eventbridge_cli", "validate", str(file)],
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                results[name].append(measure(command))
        print(f"{count:,} events, {file.stat().st_size / 1e6:,.0f} MB, {rounds} rounds, medians")
    medians = {name: statistics.median(seconds for seconds, _ in runs) for name, runs in results.items()}
    for name, runs in results.items():
        memory = max(megabytes for _, megabytes in runs)
        print(f"{name:10} {medians[name]:8.2f} s {count / medians[name]:12,.0f} events/s {memory:8,.0f} MB at most")
    print(f"ebingest is {medians['tutorial'] / medians['ebingest']:.1f} times as fast")


if __name__ == "__main__":
    main()
