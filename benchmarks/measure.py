"""Runs a command as a user would, and tells what it took.

A section is a set of contenders that are measured in turn, round by round, so that what else the machine does
meanwhile falls on all of them alike.
"""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

try:
    import psutil  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError:
    sys.exit("The benchmarks need psutil: pip install -e '.[bench]'")

SAMPLING_SECONDS = 0.05
SHOWN_BYTES = 2000  # of what a failed command said


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took: seconds, seconds of processor time, bytes.

    `peak` is the most that the largest process held. `together` is the most that all processes of the run held at
    one time, a page that several share counted once; it is sampled, and only where a section asks for it.
    `figures` are what a section measures besides.
    """

    seconds: float
    cpu: float
    peak: int
    together: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)

    def with_figures(self, **figures: float) -> "Sample":
        """The same run, with more figures."""
        return replace(self, figures={**self.figures, **figures})

    @property
    def memory(self) -> int:
        """Bytes that the run held at most, over all its processes."""
        return max(self.peak, self.together)


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of a table: what to run, or why it can't be run."""

    name: str
    run: Callable[[], Sample] | str


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must be. `figure` is None where it could not be measured."""

    text: str
    figure: float | None
    limit: float
    at_least: bool
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure keeps to the limit."""
        if self.figure is None:
            return False
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a section's table: the median over the rounds, and the span where there are several."""

    title: str
    value: Callable[[Sample], float | None]
    form: str = "{:,.2f}"


@dataclass(frozen=True, slots=True)
class Results:
    """The samples of a section's contenders, by their names; none for a contender that could not be run."""

    samples: Mapping[str, Sequence[Sample]]

    def median(self, name: str, value: Callable[[Sample], float]) -> float | None:
        """The median of a value over a contender's rounds."""
        samples = self.samples.get(name)
        return statistics.median(map(value, samples)) if samples else None

    def ratio(self, over: str, under: str, value: Callable[[Sample], float] = lambda s: s.seconds) -> float | None:
        """How many times `under`'s median goes into `over`'s."""
        upper, lower = self.median(over, value), self.median(under, value)
        return None if upper is None or lower is None else upper / lower

    def difference(self, more: str, less: str, value: Callable[[Sample], float]) -> float | None:
        """By how much the one median is above the other."""
        upper, lower = self.median(more, value), self.median(less, value)
        return None if upper is None or lower is None else upper - lower


@dataclass(frozen=True, slots=True)
class Section:
    """A table of contenders and the goals that are judged by it.

    Args:
        name: for `--only`.
        title: of the table.
        notes: what a reader must know to read the table.
        contenders: in the order of the rows.
        columns: of the table.
        goals: judges the results.
        rounds: how often each contender runs.
    """

    name: str
    title: str
    notes: str
    contenders: Sequence[Contender]
    columns: Sequence[Column]
    goals: Callable[[Results], Sequence[Goal]]
    rounds: int

    def measure(self, say: Callable[[str], None]) -> Results:
        """Run all contenders in turn, round by round; every other round backwards."""
        samples: dict[str, list[Sample]] = {}
        runs = [(each.name, each.run) for each in self.contenders if not isinstance(each.run, str)]
        for number in range(self.rounds):
            for name, run in runs if number % 2 == 0 else runs[::-1]:
                samples.setdefault(name, []).append(run())
                say(f"{self.name} {number + 1}/{self.rounds}  {name}: {samples[name][-1].seconds:.2f} s")
        return Results(samples)


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    stdin: Path | None = None,
    stdout: Path | None = None,
    sampled: bool = False,
) -> Sample:
    """Run a command in `folder` until it ends.

    Args:
        command: the program and its arguments.
        folder: its working folder; what it says on standard error goes to a file there.
        env: its environment, in place of ours.
        stdin: its standard input; nothing by default.
        stdout: where its standard output goes; nowhere by default.
        sampled: whether to sample the memory of all its processes, which takes a little of its time.
    """
    said = folder / "stderr.txt"
    with (
        (stdin or Path(os.devnull)).open("rb") as source,
        (stdout or Path(os.devnull)).open("wb") as out,
        said.open("wb") as err,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=source, stdout=out, stderr=err)
        sampler = Sampler(process.pid) if sampled else None
        sample = ended(process, started)
    if process.returncode:
        text = said.read_bytes()[-SHOWN_BYTES:].decode(errors="replace")
        sys.exit(f"{' '.join(map(str, command))}\nfailed with status {process.returncode}:\n{text}")
    return replace(sample, together=sampler.finish()) if sampler else sample


def ended(process: subprocess.Popen[bytes], started: float) -> Sample:
    """Wait for the end of a process: what it took since `started`, with all of its children."""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


class Sampler:
    """Watches the memory of a process and its children, from another thread."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def finish(self) -> int:
        """Bytes at the highest point."""
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(SAMPLING_SECONDS):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self._most = max(self._most, sum(map(held, family)))


def held(process: psutil.Process) -> int:
    """Bytes of a process, its part of what it shares with others; none if it has ended."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return 0


def own_peak() -> int:
    """Bytes that this process held at most: the kernel shows no smaller peak for what we start."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
