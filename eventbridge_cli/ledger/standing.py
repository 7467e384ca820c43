"""Where things stand, from the files of earlier runs. Reads only, and makes no file."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field

from eventbridge_cli.errors import ConfigurationError, UsageError
from eventbridge_cli.flow import Origin
from eventbridge_cli.ledger.delivered import COUNT_DELIVERED
from eventbridge_cli.ledger.history import RunStory, runs_of
from eventbridge_cli.ledger.lock import holder
from eventbridge_cli.ledger.outbox import COUNT_WAITING
from eventbridge_cli.ledger.remembered import opened_to_read


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

    Without a `last_run` there is no audit file, or no run in it. `unsettled` are the runs, the oldest first, that were
    not complete, and whose inputs no later run has brought to their end; what a sandbox was sent has gone with it.
    """

    scopes: list[Scope] = field(default_factory=list)
    last_run: RunStory | None = None
    unsettled: list[RunStory] = field(default_factory=list)
    dead: dict[str, int] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether a run is."""
        return any(scope.held_by is not None for scope in self.scopes)

    @property
    def pending(self) -> int | None:
        """Events that runs left pending, as far as they could still say so; None without an audit file.

        Where runs went over the same inputs, the last of them has counted what the others left.
        """
        if self.last_run is None:
            return None
        last_words = _not_gone_over_again(self.unsettled, lambda later: later.counts is not None)
        return sum((story.counts or {}).get("pending", 0) for story in last_words)

    @property
    def to_run_again(self) -> list[RunStory]:
        """Of the runs that are not settled, the last one over the same inputs: it goes on for all. The newest first."""
        return list(_not_gone_over_again(self.unsettled, lambda _: True))


def standing(state: Path, audit: Path, dead_letters: Path) -> Standing:
    """Look at a state folder, an audit file and a dead-letter file; each may be missing.

    Raises:
        UsageError: one of the files can't be read.
        ConfigurationError: a folder can't be.
    """
    stories = runs_of(audit) if is_there(audit) else []
    scopes = [_scope(path) for path in _databases(state)]
    return Standing(scopes, stories[-1] if stories else None, _unsettled(stories), _dead(dead_letters, stories))


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


def _unsettled(stories: Sequence[RunStory]) -> list[RunStory]:
    found = _not_gone_over_again(stories, lambda later: later.is_complete)
    return [story for story in found if not (story.is_complete or story.sandbox)][::-1]


def _not_gone_over_again(stories: Sequence[RunStory], counts: Callable[[RunStory], bool]) -> Iterator[RunStory]:
    """The stories, from the newest, without those whose inputs went to the same place in later ones that count."""
    gone_over: set[tuple[str, str]] = set()
    for story in reversed(stories):
        over = {(story.ingest_url, name) for name in story.inputs}
        if not over or not over <= gone_over:
            yield story
        if counts(story):
            gone_over |= over


def _scope(path: Path) -> Scope:
    held_by = holder(path.with_suffix(".lock"))
    try:
        with opened_to_read(path, held_by) as connection:
            row = connection.execute(COUNT_DELIVERED).fetchone()
            waiting = dict(connection.execute(COUNT_WAITING).fetchall())
    except sqlite3.Error as error:
        return Scope(path.stem, 0, 0, "", held_by, str(error))
    newest = datetime.fromtimestamp(row[2], UTC).isoformat() if row[2] else ""
    return Scope(path.stem, row[0], row[1], newest, held_by, waiting=waiting)


def _dead(path: Path, stories: Sequence[RunStory]) -> dict[str, int]:
    """Dead letters by reason, without those whose record has arrived by a replay after its run.

    A place at which the same replay also failed with a record does not tell which one has arrived: none counts as that.
    """
    began = {story.run: number for number, story in enumerate(stories)}
    replays = [(began[story.run], story.arrived - story.failed) for story in stories if story.arrived]
    reasons: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            for line in filter(bytes.strip, file):
                try:
                    letter = json.loads(line)
                    number = began.get(letter.get("run"), -1)
                    later = [arrived for begin, arrived in replays if begin > number]
                    has_arrived = any(
                        str(Origin(letter["source"], letter["line"], index=letter["index"])) in arrived
                        for arrived in later
                    )
                    reasons[str(letter["reason"])] += not has_arrived
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    reasons["unreadable letter"] += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(
            f"The dead letters {path} can't be read: {error.strerror}.",
            "Mend its rights, or name the file that `ingest` wrote with --dead-letters.",
        ) from error
    return dict(+reasons)
