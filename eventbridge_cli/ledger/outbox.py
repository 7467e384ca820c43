"""What was delivered and waits to be handed to the data lake: a table beside the delivered keys.

A row is written in the transaction of the keys that it tells of, and deleted once its target has it, so that no crash
between the two loses anything. Rows leave in batches, the oldest first. A batch is named, with the last row that is in
it, before it is handed over, and stays what it is until it has arrived: after a crash the same batch goes again, under
the same name.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock
from msgspec import Struct

from eventbridge_cli.ascii_json import ascii_json
from eventbridge_cli.chunks import Events
from eventbridge_cli.errors import StorageError
from eventbridge_cli.facts import RECEIPT_END, Batch, Destination, OutboxEntry, Receipt
from eventbridge_cli.ledger.lock import try_lock
from eventbridge_cli.packing import packed, unpacked_size

EVENTS = "events"
OUTBOX_SCHEMA = """
CREATE TABLE IF NOT EXISTS receipt (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL, content TEXT NOT NULL, form TEXT NOT NULL,
    run TEXT NOT NULL, request_id TEXT NOT NULL, delivered_at TEXT NOT NULL,
    size INTEGER NOT NULL, head BLOB NOT NULL, listed BLOB NOT NULL, bodies BLOB
);
CREATE TABLE IF NOT EXISTS batch (
    target TEXT NOT NULL, content TEXT NOT NULL, form TEXT NOT NULL,
    name TEXT NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (target, content, form)
) WITHOUT ROWID;
"""
_DELIVERY = f"""
CREATE TEMP TABLE destination (target TEXT, content TEXT, form TEXT);
CREATE TEMP VIEW delivery AS
    SELECT keys, run AS run_id, at, '' AS run, '' AS request_id, '' AS delivered_at, 0 AS receipt_size, x'' AS head,
        x'' AS listed, 0 AS bodies_size, x'' AS bodies FROM recent;
CREATE TEMP TRIGGER deliver INSTEAD OF INSERT ON delivery BEGIN
    INSERT INTO recent VALUES (NEW.keys, NEW.run_id, NEW.at);
    INSERT INTO receipt (target, content, form, run, request_id, delivered_at, size, head, listed, bodies)
        SELECT target, content, form, NEW.run, NEW.request_id, NEW.delivered_at,
            NEW.receipt_size + iif(content = '{EVENTS}', NEW.bodies_size, 0), NEW.head, NEW.listed,
            iif(content = '{EVENTS}', NEW.bodies, NULL)
        FROM destination;
END;
"""  # noqa: S608
INSERT_DELIVERY = "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OF_DESTINATION = "target = ? AND content = ? AND form = ?"
_NAMED = f"SELECT name, last FROM batch WHERE {_OF_DESTINATION}"  # noqa: S608
_OLDEST = f"SELECT id, size FROM receipt WHERE {_OF_DESTINATION} ORDER BY id LIMIT ?"  # noqa: S608
COUNT_WAITING = "SELECT target, count(*) FROM receipt GROUP BY target ORDER BY target"
_COLUMNS = "request_id, run, delivered_at, head, listed, bodies"
_BUSY_SECONDS = 10.0

_Row = tuple[str, str, str, bytes, bytes, bytes | None]

_kept_locks: list[FileLock] = []
"""Locks that only the end of the process may release; a lock that nobody holds on to would release itself."""


def is_damage(error: Exception) -> bool:
    """Whether a database is damaged, or is none; passing causes, and a disk that fails, are `OperationalError`s."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def connected(path: Path, prepare: Callable[[sqlite3.Connection], object]) -> sqlite3.Connection:
    """A connection, for any thread, to a database in WAL mode, after `prepare`; whatever that raises closes it.

    A commit outlives the process; the loss of power may undo the last ones.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def unusable(what: str, path: Path, error: Exception, remedy: str) -> StorageError:
    """What to say of a database that can't be used; `remedy` is for where it is not damaged."""
    if is_damage(error):
        remedy = (
            f"Move {path} away, and {path.name}-wal with it if it is there, then run the same command again. A new one "
            "is begun: events that earlier runs delivered are sent again, and what waits for the data lake is lost to "
            "it."
        )
    return StorageError(f"{what} {path} can't be used: {error}.", remedy)


class Outgoing(Struct, frozen=True):
    """What a run puts into the outbox: a receipt of each delivered chunk for each of `destinations`.

    `endpoint` is the ingest URL, `now` the time in UTC.
    """

    run: str
    endpoint: str
    destinations: tuple[Destination, ...]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def entry(self, receipt: Receipt) -> OutboxEntry:
        """What is handed over of a chunk: its delivered events, and how they were delivered."""
        delivered, last = Events.of(receipt.delivered), receipt.attempts[-1]
        delivered_at = self.now()
        about = {
            "run": self.run,
            "request_id": receipt.request_id,
            "endpoint": self.endpoint,
            "correlation_id": last.correlation_id,
            "status": last.status,
            "attempts": len(receipt.attempts),
            "seconds": round(last.seconds, 6),
            "bytes": len(receipt.chunk.body),
            "sha256": receipt.chunk.sha256,
            "delivered_at": delivered_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        head = ascii_json(about)[:-1] + b',"events":'
        # None of the bodies has a line break in it.
        bodies = packed(b"\n".join(delivered.bodies)) if any(map(_keeps_bodies, self.destinations)) else None
        return OutboxEntry(receipt.request_id, self.run, delivered_at, head, delivered.listed, bodies)


def prepare_delivery(connection: sqlite3.Connection, destinations: Sequence[Destination]) -> None:
    """Make `INSERT_DELIVERY` do for this connection: keys and rows for all `destinations` in one statement.

    One statement is one transaction, and asks for Python's lock once: several would each wait for other threads.
    """
    connection.executescript(_DELIVERY)
    connection.executemany("INSERT INTO destination VALUES (?, ?, ?)", map(_values, destinations))


def delivery_values(entry: OutboxEntry) -> tuple[object, ...]:
    """What `INSERT_DELIVERY` takes after the row of keys."""
    size = len(entry.head) + unpacked_size(entry.listed) + len(RECEIPT_END)
    bodies_size = 0 if entry.packed_bodies is None else unpacked_size(entry.packed_bodies)
    about = entry.run, entry.request_id, entry.delivered_at.isoformat(), size
    return (*about, entry.head, entry.listed, bodies_size, entry.packed_bodies)


def _keeps_bodies(destination: Destination) -> bool:
    return destination.content == EVENTS


class Outbox:
    """The outbox of one endpoint and client, for those who empty it: over a connection of its own, from any thread.

    Args:
        path: the database; `DeliveredStore` makes it.

    Raises:
        StorageError: the file can't be opened, read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()
        self._locks: dict[Destination, FileLock] = {}
        with self._storage():
            self._connection = connected(path, lambda connection: connection.executescript(OUTBOX_SCHEMA))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._one_at_a_time:
            self._connection.close()

    def destinations(self) -> list[Destination]:
        """Where entries wait to go."""
        with self._storage():
            return [
                Destination(*row)
                for row in self._connection.execute(
                    "SELECT DISTINCT target, content, form FROM receipt ORDER BY 1, 2, 3"
                )
            ]

    def waiting(self, destination: Destination) -> int:
        """How many entries are left for a destination."""
        with self._storage():
            row = self._connection.execute(
                f"SELECT count(*) FROM receipt WHERE {_OF_DESTINATION}",  # noqa: S608
                _values(destination),
            ).fetchone()
        return int(row[0])

    def hold(self, destination: Destination) -> bool:
        """Be the only one who empties it. False: another process is at it."""
        if destination in self._locks:
            return True
        digest = blake2b("\n".join(_values(destination)).encode(), digest_size=10).hexdigest()
        lock = try_lock(self._path.parent, f"{self._path.stem}-sync-{digest}")
        if lock is None:
            return False
        self._locks[destination] = lock
        return True

    def let_go(self, destination: Destination, *, at_the_end: bool) -> None:
        """Let others empty it: now, or only `at_the_end` of this process, if some of its work can't be called back."""
        lock = self._locks.pop(destination, None)
        if lock is not None and at_the_end:
            _kept_locks.append(lock)
        elif lock is not None:
            lock.release()

    def take(self, destination: Destination, *, entries: int, size: int) -> Batch | None:
        """The batch that was not finished, or else a new one of the oldest entries; None if there are none.

        Who takes holds the destination (`hold`).

        Args:
            destination: where it is to go.
            entries: how many a new batch has at most.
            size: how many bytes; a single entry may be larger.
        """
        of_destination = _values(destination)
        with self._storage():
            unfinished = self._connection.execute(_NAMED, of_destination).fetchone()
            if unfinished is not None:
                name, last = unfinished
                return Batch(name, tuple(map(_entry, self._rows(destination, last))))
            oldest = self._connection.execute(_OLDEST, (*of_destination, entries)).fetchall()
            if not oldest:
                return None
            last = _last(oldest, size)
            rows = self._rows(destination, last)
            name = _name(rows)
            self._connection.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?)", (*of_destination, name, last))
            return Batch(name, tuple(map(_entry, rows)))

    def _rows(self, destination: Destination, last: int) -> list[_Row]:
        return self._connection.execute(
            f"SELECT {_COLUMNS} FROM receipt WHERE {_OF_DESTINATION} AND id <= ? ORDER BY id",  # noqa: S608
            (*_values(destination), last),
        ).fetchall()

    def done(self, destination: Destination, batch: Batch) -> None:
        """A batch has arrived: forget its entries."""
        of_batch = *_values(destination), batch.name
        with self._storage(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                f"DELETE FROM receipt WHERE {_OF_DESTINATION} AND id <= "  # noqa: S608
                f"(SELECT last FROM batch WHERE {_OF_DESTINATION} AND name = ?)",
                (*_values(destination), *of_batch),
            )
            self._connection.execute(f"DELETE FROM batch WHERE {_OF_DESTINATION} AND name = ?", of_batch)  # noqa: S608

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            with self._one_at_a_time:
                yield
        except (sqlite3.Error, OSError) as error:
            raise unusable("The outbox in", self._path, error, "Free some space, then run: ebingest sync") from error


def _values(destination: Destination) -> tuple[str, str, str]:
    return destination.target, destination.content, destination.form


def _last(oldest: list[tuple[int, int]], size: int) -> int:
    """The id of the last row that still fits into a batch."""
    last, total = oldest[0]
    for id_, length in oldest[1:]:
        total += length
        if total > size:
            break
        last = id_
    return last


def _entry(row: _Row) -> OutboxEntry:
    request_id, run, delivered_at, head, listed, bodies = row
    return OutboxEntry(request_id, run, datetime.fromisoformat(delivered_at), head, listed, bodies)


def _name(rows: list[_Row]) -> str:
    """A digest of all that is handed over, as it is kept; lengths keep what stands side by side apart."""
    digest = sha256()
    for *_, head, listed, bodies in rows:
        for part in (head, listed, bodies or b""):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:32]
