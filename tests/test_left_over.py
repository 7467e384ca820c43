"""`ebingest sync`, after real runs: what they have left goes where it can, and the rest is told with its reason."""

import json
from pathlib import Path

from conftest import Server
from lake_runs import CHUNKS, COUNT, INGEST, WEBHOOK, posts, receiver, synced
from support import ebingest, lines

from eventbridge_cli.ledger.outbox import Outbox


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
