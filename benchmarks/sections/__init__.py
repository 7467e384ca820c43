"""What is measured: a module for each table, with the goals that the table decides."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inputs import Inputs
from measure import Column, Sample, run
from tool import Tool, environment

PEERS = Path(__file__).parent.parent / "peers"
MB = 1_000_000

SECONDS = Column("seconds", lambda sample: sample.seconds)
CPU = Column("CPU seconds", lambda sample: sample.cpu)
MEMORY = Column("memory, MB", lambda sample: sample.memory / MB, "{:,.1f}")


@dataclass(frozen=True, slots=True)
class Bench:
    """What all sections share.

    Args:
        tool: what is measured.
        inputs: gives the files.
        folder: where runs get their own folders.
        events: in a file, where speed is measured.
        memory_events: in a file, where memory is measured.
        rounds: how often each contender runs.
        quick: whether to make do with less, where the size of a file is not what takes the time.
    """

    tool: Tool
    inputs: Inputs
    folder: Path
    events: int
    memory_events: int
    rounds: int
    quick: bool

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """A folder for one run."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)

    def timed(self, command: Sequence[str | Path], *, sampled: bool = False) -> Callable[[], Sample]:
        """What runs a command in a folder of its own."""

        def measured() -> Sample:
            with self.fresh() as folder:
                return run(command, folder=folder, env=environment(folder), sampled=sampled)

        return measured


def per_second(events: int) -> Column:
    """Events each second of the run, start-up included."""
    return Column("events/s", lambda sample: events / sample.seconds, "{:,.0f}")


def figure(title: str, name: str, form: str = "{:,.2f}") -> Column:
    """A column of a figure that the section's runs have besides the usual ones."""
    return Column(title, lambda sample: sample.figures.get(name), form)
