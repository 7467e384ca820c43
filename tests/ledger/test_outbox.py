"""The outbox, on a real SQLite file."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from lake_support import entry
from msgspec.structs import replace
from support import damage, event, line

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.errors import StorageError
from eventbridge_cli.facts import Attempt, Batch, Destination, Receipt
from eventbridge_cli.flow import Event, Origin
from eventbridge_cli.ledger.delivered import DeliveredStore
from eventbridge_cli.ledger.outbox import Outbox, Outgoing, delivery_values
from eventbridge_cli.packing import unpacked

RECEIPTS = Destination("file:///lake", "receipts", "ndjson")
EVENTS = Destination("s3://bucket", "events", "parquet")


def keys(*numbers: int) -> list[bytes]:
    return [number.to_bytes(16, "big") for number in numbers]


def fill(path: Path, count: int, *destinations: Destination, first: int = 0) -> None:
    with DeliveredStore(path, f"run-{first}", remember_days=7, destinations=destinations) as store:
        for number in range(first, first + count):
            store.commit(b"".join(keys(number)), entry(number))


def take(outbox: Outbox, destination: Destination = RECEIPTS, *, entries: int = 100, size: int = 8_000_000) -> Batch:
    batch = outbox.take(destination, entries=entries, size=size)
    assert batch is not None
    return batch


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    """Receipts, and for who wants them bodies, byte for byte, oldest first."""
    fill(tmp_path / "state", 3, RECEIPTS, EVENTS)
    with Outbox(tmp_path / "state") as outbox:
        assert outbox.destinations() == [RECEIPTS, EVENTS]
        assert take(outbox, EVENTS).entries == tuple(map(entry, range(3)))
        assert [each.receipt for each in take(outbox).entries] == [entry(number).receipt for number in range(3)]
        assert all(each.bodies == () for each in take(outbox).entries)


def test_what_is_damaged_does_not_come_out_as_something_else() -> None:
    """Whichever byte of what is packed has changed on the disk: it is found, and nothing else is handed over for it."""
    whole = entry(0)
    assert whole.packed_bodies is not None
    for index, byte in enumerate(whole.packed_bodies):
        changed = bytearray(whole.packed_bodies)
        changed[index] = byte ^ 0x20
        try:
            assert replace(whole, packed_bodies=bytes(changed)).bodies == whole.bodies
        except StorageError:
            continue


def test_a_batch_stays_what_it_is_until_it_is_done(tmp_path: Path) -> None:
    """Taken again, by this process or the next, it has the same name and members, whatever has come in since."""
    path = tmp_path / "state"
    fill(path, 5, RECEIPTS)
    with Outbox(path) as outbox:
        first = take(outbox, entries=3)
    fill(path, 5, RECEIPTS, first=5)
    with Outbox(path) as outbox:
        assert take(outbox, entries=100) == first
        outbox.done(RECEIPTS, first)
        rest = take(outbox)
        assert [each.request_id for each in rest.entries] == [entry(number).request_id for number in range(3, 10)]
        assert rest.name != first.name
        assert outbox.waiting(RECEIPTS) == 7
        outbox.done(RECEIPTS, rest)
        assert outbox.take(RECEIPTS, entries=100, size=1000) is None
        assert outbox.destinations() == []


def test_a_name_is_a_digest_of_the_content(tmp_path: Path) -> None:
    """Other members have another name; the same ones have the same name anywhere."""
    names = []
    for place, count in (("a", 2), ("b", 2), ("c", 3)):
        fill(tmp_path / place, count, RECEIPTS)
        with Outbox(tmp_path / place) as outbox:
            names.append(take(outbox).name)
    assert names[0] == names[1] != names[2]


def test_a_batch_has_a_size(tmp_path: Path) -> None:
    """It ends before the entry that would be too much; one that is too large by itself goes alone."""
    fill(tmp_path / "state", 4, RECEIPTS)
    one = len(entry(0).receipt)
    with Outbox(tmp_path / "state") as outbox:
        for size, count in ((2 * one, 2), (2 * one - 1, 1), (1, 1)):
            batch = take(outbox, size=size)
            assert len(batch.entries) == count
            outbox.done(RECEIPTS, batch)


def test_destinations_do_not_meet(tmp_path: Path) -> None:
    """What one target has got still waits for the other; so does what it is to get in another form."""
    fill(tmp_path / "state", 4, RECEIPTS, EVENTS)
    ndjson = Destination(EVENTS.target, EVENTS.content, "ndjson")
    with Outbox(tmp_path / "state") as outbox:
        outbox.done(RECEIPTS, take(outbox))
        assert outbox.waiting(RECEIPTS) == 0
        assert outbox.waiting(ndjson) == 0
        assert len(take(outbox, EVENTS).entries) == 4


def test_keys_and_entry_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    """If the entry can't be written, the keys are not delivered either; the store goes on working after that."""
    path = tmp_path / "state"
    with DeliveredStore(path, "run-1", remember_days=7, destinations=[RECEIPTS]) as store:
        store.commit(b"".join(keys(1)), entry(1))
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON receipt BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        with pytest.raises(StorageError):
            store.commit(b"".join(keys(2)), entry(2))
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TRIGGER full")
        store.commit(b"".join(keys(3)), entry(3))
    with DeliveredStore(path, "run-2", remember_days=7) as store, Outbox(path) as outbox:
        assert set(store.find(keys(1, 2, 3))) == set(keys(1, 3))
        assert [each.request_id for each in take(outbox).entries] == [entry(1).request_id, entry(3).request_id]


def test_entries_outlive_kill_9(tmp_path: Path) -> None:
    """A process that is killed right after a commit and a take leaves both keys and the named batch."""
    code = (
        "import os, signal, sys\n"
        "sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from test_outbox import RECEIPTS, DeliveredStore, Outbox, entry, keys, take\n"
        "path = Path(sys.argv[1])\n"
        "store = DeliveredStore(path, 'run-1', remember_days=7, destinations=[RECEIPTS])\n"
        "store.commit(b''.join(keys(1, 2)), entry(1))\n"
        "print(take(Outbox(path)).name, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = Path(__file__).parent
    path = tmp_path / "state"
    killed = subprocess.run(
        [sys.executable, "-c", code, path, here, here.parent], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    with DeliveredStore(path, "run-2", remember_days=7) as store, Outbox(path) as outbox:
        assert len(store.find(keys(1, 2))) == 2
        assert take(outbox).name == killed.stdout.strip()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who holds a destination keeps others from it, and from nothing else, until it lets go."""
    fill(tmp_path / "state", 1, RECEIPTS, EVENTS)
    with Outbox(tmp_path / "state") as one, Outbox(tmp_path / "state") as other:
        assert one.hold(RECEIPTS)
        assert one.hold(RECEIPTS)
        assert not other.hold(RECEIPTS)
        assert other.hold(EVENTS)
        one.let_go(RECEIPTS, at_the_end=False)
        assert other.hold(RECEIPTS)
        other.let_go(RECEIPTS, at_the_end=False)
        other.let_go(EVENTS, at_the_end=False)


def test_a_receipt_tells_of_the_delivered_events_alone() -> None:
    """It has all that is promised of the request, and of each delivered event; never an attribute."""
    events = [
        Event(
            Origin("ca\u202ells.ndjson", number + 1),
            line(number),
            line(number),
            f"interaction-{number}",
            "conversation.answered",
            event()["eventTime"],
            (),
            bytes([number]) * 16,
        )
        for number in range(3)
    ]
    chunk = Chunk.of(events)
    attempts = (Attempt(1, "http_503", 0.5, 503), Attempt(2, "delivered", 0.1234567, 202, "correlated"))
    receipt = Receipt(chunk, chunk.request_id, (events[0], events[2]), (), (events[1],), attempts)
    now = datetime(2026, 3, 2, 9, 15, 3, 123456, tzinfo=UTC)
    made = Outgoing("run-1", "https://api/ingest", (EVENTS,), now=lambda: now).entry(receipt)
    text = made.head + unpacked(made.listed) + b"}"
    assert delivery_values(made)[3] == len(text)
    told = json.loads(text)
    assert [each["interaction_id"] for each in told.pop("events")] == ["interaction-0", "interaction-2"]
    assert told == {
        "run": "run-1",
        "request_id": chunk.request_id,
        "endpoint": "https://api/ingest",
        "correlation_id": "correlated",
        "status": 202,
        "attempts": 2,
        "seconds": 0.123457,
        "bytes": len(chunk.body),
        "sha256": sha256(chunk.body).hexdigest(),
        "delivered_at": "2026-03-02T09:15:03.123Z",
    }
    assert json.loads(text)["events"][1] == {
        "interaction_id": "interaction-2",
        "event_type": "conversation.answered",
        "event_time": event()["eventTime"],
        "origin": "ca\u202ells.ndjson:3",
    }
    assert made.packed_bodies is not None
    assert unpacked(made.packed_bodies) == line(0) + b"\n" + line(2)
    assert Outgoing("run-1", "https://api/ingest", (RECEIPTS,)).entry(receipt).packed_bodies is None
    assert b"mediaType" not in text
    assert b"\n" not in text


@pytest.mark.parametrize("table", ["receipt", "batch", "free"])
def test_damage_to_the_outbox_is_found_on_opening(tmp_path: Path, table: str) -> None:
    """A page that only a commit would touch is looked at before anything is sent; the state is set aside."""
    path = tmp_path / "state"
    fill(path, 200, RECEIPTS)
    fill(path, 0, first=200)  # sorts the keys in
    with Outbox(path) as outbox:
        outbox.done(RECEIPTS, take(outbox))
    damage(path, table)
    with DeliveredStore(path, "next", remember_days=7, destinations=[RECEIPTS]) as store:
        assert store.set_aside is not None
        store.commit(b"".join(keys(1)), entry(1))
    with DeliveredStore(path, "last", remember_days=7) as store:
        assert store.set_aside is None


def test_damage_that_comes_later_has_a_remedy(tmp_path: Path) -> None:
    """Which file to move away, and what is lost with it, is told by whoever comes upon it: a run or `ebingest sync`."""
    path = tmp_path / "state"
    fill(path, 3, RECEIPTS)
    remedy = f"Move {path} away.*sent again.*lost"
    with DeliveredStore(path, "run", remember_days=7, destinations=[RECEIPTS]) as store:
        fill(path, 3, RECEIPTS, first=3)
        damage(path, "receipt")
        with pytest.raises(StorageError, match=remedy):
            store.commit(b"".join(keys(9)), entry(9))
    with Outbox(path) as outbox, pytest.raises(StorageError, match=remedy):
        outbox.take(RECEIPTS, entries=1, size=1)
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(StorageError, match=remedy):
        Outbox(path)
