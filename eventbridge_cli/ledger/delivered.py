"""What was delivered, over all runs: 16 bytes for each event, in SQLite, one file for each endpoint and client.

A run writes a row for each chunk, which takes a thirtieth of the time of a row for each key: keys are random, and each
lands on another page. The next run, before anything else, sorts them into the table in which keys can be looked up.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from eventbridge_cli.facts import Destination, OutboxEntry
from eventbridge_cli.ledger.outbox import (
    INSERT_DELIVERY,
    OUTBOX_SCHEMA,
    connected,
    delivery_values,
    is_damage,
    prepare_delivery,
    unusable,
)
from eventbridge_cli.ledger.writable import check_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, started INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS recent (keys BLOB NOT NULL, run INTEGER NOT NULL REFERENCES run, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivered (
    key BLOB PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, at INTEGER NOT NULL
) WITHOUT ROWID;
"""
_INSERT_KEYS = "INSERT INTO recent VALUES (?, ?, ?)"
EACH_RECENT = """
WITH RECURSIVE position(i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM position WHERE i + 1 < (SELECT max(length(keys)) / 16 FROM recent)
), each(key, run, at) AS (
    SELECT substr(keys, i * 16 + 1, 16), run, at FROM recent JOIN position ON i * 16 < length(keys)
)
"""
_SORT_IN = EACH_RECENT + "INSERT OR REPLACE INTO delivered SELECT * FROM each ORDER BY key"  # noqa: S608
COUNT_DELIVERED = f"""
{EACH_RECENT}
SELECT
    (SELECT count(*) FROM delivered)
    + (SELECT count(*) FROM each WHERE NOT EXISTS (SELECT 1 FROM delivered WHERE delivered.key = each.key)),
    count(DISTINCT run),
    max(at)
FROM (SELECT run, at FROM delivered UNION ALL SELECT run, at FROM recent)
"""  # noqa: S608
"""How many events were delivered, by how many runs, and when the last one was."""
DAY = 86_400
_MOST_VARIABLES = 500
_MOST_WAL_PAGES = 10_000  # 40 MB


def scope_name(ingest_url: str, client_id: str) -> str:
    """The name of the state of one endpoint and client; neither can be read from it."""
    return blake2b(f"{ingest_url}\n{client_id}".encode(), digest_size=10).hexdigest()


def find(
    connection: sqlite3.Connection, keys: Sequence[bytes], *, tables: Sequence[str] = ("delivered",), oldest: float = 0
) -> dict[bytes, str]:
    """The keys among `keys` that stand in `tables`, not older than `oldest` (seconds since 1970), and their runs.

    Raises:
        sqlite3.Error: the database can't be read.
    """
    found: dict[bytes, str] = {}
    for start in range(0, len(keys), _MOST_VARIABLES):
        some = keys[start : start + _MOST_VARIABLES]
        marks = ",".join("?" * len(some))
        for table in tables:
            found.update(
                connection.execute(
                    f"SELECT key, name FROM {table} JOIN run ON run.id = {table}.run "  # noqa: S608
                    f"WHERE key IN ({marks}) AND at >= ?",
                    (*some, oldest),
                )
            )
    return found


def store_path(state: Path, scope: str) -> Path:
    """The database of a scope in a state folder: its delivered keys, and its outbox."""
    return state / f"{scope}.sqlite3"


def store_of(state: Path, ingest_url: str, client_id: str) -> Path:
    """The database of an endpoint and client in a state folder."""
    return store_path(state, scope_name(ingest_url, client_id))


class DeliveredStore:
    """Remembers which keys were delivered, and by which run.

    A key is committed before anything claims that its event is delivered. The store is in WAL mode: a commit
    outlives the process being killed at any instant; the loss of power may undo the last ones, whose events are
    then sent again, under the same request ids.

    Args:
        path: the database; made if it is not there. A damaged one is set aside (`set_aside` says where to).
        run: the id of this run.
        remember_days: keys older than that are forgotten on opening.
        destinations: what is delivered goes into the outbox for each of them.
        clock: seconds since 1970.

    `is_empty` tells that no earlier run has delivered anything.

    Raises:
        ConfigurationError: this user may not write to it.
        StorageError: the file can't be opened, read or written.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        *,
        remember_days: float,
        destinations: Sequence[Destination] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        self.set_aside: Path | None = None
        self._looking = threading.Lock()
        with self._storage():
            if path.exists():
                check_file(path)  # SQLite says no more than that it can't
                if not path.stat().st_size:
                    self._set_aside()  # or it would be taken for a new one
            else:
                self._make()
            try:
                self._connection = self._open(lambda connection: self._prepare(connection, run, remember_days))
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside()
                self._connection = self._open(lambda connection: self._prepare(connection, run, remember_days))
            # Look-ups come from the reading thread; a connection of their own keeps them out of commits' way.
            self._look_up = self._open(lambda _: None)
            prepare_delivery(self._connection, destinations)

    def _make(self) -> None:
        """Make an empty database under another name first: half of one would be taken for damaged by the next run."""
        aside = self._path.with_name(f".{self._path.name}.part")
        aside.unlink(missing_ok=True)
        with closing(sqlite3.connect(aside)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(f"BEGIN; {_SCHEMA} {OUTBOX_SCHEMA} COMMIT;")  # one wait for the disk, not five
        for ending in ("-wal", "-shm"):  # of one that is gone: SQLite would write what they hold into this one
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        aside.rename(self._path)

    def _open(self, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        def begin(connection: sqlite3.Connection) -> None:
            os.chmod(self._path, 0o600)  # noqa: PTH101 - SQLite makes it with the umask's rights
            connection.execute("PRAGMA journal_mode = WAL")
            # Whoever empties the outbox moves what was written to its place, so that delivery need not wait for a disk.
            connection.execute(f"PRAGMA wal_autocheckpoint = {_MOST_WAL_PAGES}")
            prepare(connection)

        return connected(self._path, begin)

    def _prepare(self, connection: sqlite3.Connection, run: str, remember_days: float) -> None:
        now = int(self._clock())
        connection.executescript(_SCHEMA + OUTBOX_SCHEMA)
        _check(connection)
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM recent LIMIT 1").fetchone():
            connection.execute(_SORT_IN)
            connection.execute("DELETE FROM recent")
        connection.execute("DELETE FROM delivered WHERE at < ?", (now - remember_days * DAY,))
        connection.execute("DELETE FROM run WHERE id NOT IN (SELECT DISTINCT run FROM delivered)")
        connection.execute("COMMIT")
        self.is_empty = connection.execute("SELECT 1 FROM delivered LIMIT 1").fetchone() is None
        self._run = connection.execute("INSERT INTO run (name, started) VALUES (?, ?)", (run, now)).lastrowid

    def _set_aside(self) -> None:
        self.set_aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._clock())}")
        self._path.rename(self.set_aside)
        self._make()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The keys among `keys` that earlier runs delivered, each with the name of the run that did."""
        with self._looking, self._storage():
            return find(self._look_up, keys)

    def commit(self, keys: bytes, entry: OutboxEntry | None = None) -> None:
        """Remember that the events with these keys, one behind the other, were delivered by this run.

        It is durable when it returns. In the same transaction `entry` goes into the outbox, once for each destination.
        """
        row = (keys, self._run, int(self._clock()))
        with self._storage():
            if entry is None:
                self._connection.execute(_INSERT_KEYS, row)
            else:
                self._connection.execute(INSERT_DELIVERY, (*row, *delivery_values(entry)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._looking:  # a run that was stopped may still be reading; SQLite does not survive that
            self._look_up.close()
        self._connection.close()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise unusable(
                "The record of what is delivered in",
                self._path,
                error,
                "Free some space, or give another folder with --state, then run the same command again: it resumes.",
            ) from error


def _check(connection: sqlite3.Connection) -> None:
    """Find what is damaged before anything is sent, or every run would post, and fail to write down what it posted.

    All pages are read, since each is written to some day, those that are free too. That takes 0.06 s for each million
    keys, which is half of what opening takes anyhow, and 0.3 s for each GB that waits for the data lake, if the system
    still holds the file in memory; else as long as the disk takes to read it.

    Raises:
        sqlite3.DatabaseError: something is.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
