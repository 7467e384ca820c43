"""What speed and memory rest on, counted instead of timed: the same on every machine, whatever else it does.

A limit stands 15 % above what was counted when it was set, or at what is promised. A failure says what was counted.
If the tool now does more on purpose, raise the limit in the same commit and say why; if not, find where it comes from:

- calls: `python -m cProfile -s tottime -m eventbridge_cli validate FILE --jobs 1`
- bytes: `python -X tracemalloc=10 -c ...` with `tracemalloc.take_snapshot()` in place of the peak
- modules: `python -X importtime -m eventbridge_cli validate FILE`

Seconds are measured by `benchmarks/run.py`.
"""

import json
import pstats
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from support import ROOT, clean_environment, ebingest

LIMITS = {
    "calls for each event validated": 3.7,
    "calls for each event deduplicated": 8.5,
    "calls for each event validated with an unknown field": 38,
    "calls for each event validated, pretty-printed": 42,
    "bytes for each distinct key": 130,
    "bytes more to validate ten times the events": 50_000,
    "bytes more to deduplicate ten times the events in a window": 250_000,
    "modules of --version": 170,
    "modules of validate": 225,
    "modules of ingest": 470,
}
NETWORK = {"asyncio", "concurrent", "httpx", "multiprocessing", "sqlite3", "ssl"}
UNWANTED = {
    "--version": {"pydantic", "rich"} | NETWORK,
    "validate": {"eventbridge_cli.facts", "pydantic", "rich", "typer._adapters"} | NETWORK,
    "ingest": {"anyio", "click", "httpcore", "pydantic", "pygments", "rich", "typer._adapters"},
}

PEAK = """
import asyncio, runpy, sys, tracemalloc
import pydantic_core, rich.progress, typer  # what is loaded before is quick to load, and is not of interest
tracemalloc.start()
try:
    runpy.run_module("eventbridge_cli", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code
print("PEAK", tracemalloc.get_traced_memory()[1], file=sys.stderr)
"""


def check(what: str, counted: float) -> None:
    limit = LIMITS[what]
    assert counted <= limit, f"{what}: {counted:,.1f}, where {limit:,} is the limit; see the top of this file"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@cache
def one_process(command: str, folder: Path) -> tuple[str, ...]:
    """The option that keeps all of a command's work in the process that is looked at, where it has one."""
    text = ebingest(command, "--help", cwd=folder, check=[0]).stdout
    return ("--jobs", "1") if b"--jobs" in text else ()


def as_it_is(line: bytes) -> bytes:
    return line


def with_an_unknown_field(line: bytes) -> bytes:
    return line[:-1] + b',"unknown":1}'


def pretty(line: bytes) -> bytes:
    return json.dumps(json.loads(line), indent=2).encode()


def events(folder: Path, count: int, written: Callable[[bytes], bytes] = as_it_is) -> Path:
    """A file of so many distinct events."""
    path = folder / f"{count}-{written.__name__}.ndjson"
    if not path.exists():
        generator = ROOT / "benchmarks" / "generate.py"
        done = subprocess.run([sys.executable, generator, str(count)], stdout=subprocess.PIPE, check=True)
        path.write_bytes(b"".join([written(line) + b"\n" for line in done.stdout.splitlines()]))
    return path


def python(folder: Path, *arguments: str | Path, **variables: str) -> str:
    """What a run of Python that loads the tool says on standard error."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(folder, **variables), capture_output=True, check=True
    )
    return done.stderr.decode()


def calls(folder: Path, command: str, path: Path) -> int:
    """How many functions are called, Python's and C's, for a file."""
    profile = folder / "profile"
    tool: list[str | Path] = [command, path, *one_process(command, folder)]
    python(folder, "-m", "cProfile", "-o", profile, "-m", "eventbridge_cli", *tool)
    total: int = pstats.Stats(str(profile)).total_calls  # type: ignore[attr-defined]
    return total


def peak(folder: Path, command: str, count: int, *options: str) -> int:
    """How many bytes Python's allocators gave out at most for so many events."""
    tool: list[str | Path] = [command, events(folder, count), *options, *one_process(command, folder)]
    return int(python(folder, "-c", PEAK, *tool).rpartition("PEAK ")[2])


def modules(folder: Path, *arguments: str | Path, **variables: str) -> set[str]:
    """The modules that a command loads."""
    said = python(folder, "-X", "importtime", "-m", "eventbridge_cli", *arguments, **variables)
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", said, re.MULTILINE))


@pytest.mark.parametrize(
    ("command", "done", "written"),
    [
        ("validate", "validated", as_it_is),
        ("dedupe", "deduplicated", as_it_is),
        ("validate", "validated with an unknown field", with_an_unknown_field),
        ("validate", "validated, pretty-printed", pretty),
    ],
)
def test_calls_for_each_event(folder: Path, command: str, done: str, written: Callable[[bytes], bytes]) -> None:
    """An event costs no more calls than it did; those of the start are left out."""
    few, many = 2_000, 4_000
    added = calls(folder, command, events(folder, many, written)) - calls(folder, command, events(folder, few, written))
    check(f"calls for each event {done}", added / (many - few))


def test_memory_for_each_key(folder: Path) -> None:
    """A distinct key takes no more memory than it did, and a window keeps a longer file's keys from adding up."""
    count, out, window = 10_000, ("-o", "unique.ndjson"), ("--window-size", "1000")
    bounded = peak(folder, "dedupe", count, *out, *window)
    check("bytes for each distinct key", (peak(folder, "dedupe", count, *out) - bounded) / count)
    added = bounded - peak(folder, "dedupe", count // 10, *out, *window)
    check("bytes more to deduplicate ten times the events in a window", added)


def test_a_longer_file_takes_no_more_memory(folder: Path) -> None:
    """Ten times the events are read in the same memory, a buffer or two apart."""
    added = peak(folder, "validate", 40_000) - peak(folder, "validate", 4_000)
    check("bytes more to validate ten times the events", added)


@pytest.fixture
def server() -> Iterator[str]:
    """The benchmarks' own server; its URL."""
    command = [sys.executable, str(ROOT / "benchmarks" / "server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=10)


def settings(server: str) -> dict[str, str]:
    return {"GENESYS_ENV": server, "GENESYS_CLIENT_ID": "someone", "GENESYS_CLIENT_SECRET": "s3cr3t"}


def test_requests_for_a_thousand_events(folder: Path, server: str) -> None:
    """1,000 events go out in ten requests, with one token and few bytes besides the events' own."""
    path = events(folder, 1_000)
    ebingest("ingest", path, "-q", cwd=folder, env=settings(server), check=[0])
    with urllib.request.urlopen(f"{server}/stats") as answer:  # noqa: S310 - loopback
        stats = json.load(answer)
    assert (stats["requests"], stats["tokens"], stats["events"]) == (10, 1, 1_000)
    assert stats["bytes"] <= path.stat().st_size + 10 * len(b'{"events":[]}')


def test_what_is_loaded(folder: Path, server: str) -> None:
    """A command loads no more modules than it did, and none that it has no use for."""
    one = events(folder, 1)
    loaded = {
        "--version": modules(folder, "--version"),
        "validate": modules(folder, "validate", one),
        "ingest": modules(folder, "ingest", one, **settings(server)),
    }
    for command, names in loaded.items():
        assert not UNWANTED[command] & (names | {name.partition(".")[0] for name in names})
        check(f"modules of {command}", len(names))
