"""What is written to a file or a pipe, without rich, is what rich shows on a terminal, without its colours."""

import re
from pathlib import Path

import pytest
from support import SAMPLES, ebingest

STYLES = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", SAMPLES / "interactions.ndjson", SAMPLES / "invalid"),
        ("validate", "no such file"),
        ("dedupe", SAMPLES / "interactions.ndjson", SAMPLES / "interactions.ndjson", "-o", "out", "--explain"),
        ("ingest", SAMPLES / "interactions.ndjson", "--dry-run"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_colours_alone_tell_a_terminal_apart(tmp_path: Path, arguments: tuple[str | Path, ...]) -> None:
    """The same lines, character for character."""
    plain = ebingest(*arguments, "--progress", "never", cwd=tmp_path).stderr.decode()
    colours = {"FORCE_COLOR": "1", "NO_COLOR": ""}
    shown = ebingest(*arguments, "--progress", "never", cwd=tmp_path, env=colours).stderr.decode()
    assert STYLES.search(shown)
    assert STYLES.sub("", shown) == plain
