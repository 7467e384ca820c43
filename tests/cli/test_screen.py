"""What is written to a file or a pipe, without rich, is what rich shows on a terminal, without its colours."""

import re
from pathlib import Path

import pytest
from support import SAMPLES, ebingest, line, lines, scripted

from eventbridge_cli.wording import counted

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


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
@pytest.mark.parametrize("colour", [{}, {"FORCE_COLOR": "1"}])
def test_bars_are_drawn_with_what_the_terminal_has(tmp_path: Path, encoding: str, colour: dict[str, str]) -> None:
    """No escapes stand in for what we draw with, and no long text ends in one."""
    (tmp_path / "a.ndjson").write_bytes(b'{"eventType": ' + b"7" * 500 + b"}\n" + lines(2))
    shown = ebingest("validate", "a.ndjson", cwd=tmp_path, env={"PYTHONIOENCODING": encoding, **colour}, check=[1])
    said = STYLES.sub("", shown.stderr.decode(encoding))
    assert "\\" not in said
    assert "=" * 20 in said
    assert "777..." in said


@pytest.mark.parametrize("command", ["validate -o github", "status", "doctor"])
def test_what_an_encoding_lacks_is_escaped_on_both_streams(tmp_path: Path, command: str) -> None:
    """A name of a file that standard output can't show ends nothing."""
    (tmp_path / "日本.ndjson").write_bytes(b'{"record": 1}\n')
    env = {"PYTHONIOENCODING": "latin-1", "EBINGEST_DEAD_LETTERS": "日本.ndjson"}
    inputs = ["日本.ndjson"] if "validate" in command else []
    shown = ebingest(*command.split(), *inputs, cwd=tmp_path, env=env, check=[0, 1, 3]).stdout.decode("latin-1")
    assert "\\u65e5\\u672c.ndjson" in shown


def test_one_of_a_kind_is_told_in_the_singular(tmp_path: Path) -> None:
    """One request, one retry, one copy that differs: no word of the summary or the plan has an s too many."""
    data = lines(1) + line(0, schemaVersion=3) + b"\n"
    with scripted({"answers": [{"status": 503}]}) as url:
        env = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "secret"}
        plan = ebingest("ingest", "--dry-run", cwd=tmp_path, stdin=data, env=env, check=[0]).stderr.decode()
        assert "bytes in 1 chunk, so at least 1 request\n" in plan
        told = ebingest("ingest", "--max-attempts", "1", cwd=tmp_path, stdin=data, env=env, check=[5]).stderr.decode()
        assert "  1 request, " in told
        assert "1 attempt failed" in told
        assert "Note: 1 conflict among the duplicates, where the content differs" in told
    with scripted({"answers": [{"status": 503}]}) as url:
        told = ebingest("ingest", cwd=tmp_path, stdin=data, env=env | {"GENESYS_ENV": url}, check=[0]).stderr.decode()
    assert "  2 requests, 1 retry, " in told


@pytest.mark.parametrize(
    ("number", "noun", "told"),
    [(0, "part", "0 parts"), (1, "retry", "1 retry"), (2, "retry", "2 retries"), (2_000, "day", "2,000 days")],
)
def test_a_number_of_things(number: int, noun: str, told: str) -> None:
    """One is one; all else is several."""
    assert counted(number, noun) == told
