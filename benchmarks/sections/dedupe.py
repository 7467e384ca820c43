"""How fast copies are dropped."""

from collections.abc import Sequence

from measure import Contender, Goal, Results, Section

from sections import CPU, MEMORY, SECONDS, Bench, per_second

COPIES = 5
VALIDATE, DEDUPE = "validate", "dedupe"
VALIDATE_ONE, DEDUPE_ONE = "validate --jobs 1", "dedupe --jobs 1"


def section(bench: Bench) -> Section:
    """Dedupe next to validate over the same lines, on one core and on all."""
    tool, lines = bench.tool, bench.inputs.ndjson(bench.events, copies=COPIES)
    unique = ("--output", "unique.ndjson")
    alone = tool.why_not_parallel("validate") or tool.why_not_parallel("dedupe")
    return Section(
        name="dedupe",
        title=f"Deduplicate {bench.events:,} events, {COPIES} % of them copies",
        notes="Dedupe writes the unique events to a file; validate writes nothing. Memory is the largest process's.",
        contenders=[
            Contender(VALIDATE_ONE, bench.timed(tool.command("validate", lines, jobs=1))),
            Contender(DEDUPE_ONE, bench.timed(tool.command("dedupe", lines, *unique, jobs=1))),
            Contender(VALIDATE, alone or bench.timed(tool.command("validate", lines))),
            Contender(DEDUPE, alone or bench.timed(tool.command("dedupe", lines, *unique))),
        ],
        columns=[SECONDS, per_second(bench.events), CPU, MEMORY],
        goals=goals,
        rounds=bench.rounds,
    )


def goals(results: Results) -> Sequence[Goal]:
    """Dedupe against validate."""
    one, every = results.ratio(VALIDATE_ONE, DEDUPE_ONE), results.ratio(VALIDATE, DEDUPE)
    return [
        Goal("dedupe, one core: times validate's speed", one, 0.6, at_least=True),
        Goal("dedupe, all cores: times validate's speed", every, 0.6, at_least=True),
    ]
