"""Runs of what sends events to a local server, each to a server of its own."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Sample, run
from target import Target, serving
from tool import environment

from sections import Bench

Command = Callable[[Target], Sequence[str | Path]]
KEPT = ("--state", "state", "--audit", "audit.jsonl", "--dead-letters", "dead.ndjson", "--output", "json")


def ingest(bench: Bench, lines: Path, *options: str, jobs: int | None = None) -> Command:
    """The tool's own command, with everything kept that it keeps."""
    command = bench.tool.command("ingest", lines, *KEPT, *options, jobs=jobs)
    return lambda _: command


def posted(
    bench: Bench, command: Command, events: int, *, latency: float = 0, sampled: bool = False
) -> Callable[[], Sample]:
    """What runs a command against a server.

    Args:
        bench: gives each run its folder.
        command: for a server, the command that sends to it.
        events: how many must arrive; the benchmark ends where they don't.
        latency: milliseconds that the server takes for each answer.
        sampled: as in `run`.
    """

    def measured() -> Sample:
        with bench.fresh() as folder, serving(latency) as target:
            sample, summary = summarized(command(target), folder, target.settings, sampled=sampled)
            stats = target.stats()
        return arrived(sample, stats, events).with_figures(busy=summary.get("busy_seconds", 0.0))

    return measured


def summarized(
    command: Sequence[str | Path], folder: Path, variables: Mapping[str, str], *, sampled: bool = False
) -> tuple[Sample, dict[str, Any]]:
    """Run a command, and read the summary that it prints; empty for those that print none."""
    out = folder / "summary.json"
    sample = run(command, folder=folder, env=environment(folder, **variables), stdout=out, sampled=sampled)
    return sample, json.loads(out.read_bytes() or b"{}")


def arrived(sample: Sample, stats: dict[str, float], events: int) -> Sample:
    """The run with what the server says of it, which must be that every event came."""
    if stats["events"] != events:
        sys.exit(f"{stats['events']:,} events arrived where {events:,} were sent: there is nothing to compare.")
    return sample.with_figures(
        requests=stats["requests"],
        per_post=sample.cpu / stats["requests"] * 1e6,
        server_cpu=stats["cpu"],
        span=stats["last_answer"] - stats["first_request"],
        held=stats["held_mean"],
    )
