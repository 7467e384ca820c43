"""How fast events are ingested by a server that answers at once."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from measure import Contender, Goal, Results, Sample, Section
from peers import shell, syslog_ng
from target import serving
from tool import ONE_CORE, cores

from sections import CPU, MEMORY, PEERS, SECONDS, Bench, figure, per_second
from sections.posting import arrived, ingest, posted

EBINGEST, ONE, PINNED, DRY = "ingest", "ingest --jobs 1", "taskset -c 0 ingest", "ingest --dry-run"
TUTORIAL, SYSLOG_NG = "tutorial's ingester", "syslog-ng, http destination"
CURL, XARGS = "split, curl --parallel", "split, xargs -P 5 curl"


def section(bench: Bench) -> Section:
    """The tool with everything on, the tutorial, and three ways that keep no account."""
    events = bench.memory_events // 10
    lines = bench.inputs.ndjson(events)
    return Section(
        name="ingest",
        title=f"Ingest {events:,} events, 100 a request, 5 requests at once",
        notes="The server answers at once. The scripts and syslog-ng keep no account of what they send, check "
        "nothing and drop no copies. CPU/POST is the client's over its whole run, in microseconds; the server's is "
        "beside it. Memory is the largest process's.",
        contenders=[*tool_contenders(bench, lines, events), *peer_contenders(bench, lines, events)],
        columns=[
            SECONDS,
            per_second(events),
            CPU,
            MEMORY,
            figure("POSTs", "requests", "{:,.0f}"),
            figure("CPU/POST, us", "per_post", "{:,.0f}"),
            figure("server's CPU seconds", "server_cpu"),
        ],
        goals=goals,
        rounds=bench.rounds,
    )


def tool_contenders(bench: Bench, lines: Path, events: int) -> list[Contender]:
    """The tool: by default, in one process, on one core, and without posting."""
    tool = bench.tool
    command = ingest(bench, lines)
    first = min(os.sched_getaffinity(0))
    why_not = None if shutil.which("taskset") else "not installed: apt-get install util-linux"
    pinned = posted(bench, lambda target: ["taskset", "-c", str(first), *command(target)], events)
    return [
        Contender(EBINGEST, posted(bench, command, events)),
        Contender(ONE, tool.why_not_parallel("ingest") or posted(bench, ingest(bench, lines, jobs=1), events)),
        Contender(PINNED, why_not or (ONE_CORE if cores() == 1 else pinned)),
        Contender(DRY, bench.timed(tool.command("ingest", lines, "--dry-run"))),
    ]


def peer_contenders(bench: Bench, lines: Path, events: int) -> list[Contender]:
    """The others, each with what it needs."""
    needs_curl = None if shutil.which("curl") else "not installed: apt-get install curl"
    program = syslog_ng.program()
    script = PEERS / "tutorial_ingest.py"

    def scripted(text: str) -> Callable[[], Sample]:
        return posted(bench, lambda target: shell.command(text, lines, target), events)

    def sent() -> Sample:
        assert program is not None  # noqa: S101 - it is not run without one
        with bench.fresh() as folder, serving() as target:
            sample = syslog_ng.send(program, lines, events, folder, target)
            return arrived(sample, target.stats(), events)

    return [
        Contender(
            TUTORIAL,
            posted(bench, lambda target: [bench.tool.python, script, lines, target.url, "audit.jsonl"], events),
        ),
        Contender(SYSLOG_NG, sent if program else "not installed: apt-get install syslog-ng-core syslog-ng-mod-http"),
        Contender(CURL, needs_curl or scripted(shell.CURL_PARALLEL)),
        Contender(XARGS, needs_curl or scripted(shell.XARGS_CURL)),
    ]


def goals(results: Results) -> Sequence[Goal]:
    """The tool against the others, its cost for each request, and what a second core gives."""
    whole = results.median(EBINGEST, lambda sample: sample.figures["per_post"])
    posts = results.median(EBINGEST, lambda sample: sample.figures["requests"])
    beyond = results.difference(EBINGEST, DRY, lambda sample: sample.cpu * 1e6)
    posting = beyond / posts if beyond is not None and posts else None
    return [
        Goal("ingest: times the tutorial's speed", results.ratio(TUTORIAL, EBINGEST), 6, at_least=True),
        Goal("ingest: times syslog-ng's time", results.ratio(EBINGEST, SYSLOG_NG), 2.5, at_least=False),
        Goal("ingest: times curl --parallel's time", results.ratio(EBINGEST, CURL), 2.5, at_least=False),
        Goal("ingest: CPU for each POST, the whole run", whole, 700, at_least=False, unit="us"),
        Goal("ingest: CPU for each POST, beyond that of a dry run", posting, 700, at_least=False, unit="us"),
        Goal("ingest: times the speed on one core", results.ratio(PINNED, EBINGEST), 1.0, at_least=True),
    ]
