"""What earlier runs delivered, for those who only look: nothing on disk is made or changed."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from eventbridge_cli.errors import StorageError
from eventbridge_cli.ledger.delivered import DAY, EACH_RECENT, find
from eventbridge_cli.ledger.lock import holder

_GATHER = f"""
CREATE TEMP TABLE gathered (key BLOB PRIMARY KEY, run INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
{EACH_RECENT} INSERT OR REPLACE INTO gathered SELECT * FROM each ORDER BY key;
"""  # noqa: S608


@contextmanager
def opened_to_read(database: Path, held_by: int | None) -> Iterator[sqlite3.Connection]:
    """A connection that only reads; `held_by` is the process of the run that is under way, if one is.

    Raises:
        sqlite3.Error: it can't.
    """
    # Even to read, SQLite makes files beside a database in WAL mode, unless it is told that nobody writes to it.
    at_rest = held_by is None and not os.path.exists(f"{database}-wal")  # noqa: PTH110 - as in `holder`
    mode = "immutable=1" if at_rest else "mode=ro"
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?{mode}", uri=True)) as connection:
        yield connection


class Remembered:
    """Looks up keys in a database as a run would that opens it now; `remember_days` old ones are forgotten."""

    def __init__(self, connection: sqlite3.Connection, *, remember_days: float, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._oldest = int(clock()) - remember_days * DAY
        connection.executescript(_GATHER)

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The keys among `keys` that earlier runs delivered, each with the name of the run that did."""
        return find(self._connection, keys, tables=("delivered", "gathered"), oldest=self._oldest)


@contextmanager
def remembered(database: Path, *, remember_days: float, clock: Callable[[], float] = time.time) -> Iterator[Remembered]:
    """The keys that are remembered in a database, which has to be there.

    Raises:
        StorageError: it can't be read.
    """
    try:
        with opened_to_read(database, holder(database.with_suffix(".lock"))) as connection:
            yield Remembered(connection, remember_days=remember_days, clock=clock)
    except sqlite3.Error as error:
        raise StorageError(
            f"The record of what is delivered in {database} can't be read: {error}.",
            "A run sets a damaged one aside. To plan without it, give another folder with --state.",
        ) from error
