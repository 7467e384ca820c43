"""How much memory a run takes, and whether a longer input takes more."""

from collections.abc import Sequence
from pathlib import Path

from measure import Contender, Goal, Results, Sample, Section

from sections import CPU, MB, MEMORY, SECONDS, Bench
from sections.posting import ingest, posted

TIMES = 10
NOTHING_MB = 5.0
"""What counts as nothing: an allocator's whims."""

UNBOUND = "keys apart"
WINDOW = ("--window-size", "1000")
FORMS = ("gzip", "zstd", "array")


def section(bench: Bench) -> Section:
    """Validate and ingest over a file and over one that is ten times as large, on one core and on all."""
    events = bench.memory_events
    return Section(
        name="memory",
        title=f"Memory over files of {events // TIMES:,} to {events * TIMES:,} events",
        notes="On one core memory is the process's peak; on all cores it is all processes' at one time, sampled. "
        f"Ingest keeps 1,000 keys ({UNBOUND}), but where the row says all keys.",
        contenders=[*validating(bench), *packed(bench), *ingesting(bench)],
        columns=[MEMORY, SECONDS, CPU],
        goals=lambda results: goals(results, events),
        rounds=1,
    )


def row(command: str, events: int) -> str:
    """Its name."""
    return f"{command}, {events:,} events"


def sizes(bench: Bench) -> list[tuple[int, Path]]:
    """The files that validate reads, by their events."""
    events, inputs = bench.memory_events, bench.inputs
    return [(events, inputs.ndjson(events)), (events * TIMES, inputs.larger(events, TIMES))]


def validating(bench: Bench) -> list[Contender]:
    """Lines, plain."""
    tool = bench.tool
    alone = tool.why_not_parallel("validate")
    rows = []
    for events, path in sizes(bench):
        one, every = tool.command("validate", path, jobs=1), tool.command("validate", path)
        rows.append(Contender(row("validate --jobs 1", events), bench.timed(one)))
        rows.append(Contender(row("validate", events), alone or bench.timed(every, sampled=True)))
    return rows


def packed(bench: Bench) -> list[Contender]:
    """Lines, compressed, and arrays."""
    inputs = bench.inputs
    rows = []
    for form in FORMS:
        for events in (bench.memory_events // TIMES, bench.memory_events):
            path = {"gzip": inputs.gzip, "zstd": inputs.zstd, "array": inputs.array}[form](events)
            command = bench.tool.command("validate", path, jobs=1)
            rows.append(Contender(row(f"validate --jobs 1, {form}", events), bench.timed(command)))
    return rows


def ingesting(bench: Bench) -> list[Contender]:
    """Lines, to a server that answers at once."""
    most = bench.memory_events
    alone = bench.tool.why_not_parallel("ingest")
    rows = []
    for events in (most // TIMES, most):
        path = bench.inputs.ndjson(events)
        one = posted(bench, ingest(bench, path, *WINDOW, jobs=1), events)
        every = posted(bench, ingest(bench, path, *WINDOW), events, sampled=True)
        rows.append(Contender(row("ingest --jobs 1", events), one))
        rows.append(Contender(row("ingest", events), alone or every))
    keys = posted(bench, ingest(bench, bench.inputs.ndjson(most), jobs=1), most)
    return [*rows, Contender(row("ingest --jobs 1, all keys", most), keys)]


def goals(results: Results, events: int) -> Sequence[Goal]:
    """How much, and how much more."""
    found = []
    for command in ("validate", "ingest"):
        for how, limit in ((f"{command} --jobs 1", 100), (command, 150)):
            held = results.median(row(how, events), megabytes)
            found.append(Goal(f"{row(how, events)}: memory, {UNBOUND}", held, limit, at_least=False, unit="MB"))
    longer = {"validate --jobs 1": events, "validate": events}
    shorter = [f"validate --jobs 1, {form}" for form in FORMS] + ["ingest --jobs 1", "ingest"]
    for how, small in {**longer, **dict.fromkeys(shorter, events // TIMES)}.items():
        more = results.difference(row(how, small * TIMES), row(how, small), megabytes)
        text = f"{how}, {small:,} to {small * TIMES:,} events: more memory, {UNBOUND}"
        found.append(Goal(text, more, NOTHING_MB, at_least=False, unit="MB"))
    return found


def megabytes(sample: Sample) -> float:
    """Of all processes."""
    return sample.memory / MB
