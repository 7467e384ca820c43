"""The tool, known by its command line alone."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

COMMANDS = ("validate", "dedupe", "ingest")
NOT_THERE = "not there yet: {} has no --jobs"
ONE_CORE = "this machine lets us use one core only"


def cores() -> int:
    """How many cores this process, and so whatever it starts, may use."""
    return len(os.sched_getaffinity(0))


def environment(home: Path, **variables: str) -> dict[str, str]:
    """An environment without any setting of the tool, in which nothing is read from or left in the user's home.

    Compiled modules are kept, as they are where a tool is installed.
    """
    left_out = ("GENESYS", "EBINGEST", "XDG_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "HOME": str(home), "NO_COLOR": "1", **variables}


@dataclass(frozen=True, slots=True)
class Tool:
    """The tool as one interpreter has it.

    Args:
        python: the interpreter.
        with_jobs: the commands that know `--jobs`.
    """

    python: str
    with_jobs: frozenset[str]

    @classmethod
    def probe(cls, python: str, home: Path) -> Self:
        """Ask each command for its options, and let Python compile all that the benchmarks will load."""
        known = {name for name in COMMANDS if "--jobs" in cls._said(python, home, name, "--help")}
        cls._said(python, home, "validate", "-", "--max-errors", "1")
        return cls(python, frozenset(known))

    @staticmethod
    def _said(python: str, home: Path, *arguments: str) -> str:
        command = [python, "-m", "eventbridge_cli", *arguments]
        env = environment(home, COLUMNS="200")
        done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, input="", check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\nfailed with status {done.returncode}:\n{done.stderr}")
        return done.stdout

    def command(self, name: str, *arguments: str | Path, jobs: int | None = None) -> list[str]:
        """A command line; `jobs` processes, by default as many as the tool takes by itself."""
        counted = ["--jobs", str(jobs)] if jobs and name in self.with_jobs else []
        return [self.python, "-m", "eventbridge_cli", name, *map(str, arguments), *counted]

    def why_not_parallel(self, name: str) -> str | None:
        """Why a command can't be measured on all cores, if it can't."""
        if name not in self.with_jobs:
            return NOT_THERE.format(name)
        return ONE_CORE if cores() == 1 else None
