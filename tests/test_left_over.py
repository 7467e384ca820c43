"""`ebingest sync`, after real runs: what they have left goes where it can, and the rest is told with its reason."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Server
from lake_runs import CHUNKS, COUNT, INGEST, WEBHOOK, posts, receiver, start, sync_lines, synced, until
from lake_support import entry
from support import ebingest, lines, without

from eventbridge_cli.facts import Destination
from eventbridge_cli.ledger.audit import new_run
from eventbridge_cli.ledger.delivered import DeliveredStore, scope_name, store_path
from eventbridge_cli.ledger.lock import audit_lock, locked
from eventbridge_cli.ledger.outbox import Outbox

PLATFORM = {"GENESYS_ENV": "http://127.0.0.1:9", "GENESYS_CLIENT_ID": "someone"}


def leave(place: Path, *targets: str) -> Path:
    """Three receipts for each target, as a run leaves them that has handed over nothing. Gives the outbox."""
    folder = place / ".local/state/ebingest"
    folder.mkdir(parents=True, exist_ok=True)
    database = store_path(folder, scope_name("http://127.0.0.1:9/api/v2/events/ingest", "someone"))
    destinations = [Destination(target, "receipts", "ndjson") for target in targets]
    with DeliveredStore(database, new_run(), remember_days=7, destinations=destinations) as store:
        for number in range(3):
            store.commit(bytes(16), entry(number))
    return database


def test_sync_hands_on_what_waits_as_it_was_asked_for(place: Path, server: Server) -> None:
    """Content and form come from the outbox, not from the settings of the day; a target can be chosen."""
    (place / "other").mkdir()
    events = ("--sync-content", "events", "--sync-grace", "0", "--sync", (place / "lake").as_uri())
    with_other = (*events, "--sync", (place / "other").as_uri(), "--resend")
    (place / "lake").rename(place / "away")
    (place / "lake").symlink_to(place / "away")
    ebingest(*INGEST, *with_other, cwd=place, env=server.settings, check=[0])
    chosen = ebingest(
        "sync", "--sync", (place / "other").as_uri(), "-o", "json", cwd=place, env=server.settings, check=[0]
    )
    assert {each["target"] for each in synced(chosen)} <= {(place / "other").as_uri()}
    ebingest("sync", cwd=place, env=server.settings, check=[0])
    for folder in ("lake", "other"):
        written = b"".join(path.read_bytes() for path in (place / folder).rglob("*.ndjson"))
        assert sorted(written.splitlines()) == sorted(lines(COUNT).splitlines())
    nothing = ebingest("sync", cwd=place, env=server.settings, check=[0])
    assert b"Nothing waits for the data lake." in nothing.stderr


def test_sync_leaves_a_target_to_who_holds_it(place: Path, server: Server) -> None:
    """Exit 6 while another process hands over; what waits stays, and goes with the next sync."""
    with receiver({}, *[{"status": 503}] * 50) as url:
        ebingest(*INGEST, "--sync", url, "--sync-grace", "0", cwd=place, env=server.settings | WEBHOOK, check=[0])
    [database] = (place / ".local/state/ebingest").glob("*.sqlite3")
    with Outbox(database) as outbox:
        [destination] = outbox.destinations()
        assert outbox.hold(destination)
        held = ebingest("sync", cwd=place, env=server.settings | WEBHOOK, check=[6])
        assert b"Another process hands over to" in held.stderr
        assert outbox.waiting(destination) == CHUNKS
        outbox.let_go(destination, at_the_end=False)
    down = ebingest(
        "sync", "-o", "json", cwd=place, env=server.settings | WEBHOOK | {"EBINGEST_MAX_ATTEMPTS": "2"}, check=[5]
    )
    assert json.loads(down.stdout)["exit_code"] == 5
    assert [(each["synced"], each["pending"]) for each in synced(down)] == [(0, CHUNKS)]


def test_sync_wants_to_know_whose_outbox(place: Path) -> None:
    """Without endpoint and client it says what to set."""
    run = ebingest("sync", cwd=place, check=[3])
    assert b"Set GENESYS_ENV and GENESYS_CLIENT_ID" in run.stderr


def test_a_secret_query_is_not_kept(place: Path, server: Server) -> None:
    """The outbox does not know it, so run and sync ask for it, and sync takes it from the setting."""
    with receiver({}, *[{"status": 503}] * 3) as url:
        secret = f"{url}/in?code=k3y-c4n4ry"
        arguments = (*INGEST, "--sync", secret, "--sync-grace", "0")
        run = ebingest(*arguments, cwd=place, env=server.settings | WEBHOOK, check=[0])
        assert f"ebingest sync, with the whole URL of {url}/in?".encode() in run.stderr
        assert not [path for path in place.rglob("*") if path.is_file() and b"k3y-c4n4ry" in path.read_bytes()]
        asked = ebingest("sync", cwd=place, env=server.settings | WEBHOOK, check=[3])
        assert b"Give the whole URL" in asked.stderr
        ebingest("sync", cwd=place, env=server.settings | WEBHOOK | {"EBINGEST_SYNC": secret}, check=[0])
        assert posts(url)[-1]["path"] == "/in?code=k3y-c4n4ry"


def test_one_target_keeps_no_other_from_being_served(place: Path) -> None:
    """No secret, a query that is not kept, an extra that is missing: exit 3, each is told, and the rest is served."""
    lake, webhook = (place / "lake").as_uri(), "https://lake.example.com/in"
    leave(place, webhook, f"{webhook}?0123abcd", lake, "s3://bucket")
    env = PLATFORM | without("obstore", place / "shadow")
    run = ebingest("sync", "-o", "json", cwd=place, env=env, check=[3])
    told = {each.pop("target"): each for each in synced(run)}
    assert told[lake] == {"synced": 3, "pending": 0, "failed": 0, "message": ""}
    for target, said in {
        webhook: "Set EBINGEST_WEBHOOK_SECRET",
        f"{webhook}?0123abcd": "Give the whole URL with --sync or EBINGEST_SYNC.",
        "s3://bucket": "pip install 'ebingest[s3]'",
    }.items():
        assert (told[target]["synced"], told[target]["pending"], told[target]["failed"]) == (0, 0, 3)
        assert said in told[target]["message"]
        assert said in run.stderr.decode()
    assert sync_lines(place) == [("synced", 3), *[("failed", 3)] * 3]
    ebingest("audit", "verify", cwd=place, check=[0])


def test_a_target_that_another_process_holds_keeps_no_other_from_being_served(place: Path) -> None:
    """Exit 6 rather than 5, and 3 rather than 6."""
    lake, held, down = ((place / name).as_uri() for name in ("lake", "held", "not there"))
    database = leave(place, lake, held, down)
    env = PLATFORM | {"EBINGEST_MAX_ATTEMPTS": "1"}
    with Outbox(database) as outbox:
        assert outbox.hold(Destination(held, "receipts", "ndjson"))
        run = ebingest("sync", "-o", "json", cwd=place, env=env, check=[6])
        told = {each["target"]: (each["synced"], each["pending"], each["failed"]) for each in synced(run)}
        assert told == {lake: (3, 0, 0), held: (0, 3, 0), down: (0, 3, 0)}
        assert f"Another process hands over to {held}" in run.stderr.decode()
        leave(place, "https://lake.example.com/in")
        run = ebingest("sync", cwd=place, env=env, check=[3])
    assert sorted(state for state, _ in sync_lines(place)) == ["failed", *["pending"] * 4, "synced"]


def test_a_setting_that_is_wrong_is_no_matter_of_other_targets(place: Path) -> None:
    """What EBINGEST_SYNC and EBINGEST_KAFKA_ are about has nothing that waits: the rest goes, and quiet is quiet."""
    leave(place, (place / "lake").as_uri())
    wrong = {"EBINGEST_SYNC": "ftp://host https://lake.example.com/in", "EBINGEST_KAFKA_SASL_USERNAME": "someone"}
    run = ebingest("sync", "--quiet", cwd=place, env=PLATFORM | wrong, check=[0])
    assert run.stderr == b""
    assert sync_lines(place) == [("synced", 3)]


def test_what_still_waits_is_told_even_if_quiet(place: Path) -> None:
    """A line for each such target, with what to do."""
    leave(place, (place / "lake").as_uri(), "https://lake.example.com/in")
    run = ebingest("sync", "--quiet", cwd=place, env=PLATFORM, check=[3])
    [line] = run.stderr.decode().splitlines()
    assert line.startswith("Error: https://lake.example.com/in  0 handed over, 3 failed. There is no secret to sign")
    assert "Set EBINGEST_WEBHOOK_SECRET" in line


@pytest.mark.parametrize("name", ["GENESYS_ENV", "GENESYS_CLIENT_ID", "EBINGEST_STATE"])
def test_looking_in_the_wrong_place_is_told(place: Path, name: str) -> None:
    """An endpoint, client or state folder that no run has used: what was looked for, where, and what to check."""
    leave(place, (place / "lake").as_uri())
    other = str(place / "elsewhere") if name == "EBINGEST_STATE" else "http://127.0.0.1:8"
    env = PLATFORM | {"EBINGEST_STATE": str(place / ".local/state/ebingest")} | {name: other}
    told = ebingest("sync", cwd=place, env=env, check=[0]).stderr.decode()
    assert f"by client {env['GENESYS_CLIENT_ID']} has left anything in {env['EBINGEST_STATE']}" in told
    assert f"{env['GENESYS_ENV']}/api/v2/events/ingest" in told
    assert name in told
    assert "Nothing waits" not in told


def test_a_target_that_nothing_waits_for(place: Path) -> None:
    """What does wait is told, and for which; nothing of it goes."""
    lake, other = ((place / name).as_uri() for name in ("lake", "other"))
    leave(place, lake)
    told = ebingest("sync", "--sync", other, cwd=place, env=PLATFORM, check=[0]).stderr.decode()
    assert told == f"Nothing waits for {other}; what waits is 3 for {lake}.\n"
    assert not list((place / "lake").iterdir())


def test_a_line_that_is_missing_is_told_even_if_quiet(place: Path) -> None:
    """A run holds the audit file all the time, or the file can't be written: all is handed over, and that is said."""
    audit, locks = place / "ingestion_audit.jsonl", place / ".local/state/ebingest"
    leave(place, (place / "lake").as_uri())
    with locked(locks, audit_lock(audit), "the audit file"):
        held = ebingest("sync", "--quiet", cwd=place, env=PLATFORM, check=[0])
    assert b"Note: DATA_LAKE_SYNC lines are missing (1): Another run" in held.stderr
    leave(place, (place / "lake").as_uri())
    audit.mkdir()
    broken = ebingest("sync", "--quiet", cwd=place, env=PLATFORM, check=[0])
    assert (
        broken.stderr.decode()
        == f"Note: DATA_LAKE_SYNC lines are missing (1): {audit.name} can't be written: Is a directory.\n"
    )


def test_a_line_waits_for_its_turn(place: Path) -> None:
    """What a run keeps from being written is so once it lets go of the file, with the time at which it happened."""
    audit, locks = place / "ingestion_audit.jsonl", place / ".local/state/ebingest"
    leave(place, (place / "lake").as_uri())
    with locked(locks, audit_lock(audit), "the audit file"):
        process = start(place, "sync", **PLATFORM)
        until(lambda: list((place / "lake").rglob("*.ndjson")))
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert sync_lines(place) == [("synced", 3)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(place: Path, number: signal.Signals) -> None:
    """While a target hangs: no more grace, what waits is told and written down, exit 130 or 143."""
    with receiver({"silent": True}) as url:
        leave(place, url, (place / "lake").as_uri())
        with start(place, "sync", "-o", "json", **PLATFORM, **WEBHOOK) as process:
            until(lambda: posts(url) and ("synced", 3) in sync_lines(place))
            process.send_signal(number)
            output, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert b"The run was interrupted." in told
    document = json.loads(output)
    assert document["exit_code"] == 128 + number
    assert {each["target"]: each["pending"] for each in document["sync"]} == {url: 3, (place / "lake").as_uri(): 0}
    assert sync_lines(place) == [("synced", 3), ("pending", 3)]
    ebingest("audit", "verify", cwd=place, check=[0])


def test_a_signal_ends_the_wait_for_the_audit_file(place: Path) -> None:
    """All is handed over and a run holds the file: what is missing is said at once."""
    audit, locks = place / "ingestion_audit.jsonl", place / ".local/state/ebingest"
    leave(place, (place / "lake").as_uri())
    with locked(locks, audit_lock(audit), "the audit file"):
        process = start(place, "sync", "--quiet", **PLATFORM, EBINGEST_LOCK_WAIT="3600")
        until(lambda: list((place / "lake").rglob("*.ndjson")))
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"DATA_LAKE_SYNC lines are missing (1)" in told
    assert b"The run was interrupted." in told


def test_what_stays_in_the_outbox_after_it_has_arrived(place: Path) -> None:
    """A full state folder: handed over and not pending, but exit 5 since it goes again, as the same batch."""
    lake = (place / "lake").as_uri()
    database = leave(place, lake)
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TRIGGER full BEFORE DELETE ON receipt BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    run = ebingest("sync", "-o", "json", cwd=place, env=PLATFORM, check=[5])
    [told] = synced(run)
    assert (told["synced"], told["pending"], told["failed"]) == (3, 0, 0)
    assert "will be so again, as the same batch" in told["message"]
    with closing(sqlite3.connect(database)) as other:
        other.execute("DROP TRIGGER full")
    ebingest("sync", cwd=place, env=PLATFORM, check=[0])
    assert len(list((place / "lake").rglob("*.ndjson"))) == 1
    assert sync_lines(place) == [("synced", 3), ("retrying", 3), ("synced", 3)]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everything")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_outbox_that_may_not_be_written_is_left_alone(place: Path, what: str) -> None:
    """Exit 3 and what to mend: handed over and not forgotten, all of it would go again with every call."""
    database = leave(place, (place / "lake").as_uri())
    path, rights = (database, 0o600) if what == "file" else (database.parent, 0o700)
    path.chmod(rights & 0o500)
    try:
        run = ebingest("sync", cwd=place, env=PLATFORM, check=[3])
    finally:
        path.chmod(rights)
    assert f"{database} can't be written: " in run.stderr.decode()
    assert "mend its rights" in run.stderr.decode()
    assert not list((place / "lake").iterdir())
    ebingest("sync", cwd=place, env=PLATFORM, check=[0])
    assert len(list((place / "lake").rglob("*.ndjson"))) == 1
