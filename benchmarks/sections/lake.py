"""What it costs a run to hand its receipts to a data lake on the same machine."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import Contender, Goal, Results, Sample, Section
from target import serving

from sections import CPU, MEMORY, SECONDS, Bench, per_second
from sections.posting import KEPT, summarized

NONE, FOLDER, WEBHOOK = "ingest", "ingest --sync file", "ingest --sync http"
SANDBOX, SANDBOX_FOLDER = "ingest --sandbox", "ingest --sandbox --sync file"
SANDBOX_WEBHOOK = "ingest --sandbox --sync http"
NO_SANDBOX = None if find_spec("uvicorn") else "not installed: pip install -e '.[sandbox]'"


def section(bench: Bench) -> Section:
    """The tool with and without a target, posting to a server that does nothing and to the stand-in platform."""
    events = bench.memory_events // 10
    lines = bench.inputs.ndjson(events)
    return Section(
        name="lake",
        title=f"Ingest {events:,} events and hand over the receipts",
        notes="To a folder, and to a webhook that answers at once. Every receipt arrives before the run ends. The "
        "stand-in platform looks at each event; the other server does not, and leaves no time for anything else.",
        contenders=[
            Contender(NONE, handing_over(bench, lines, None)),
            Contender(FOLDER, handing_over(bench, lines, "folder")),
            Contender(WEBHOOK, handing_over(bench, lines, "webhook")),
            Contender(SANDBOX, NO_SANDBOX or handing_over(bench, lines, None, sandbox=True)),
            Contender(SANDBOX_FOLDER, NO_SANDBOX or handing_over(bench, lines, "folder", sandbox=True)),
            Contender(SANDBOX_WEBHOOK, NO_SANDBOX or handing_over(bench, lines, "webhook", sandbox=True)),
        ],
        columns=[SECONDS, per_second(events), CPU, MEMORY],
        goals=goals,
        rounds=2 * bench.rounds,
    )


def handing_over(bench: Bench, lines: Path, where: str | None, *, sandbox: bool = False) -> Callable[[], Sample]:
    """A run that hands over to a folder or a webhook, or to nobody."""

    def measured() -> Sample:
        with bench.fresh() as folder, serving() as target, serving() if where == "webhook" else nullcontext() as lake:
            (folder / "lake").mkdir()
            url = f"{lake.url}/receipts" if lake else f"file://{folder}/lake"
            options = ["--sandbox"] if sandbox else []
            command = bench.tool.command("ingest", lines, *KEPT, *options, *(["--sync", url] if where else []))
            variables = {"EBINGEST_WEBHOOK_SECRET": "secret", **target.settings}
            sample, summary = summarized(command, folder, variables)
            all_arrived(summary, 1 if where else 0)
        return sample

    return measured


def all_arrived(summary: dict[str, Any], targets: int) -> None:
    """End the benchmark unless each target got a receipt for every chunk."""
    synced = [each["synced"] for each in summary["sync"]]
    if synced != [summary["chunks"]] * targets:
        sys.exit(f"{synced} receipts were handed over for {summary['chunks']} requests: there is nothing to compare.")


def goals(results: Results) -> Sequence[Goal]:
    """With against without."""
    pairs = [(NONE, FOLDER), (NONE, WEBHOOK), (SANDBOX, SANDBOX_FOLDER), (SANDBOX, SANDBOX_WEBHOOK)]
    return [
        Goal(f"{with_it}: times the time of {without}", results.ratio(with_it, without), 1.15, at_least=False)
        for without, with_it in pairs
    ]
