"""Measures the tool against its goals and its peers, side by side.

    python benchmarks/run.py [--quick] [--events N] [--rounds R] [--only NAME...] [--write]

Install what it needs with `pip install -e '.[bench]'`. Peers that are not installed are left out, and said so.
Seconds depend on the machine and on what else it does; ratios of contenders of one run are what carries over.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import report
from inputs import Inputs
from measure import Goal, own_peak
from sections import MB, Bench, dedupe, ingest, keys, lake, latency, memory, startup, validate
from tool import Tool

SECTIONS: dict[str, ModuleType] = {
    "startup": startup,
    "validate": validate,
    "dedupe": dedupe,
    "keys": keys,
    "ingest": ingest,
    "lake": lake,
    "latency": latency,
    "memory": memory,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure ebingest against its goals and its peers.")
    parser.add_argument("--quick", action="store_true", help="small files and one round: every row in a few minutes")
    parser.add_argument(
        "--events", metavar="N", type=int, help="events in a file (default: 1000000; with --quick 100000)"
    )
    parser.add_argument("--rounds", metavar="R", type=int, help="runs of each contender (default: 3; with --quick 1)")
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=SECTIONS, help=f"of {', '.join(SECTIONS)}")
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that has the tool (default: this one)"
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} beside this file")
    found = parser.parse_args()
    found.events = found.events or (100_000 if found.quick else 1_000_000)
    found.rounds = found.rounds or (1 if found.quick else 3)
    return found


def command(asked: argparse.Namespace) -> str:
    """What to type for the same again."""
    words = ["python benchmarks/run.py", *(["--quick"] if asked.quick else [])]
    words += [f"--events {asked.events} --rounds {asked.rounds}"]
    return " ".join([*words, *(["--only", *asked.only] if asked.only else [])])


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, and write if asked to."""
    asked = options()
    with tempfile.TemporaryDirectory(prefix="ebingest-benchmarks-") as name:
        folder = Path(name)
        bench = Bench(
            tool=Tool.probe(asked.python, folder),
            inputs=Inputs(folder),
            folder=folder,
            events=asked.events,
            memory_events=asked.events * 3 if asked.quick else asked.events,
            rounds=asked.rounds,
            quick=asked.quick,
        )
        head = report.head_text(bench.tool, command(asked))
        parts: list[str] = []
        goals: list[Goal] = []
        for each in asked.only or SECTIONS:
            section = SECTIONS[each].section(bench)
            results = section.measure(say)
            goals += section.goals(results)
            parts.append(report.section_text(section, results))
            print(f"\n{parts[-1]}\n", flush=True)
    print(report.goals_text(goals))
    head += f"\n- Memory below {own_peak() / MB:.1f} MB can't be told: a process starts with the peak of who starts it."
    print(f"\n{head}")
    if asked.write:
        RESULTS.write_text("\n\n".join([head, report.goals_text(goals), *parts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
