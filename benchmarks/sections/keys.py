"""How much memory a distinct key takes."""

from collections.abc import Sequence

from measure import Contender, Goal, Results, Section

from sections import CPU, MB, MEMORY, SECONDS, Bench

WINDOW = 1000
BOUNDED_ONE, KEYS_ONE = f"dedupe --jobs 1 --window-size {WINDOW}", "dedupe --jobs 1"
BOUNDED, KEYS = f"dedupe --window-size {WINDOW}", "dedupe"


def section(bench: Bench) -> Section:
    """The same distinct events with all keys kept and with a bounded number of them."""
    events, tool = bench.memory_events, bench.tool
    arguments = (bench.inputs.ndjson(events), "--output", "unique.ndjson")
    window = ("--window-size", str(WINDOW))
    alone = tool.why_not_parallel("dedupe")

    def goals(results: Results) -> Sequence[Goal]:
        one = results.difference(KEYS_ONE, BOUNDED_ONE, lambda sample: sample.memory / events)
        every = results.difference(KEYS, BOUNDED, lambda sample: sample.memory / events)
        bounded = results.median(BOUNDED_ONE, lambda sample: sample.memory / MB)
        return [
            Goal("dedupe, one core: memory for each distinct key", one, 130, at_least=False, unit="bytes"),
            Goal("dedupe, all cores: memory for each distinct key", every, 130, at_least=False, unit="bytes"),
            Goal(f"dedupe, {WINDOW} keys kept: memory", bounded, 100, at_least=False, unit="MB"),
        ]

    return Section(
        name="keys",
        title=f"Keys of {events:,} distinct events",
        notes="On one core memory is the process's peak; on all cores it is all processes' at one time, sampled.",
        contenders=[
            Contender(BOUNDED_ONE, bench.timed(tool.command("dedupe", *arguments, *window, jobs=1))),
            Contender(KEYS_ONE, bench.timed(tool.command("dedupe", *arguments, jobs=1))),
            Contender(BOUNDED, alone or bench.timed(tool.command("dedupe", *arguments, *window), sampled=True)),
            Contender(KEYS, alone or bench.timed(tool.command("dedupe", *arguments), sampled=True)),
        ],
        columns=[MEMORY, SECONDS, CPU],
        goals=goals,
        rounds=1,
    )
