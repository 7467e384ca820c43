"""What several tests need: events, and the tool run as a user runs it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_events"


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid event; `number` makes its interaction id, `changes` replace top-level fields."""
    return {
        "eventType": "conversation.answered",
        "eventTime": "2026-03-02T09:15:03.123Z",
        "interactionId": f"interaction-{number}",
        "routingMetadata": {"queueId": "queue-1", "skill": "billing", "actionType": "ANSWER"},
        "attributes": {"mediaType": "voice", "number": number},
        "schemaVersion": 2,
        **changes,
    }


def line(number: int = 0, **changes: Any) -> bytes:
    """A valid event as compact JSON."""
    return json.dumps(event(number, **changes), separators=(",", ":"), ensure_ascii=False).encode()


def lines(count: int) -> bytes:
    """So many distinct events as NDJSON."""
    return b"".join(line(number) + b"\n" for number in range(count))


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """An environment without any setting of the tool; its state goes to `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GENESYS", "EBINGEST", "XDG_"))}
    return {**kept, "HOME": str(home), "COLUMNS": "80", "NO_COLOR": "1", **variables}


def ebingest(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = b"",
    check: Sequence[int] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run the tool in a process of its own, in `cwd`, which is its home too; `check` lists the exit codes to take."""
    result = subprocess.run(
        [sys.executable, "-m", "eventbridge_cli", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(cwd, **(env or {})),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if check is not None:
        assert result.returncode in check, result.stderr.decode()
    return result


def audit_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of an audit file."""
    return [json.loads(text) for text in path.read_bytes().splitlines()]


def damage(database: Path, table: str) -> None:
    """Overwrite the first page of a table, as a disk that fails might; `free` is the list of unused pages."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(database.read_bytes())
    page = found[0] if found else int.from_bytes(data[32:36], "big")
    assert page > 1
    data[(page - 1) * size : page * size] = b"\xff" * size
    database.write_bytes(data)


def without(module: str, folder: Path) -> dict[str, str]:
    """Variables under which the tool runs as if a module were not installed; `folder` is for what that takes."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n", encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


@contextmanager
def scripted(script: dict[str, Any]) -> Iterator[str]:
    """A platform that does what `script` says, in a process of its own; see `scripted_server.py`. Gives its URL."""
    path = Path(__file__).parent / "scripted_server.py"
    command = [sys.executable, str(path), json.dumps(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate(timeout=10)
