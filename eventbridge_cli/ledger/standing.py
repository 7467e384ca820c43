"""Where things stand, from the files of earlier runs. Reads only, and makes no file."""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from msgspec import Struct, field

from eventbridge_cli.errors import ConfigurationError, UsageError
from eventbridge_cli.ledger.delivered import COUNT_DELIVERED
from eventbridge_cli.ledger.history import RunStory, place_of, runs_of
from eventbridge_cli.ledger.outbox import COUNT_WAITING


class Scope(Struct, frozen=True):
    """What is delivered to one endpoint by one client. `held_by` is the process of a run that is under way.

    `waiting` are the receipts that each target of the data lake is still to get.
    """

    name: str
    delivered: int
    runs: int
    newest: str
    held_by: int | None = None
    problem: str = ""
    waiting: dict[str, int] = field(default_factory=dict)


class Standing(Struct, frozen=True):
    """All of it. `dead` are the letters, by reason, whose records no replay has brought to their end since.

    Without a `last_run` there is no audit file, or no run in it.
    """

    scopes: list[Scope] = field(default_factory=list)
    last_run: RunStory | None = None
    dead: dict[str, int] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether a run is."""
        return any(scope.held_by is not None for scope in self.scopes)

    @property
    def pending(self) -> int | None:
        """Events that the last run left pending, as far as it could still say so; None without an audit file."""
        return (self.last_run.counts or {}).get("pending", 0) if self.last_run else None


def standing(state: Path, audit: Path, dead_letters: Path) -> Standing:
    """Look at a state folder, an audit file and a dead-letter file; each may be missing.

    Raises:
        UsageError: one of the files can't be read.
        ConfigurationError: a folder can't be.
    """
    stories = runs_of(audit) if is_there(audit) else []
    scopes = [_scope(path) for path in _databases(state)]
    return Standing(scopes, stories[-1] if stories else None, _dead(dead_letters, stories))


def is_there(path: Path) -> bool:
    """Whether there is a file or folder.

    Raises:
        ConfigurationError: that can't be told, since a folder above it may not be entered.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def _databases(state: Path) -> list[Path]:
    try:
        return sorted(path for path in state.iterdir() if path.suffix == ".sqlite3") if is_there(state) else []
    except OSError as error:
        raise _unreadable(state, error) from error


def _unreadable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} can't be read: {error.strerror}.",
        "Mend its rights or those of the folders above it, or name another.",
    )


def _scope(path: Path) -> Scope:
    held_by = holder(path.with_suffix(".lock"))
    # Even to read, SQLite makes files beside a database in WAL mode, unless it is told that nobody writes to it.
    at_rest = held_by is None and not os.path.exists(f"{path}-wal")  # noqa: PTH110 - as in `holder`
    mode = "immutable=1" if at_rest else "mode=ro"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)) as connection:
            row = connection.execute(COUNT_DELIVERED).fetchone()
            waiting = dict(connection.execute(COUNT_WAITING).fetchall())
    except sqlite3.Error as error:
        return Scope(path.stem, 0, 0, "", held_by, str(error))
    newest = datetime.fromtimestamp(row[2], UTC).isoformat() if row[2] else ""
    return Scope(path.stem, row[0], row[1], newest, held_by, waiting=waiting)


def holder(lock: Path) -> int | None:
    """The process that holds a lock: the pid file says which, the lock itself says whether."""
    if not os.path.exists(lock):  # noqa: PTH110 - pathlib's question raises where a folder may not be entered
        return None
    probe = FileLock(lock)
    try:
        with probe.acquire(blocking=False):
            return None
    except Timeout:
        try:
            return int(lock.with_suffix(".pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0
    except OSError:
        return None


def _dead(path: Path, stories: Sequence[RunStory]) -> dict[str, int]:
    """Dead letters by reason, without those whose record has arrived by a replay after its run."""
    began = {story.run: number for number, story in enumerate(stories)}
    replays = [story for story in stories if story.arrived]
    reasons: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            for line in filter(bytes.strip, file):
                try:
                    letter = json.loads(line)
                    number = began.get(letter.get("run"), -1)
                    later = [story for story in replays if began[story.run] > number]
                    has_arrived = later and any(place_of(letter) in story.arrived for story in later)
                    reasons[str(letter["reason"])] += not has_arrived
                except (ValueError, KeyError, TypeError, RecursionError):
                    reasons["unreadable letter"] += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(
            f"The dead letters {path} can't be read: {error.strerror}.",
            "Mend its rights, or name the file that `ingest` wrote with --dead-letters.",
        ) from error
    return dict(+reasons)
