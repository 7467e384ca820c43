"""--help, as it reads on a terminal of the usual width."""

import re
from pathlib import Path

import pytest
from support import ebingest

COMMANDS = (
    *((), ("validate",), ("dedupe",), ("ingest",), ("replay",), ("sync",), ("status",), ("report",), ("token",)),
    *(("doctor",), ("sandbox",), ("audit",), ("audit", "verify"), ("audit", "show")),
)


def told(folder: Path, command: tuple[str, ...], columns: int) -> str:
    return ebingest(*command, "--help", cwd=folder, env={"COLUMNS": str(columns)}, check=[0]).stdout.decode()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_fills_the_width(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A line of a paragraph ends where the next word does not fit, and no name or default is cut short."""
    for columns in (80, 120):
        shown = told(tmp_path, command, columns)
        assert "…" not in shown
        prose = shown.partition("╭")[0].partition("Exit codes")[0]
        for line, following in re.findall(r"(?m)^ (\S.*\S) *\n(?= (\S+))", prose):
            assert len(f" {line} {following} ") > columns, line


def test_the_exit_codes_have_a_line_each(tmp_path: Path) -> None:
    """What is laid out as a table stays one."""
    table = told(tmp_path, (), 80).partition("Exit codes")[2].partition("╭")[0]
    rows = [line for line in table.splitlines() if line.strip()]
    assert [int(row.split()[0]) for row in rows] == [0, 1, 2, 3, 4, 5, 6, 70]


def test_completion_is_for_the_command_however_it_is_called(tmp_path: Path) -> None:
    """A shell can complete `ebingest`, but not `python -m eventbridge_cli`."""
    shown = ebingest("--show-completion", "bash", cwd=tmp_path, check=[0]).stdout.decode()
    assert "_EBINGEST_COMPLETE=complete_bash" in shown
    assert shown.splitlines()[-1].endswith(" ebingest")


def test_the_opposite_of_a_flag_is_told(tmp_path: Path) -> None:
    """It has no column of its own."""
    shown = told(tmp_path, ("ingest",), 80)
    assert "--no-sync-required: don't" in shown
    assert "--no-otlp: don't" in shown
