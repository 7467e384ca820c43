"""What typer need not convert comes out as if it had; whatever else is given, typer converts and judges."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from support import clean_environment, ebingest, lines

from eventbridge_cli.cli import parameters
from eventbridge_cli.cli.app import app


def each() -> Iterator[tuple[Any, Any]]:
    """Every parameter of every command, --help too, with a context."""
    group: Any = typer.main.get_command(app)
    root = typer.Context(group)
    waiting = [group.get_command(root, name) for name in group.list_commands(root)]
    for command in waiting:
        waiting += getattr(command, "commands", {}).values()
        context = typer.Context(command, parent=root, info_name=command.name)
        yield from ((parameter, context) for parameter in command.get_params(context))


def outcome(convert: Any, context: Any, value: Any) -> Any:
    """What it is converted to, or what is wrong with it."""
    try:
        return convert(context, value)
    except Exception as error:  # noqa: BLE001 - compared, whatever it is
        return type(error), str(error)


@pytest.mark.parametrize("value", ["default", (), ("a", "b"), ["a"], ("a\udce9",), ("é",), "a", "7", 7, "0", "json"])
def test_the_same_as_typer(value: Any) -> None:
    """Defaults, names of files and whatever is given come out as typer converts them, and are refused as it does."""
    seen = 0
    for parameter, context in each():
        given = parameter.default if value == "default" else value
        if parameter.callback is None:
            seen += 1
            ours, theirs = parameter.process_value, type(parameter).process_value.__get__(parameter)
            assert outcome(ours, context, given) == outcome(theirs, context, given), parameter.name
    assert seen > 80


def test_typer_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where typer has not the names that this rests on, it converts all, and the commands do the same."""
    monkeypatch.setattr(parameters, "_NAMES", ("no_such_name",))
    (tmp_path / "events.ndjson").write_bytes(lines(2))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        app(["validate", str(tmp_path / "events.ndjson"), "--quiet"])
    assert not end.value.code


def test_what_is_given_is_typers_affair(tmp_path: Path) -> None:
    """A wrong value is refused in typer's words."""
    wrong = ebingest("validate", "--jobs", "0", cwd=tmp_path, check=[2]).stderr.decode()
    assert "Invalid value for '--jobs'" in wrong
    missing = ebingest("replay", cwd=tmp_path, check=[2]).stderr.decode()
    assert "Missing argument" in missing


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ingest a --nope -o json", "No such option: --nope"),
        ("validate -qo json --jobs 0", "Invalid value for '--jobs'"),
        ("audit verify --output=json a b", "unexpected extra argument"),
        ("replay -ojson", "Missing argument 'DEAD_LETTERS'."),
        ("status --output json --audit", "'--audit' requires an argument"),
    ],
)
def test_what_can_not_be_parsed_is_told_as_json(tmp_path: Path, command: str, said: str) -> None:
    """Whoever asks for JSON gets a document however early a command ends."""
    done = ebingest(*command.split(), cwd=tmp_path, check=[2])
    document = json.loads(done.stdout)
    assert document["exit_code"] == 2
    assert document["stopped"]["code"] == "usage"
    assert said in document["stopped"]["message"]
    assert b"Error" in done.stderr


@pytest.mark.parametrize("command", ["ingest --nope", "dedupe -o json --nope", "report -o json --nope", "nope -o json"])
def test_what_can_not_be_parsed_is_told_in_words(tmp_path: Path, command: str) -> None:
    """A file may be called json."""
    done = ebingest(*command.split(), cwd=tmp_path, check=[2])
    assert (done.stdout, b"No such" in done.stderr) == (b"", True)


@pytest.mark.parametrize("command", ["validate", "ingest", "replay"])
def test_a_folder_that_is_gone(tmp_path: Path, command: str) -> None:
    """Where the current folder was removed, as by a job that cleans up, that is said: it is no bug."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    run = subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "eventbridge_cli", command, "-"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 3, run.stderr
    assert b"is not there any more" in run.stderr
