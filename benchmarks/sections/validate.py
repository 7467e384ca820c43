"""How fast events are validated."""

from collections.abc import Sequence

from measure import Contender, Goal, Results, Section

from sections import CPU, MEMORY, PEERS, SECONDS, Bench, per_second

TUTORIAL, ONE, ALL = "tutorial's loop", "validate --jobs 1", "validate"
ARRAY = "validate --jobs 1, JSON array"


def section(bench: Bench) -> Section:
    """The tutorial's loop, one core and all cores over the same lines; the same events as one array."""
    tool, lines = bench.tool, bench.inputs.ndjson(bench.events)
    command = tool.command("validate", lines, jobs=1)
    array = tool.command("validate", bench.inputs.array(bench.events), jobs=1)
    return Section(
        name="validate",
        title=f"Validate {bench.events:,} events",
        notes="Whole processes, start-up included. Memory is the largest process's.",
        contenders=[
            Contender(TUTORIAL, bench.timed([tool.python, PEERS / "tutorial_validate.py", lines])),
            Contender(ONE, bench.timed(command)),
            Contender(ALL, tool.why_not_parallel("validate") or bench.timed(tool.command("validate", lines))),
            Contender(ARRAY, bench.timed(array)),
        ],
        columns=[SECONDS, per_second(bench.events), CPU, MEMORY],
        goals=goals,
        rounds=bench.rounds,
    )


def goals(results: Results) -> Sequence[Goal]:
    """One core against the tutorial, all against one, arrays against lines."""
    return [
        Goal("validate, one core: times the tutorial's speed", results.ratio(TUTORIAL, ONE), 4.5, at_least=True),
        Goal("validate, all cores: times one core's speed", results.ratio(ONE, ALL), 1.7, at_least=True),
        Goal("validate, JSON array: times the speed of lines", results.ratio(ONE, ARRAY), 0.5, at_least=True),
    ]
