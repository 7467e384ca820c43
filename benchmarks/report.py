"""What was measured, as Markdown: the same on the terminal and in RESULTS.md."""

import os
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from measure import Column, Goal, Results, Sample, Section
from peers import syslog_ng
from tool import Tool, cores

THREE_DIGITS = 100

VERSIONS = """
import platform, re
from importlib.metadata import PackageNotFoundError, requires, version
names = [re.match(r"[\\w.-]+", text)[0] for text in requires("ebingest") or () if "extra ==" not in text]
print("Python", platform.python_version())
for name in ("ebingest", *names):
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns stand in line."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    text = []
    for line in (lines[0], rule, *lines[1:]):
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        text.append(f"| {' | '.join([first, *others])} |")
    return "\n".join(text)


def section_text(section: Section, results: Results) -> str:
    """A section's title, notes, table, and what could not be measured."""
    rows = [
        [each.name, *(cell(column, results.samples[each.name]) for column in section.columns)]
        for each in section.contenders
        if each.name in results.samples
    ]
    missing = [f"- **{each.name}: {each.run}.**" for each in section.contenders if isinstance(each.run, str)]
    rounds = f"Medians of {section.rounds} rounds (least..most)." if section.rounds > 1 else "One round."
    parts = [f"## {section.title}", f"{section.notes} {rounds}"]
    parts.append(table(["", *(column.title for column in section.columns)], rows))
    return "\n\n".join([*parts, "\n".join(missing)] if missing else parts)


def cell(column: Column, samples: Sequence[Sample]) -> str:
    """The median, with the span where there is one."""
    values = [value for value in map(column.value, samples) if value is not None]
    if not values:
        return ""
    middle = column.form.format(statistics.median(values))
    least, most = column.form.format(min(values)), column.form.format(max(values))
    return middle if least == most else f"{middle} ({least}..{most})"


def goals_text(goals: Sequence[Goal]) -> str:
    """Each goal with its figure and whether it is reached."""
    rows = []
    for goal in goals:
        limit = f"{'>=' if goal.at_least else '<='} {goal.limit:g} {goal.unit}".rstrip()
        figure = "" if goal.figure is None else f"{number_text(goal.figure)} {goal.unit}".rstrip()
        verdict = "not measured" if goal.figure is None else "reached" if goal.reached else "missed"
        rows.append([goal.text, limit, figure, verdict])
    return "\n\n".join(["## Goals", table(["", "goal", "measured", ""], rows)])


def number_text(value: float) -> str:
    """A number with what digits matter."""
    return f"{value:,.0f}" if abs(value) >= THREE_DIGITS else f"{value:.3g}"


def head_text(tool: Tool, command: str) -> str:
    """When, where and with what it was measured."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    machine = f"{processor()}, {cores()} cores, {memory():.0f} GB, {platform.system()} {platform.release()}"
    lines = [
        "# Results",
        f"`{command}`, {when} UTC.",
        f"- Machine: {machine}; {os.getloadavg()[0]:.1f} processes at work in the minute before.",
        f"- Tool: {', '.join(libraries(tool))}.",
        f"- Peers: {', '.join(peers()) or 'none installed'}.",
    ]
    return "\n\n".join([*lines[:2], "\n".join(lines[2:])])


def processor() -> str:
    """The model of the processor."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory() -> float:
    """The machine's, in GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def libraries(tool: Tool) -> list[str]:
    """Python and what the tool builds on, with their versions."""
    done = subprocess.run([tool.python, "-c", VERSIONS], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def peers() -> list[str]:
    """The programs that the tool is measured against, with their versions."""
    found = []
    for name in ("curl", "split", "xargs"):
        path = shutil.which(name)
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            numbers = re.search(r"\d[\d.]*\d", said)
            found.append(f"{name} {numbers[0]}" if numbers else name)
    program = syslog_ng.program()
    return found if program is None else [*found, f"syslog-ng {syslog_ng.said(program)['Installer-Version']}"]
