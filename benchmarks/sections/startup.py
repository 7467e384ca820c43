"""How soon the tool is there."""

from collections.abc import Sequence

from measure import Contender, Goal, Results, Section

from sections import CPU, SECONDS, Bench

TYPER, VERSION = "python -c 'import typer'", "ebingest --version"
PYDANTIC, ONE_EVENT = "python -c 'import typer, pydantic'", "validate, one event"
BARE = "python -c ''"
TIMES = 5
LEAST_ROUNDS = 10


def section(bench: Bench) -> Section:
    """What any such tool takes to start, and what this one takes."""
    tool = bench.tool
    event = bench.inputs.ndjson(1)
    return Section(
        name="startup",
        title="Start-up",
        notes="Whole processes, their compiled modules at hand.",
        contenders=[
            Contender(BARE, bench.timed([tool.python, "-c", ""])),
            Contender(TYPER, bench.timed([tool.python, "-c", "import typer"])),
            Contender(VERSION, bench.timed([tool.python, "-m", "eventbridge_cli", "--version"])),
            Contender(PYDANTIC, bench.timed([tool.python, "-c", "import typer, pydantic"])),
            Contender(ONE_EVENT, bench.timed(tool.command("validate", event))),
        ],
        columns=[SECONDS, CPU],
        goals=goals,
        rounds=max(LEAST_ROUNDS, bench.rounds * TIMES),
    )


def goals(results: Results) -> Sequence[Goal]:
    """Each against the libraries that it can't do without."""
    return [
        Goal("--version: times the time of importing typer", results.ratio(VERSION, TYPER), 2, at_least=False),
        Goal(
            "validate, one event: times the time of importing typer and pydantic",
            results.ratio(ONE_EVENT, PYDANTIC),
            1.3,
            at_least=False,
        ),
    ]
