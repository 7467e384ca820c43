"""The whole road, as a user walks it: files in, an independent server at the other end, the account in between."""

import bz2
import gzip
import json
import lzma
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Server
from support import SAMPLES, audit_lines, clean_environment, ebingest, event, line, lines

from eventbridge_cli.ledger.audit import LINE_BEGIN

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BAD = [
    b"not json at all",
    b'{"eventType": "cut off',
    b"[1, 2, 3]",
    line(9001, schemaVersion="2"),
    line(9002, attributes={"x": 0.5}).replace(b"0.5", b"NaN"),
    line(9003, attributes={"x": "y"}).replace(b'"y"', b'"\\ud800"'),
    line(9004, attributes={"x": "y"}).replace(b'"y"', b'"\xe9"'),
    line(9005, eventTime="2026-02-30T00:00:00Z"),
]


def mixed_files(folder: Path) -> None:
    """1,200 events, 50 copies and 8 bad records of 8 kinds, in every layout and compression."""
    events = [line(number) for number in range(1200)]
    bom = b"\xef\xbb\xbf" + b"\r\n".join(events[:200] + BAD[:4]) + b"\r\n"
    (folder / "a-bom-crlf.ndjson").write_bytes(bom)
    (folder / "b-array.json").write_bytes(b"[\n" + b",\n".join(events[200:400]) + b"\n]\n")
    pretty = json.dumps([json.loads(text) for text in events[400:500]], indent=2, ensure_ascii=False)
    (folder / "c-pretty.json").write_text(pretty, encoding="utf-8")
    (folder / "d.ndjson.gz").write_bytes(gzip.compress(b"\n".join(events[500:700] + BAD[4:6])))
    (folder / "e.ndjson.bz2").write_bytes(bz2.compress(b"\n".join(events[700:800] + events[:25])))
    (folder / "f.ndjson.xz").write_bytes(lzma.compress(b"\n".join(events[800:900] + BAD[6:])))
    (folder / "g.ndjson.zst").write_bytes(zstd.compress(b'{"events":[' + b",".join(events[900:1000]) + b"]}"))
    (folder / "h-joined.json").write_bytes(b"".join(events[1000:1200]) + b" ".join(events[25:50]))


def test_mixed_files_arrive_exactly_once(tmp_path: Path, server: Server) -> None:
    """1,200 events of all layouts arrive once, within the limits; account, audit and server agree; exit 1."""
    folder = tmp_path / "in"
    folder.mkdir()
    mixed_files(folder)
    arguments = ("ingest", folder, "-o", "json", "--summary-file", "summary.json")
    run = ebingest(*arguments, cwd=tmp_path, env=server.settings, check=[1])
    summary = json.loads(run.stdout)
    assert json.loads((tmp_path / "summary.json").read_bytes()) == summary
    assert summary["counts"] == {
        "read": 1258,
        "delivered": 1200,
        "duplicate": 50,
        "rejected": 8,
        "refused": 0,
        "pending": 0,
    }
    requests = server.requests()
    assert len(requests) <= 16
    assert all(len(request["events"]) <= 100 and request["bytes"] <= 500_000 for request in requests)
    assert len({request["headers"]["x-request-id"] for request in requests}) == len(requests)
    arrived = Counter(sent["interactionId"] for sent in server.events())
    assert arrived == Counter(f"interaction-{number}" for number in range(1200))
    assert all(sent == event(sent["attributes"]["number"]) for sent in server.events())
    assert recount(tmp_path / "ingestion_audit.jsonl") == summary["counts"]
    assert len((tmp_path / "dead_letters.ndjson").read_bytes().splitlines()) == 8
    assert summary["conflicts"] == 0


def recount(audit: Path) -> dict[str, int]:
    """The account as the lines of the audit file give it, without its last line."""
    counts = Counter[str]()
    for entry in audit_lines(audit):
        match entry["event"]:
            case "INGESTION_REJECTED":
                counts["rejected"] += 1
            case "DUPLICATE_DROPPED":
                counts["duplicate"] += 1
            case "INGESTION_SUCCEEDED":
                counts["delivered"] += len(entry["records"])
            case "INGESTION_FAILED":
                counts[entry["outcome"]] += len(entry["records"])
    names = ("delivered", "duplicate", "rejected", "refused", "pending")
    return {"read": counts.total(), **{name: counts[name] for name in names}}


def test_a_second_run_sends_nothing_and_says_why(tmp_path: Path, server: Server) -> None:
    """What was delivered is skipped by the next run, counted, and named with the run that did it; exit 0."""
    (tmp_path / "events.ndjson").write_bytes(lines(150))
    first = ebingest("ingest", "events.ndjson", "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    posts = len(server.requests())
    second = ebingest("ingest", "events.ndjson", "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    assert len(server.requests()) == posts
    summary = json.loads(second.stdout)
    assert summary["counts"]["duplicate"] == 150
    assert summary["delivered_earlier"] == {json.loads(first.stdout)["run"]: 150}
    assert b"--resend" in second.stderr
    third = ebingest("ingest", "events.ndjson", "--resend", "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    assert json.loads(third.stdout)["counts"]["delivered"] == 150
    assert len(server.requests()) == 2 * posts


@pytest.mark.parametrize("bound", [("--window", "60"), ("--window-size", "1")])
def test_a_key_that_is_forgotten_is_so_over_runs(tmp_path: Path, server: Server, bound: tuple[str, str]) -> None:
    """Two events with one --key that one run would both deliver: the second arrives, though the first did long ago."""
    first = line(1, eventTime="2026-01-01T00:00:00Z")
    second = line(1, eventTime="2026-01-02T00:00:00Z")
    options = ("ingest", "--key", "interactionId", *bound, "-o", "json")
    ebingest(*options, cwd=tmp_path, env=server.settings, stdin=first, check=[0])
    data = b"\n".join([first, line(2), second])
    for delivered, duplicate in ((2, 1), (0, 3)):
        run = ebingest(*options, cwd=tmp_path, env=server.settings, stdin=data, check=[0])
        counts = json.loads(run.stdout)["counts"]
        assert (counts["delivered"], counts["duplicate"]) == (delivered, duplicate)
    assert len(server.events()) == 3


def test_strict_sends_nothing_unless_all_is_good(tmp_path: Path, server: Server) -> None:
    """Under --strict one bad record at the end keeps all before it from being sent; standard input too."""
    bad = lines(250) + line(1, schemaVersion=9)
    run = ebingest("ingest", "--strict", "-o", "json", cwd=tmp_path, env=server.settings, stdin=bad, check=[1])
    assert server.requests() == []
    counts = json.loads(run.stdout)["counts"]
    assert (counts["read"], counts["rejected"], counts["pending"]) == (251, 1, 250)
    good = lines(250)
    ebingest("ingest", "--strict", cwd=tmp_path, env=server.settings, stdin=good, check=[0])
    assert len(server.events()) == 250


def test_dry_run_posts_nothing(tmp_path: Path) -> None:
    """--dry-run needs no platform; it prints events, bytes, chunks and the least time at --rate."""
    run = ebingest("ingest", "--dry-run", "--rate", "60/min", "-o", "json", cwd=tmp_path, stdin=lines(250), check=[0])
    plan = json.loads(run.stdout)["plan"]
    assert (plan["events"], plan["chunks"], plan["requests"], plan["least_seconds"]) == (250, 3, 3, 2.0)
    assert plan["bytes"] == sum(len(line(number)) + 1 for number in range(250)) + 3 * 12
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "said"), [(("--strict",), True), ((), False)])
def test_a_dry_run_of_what_would_not_be_sent(tmp_path: Path, options: tuple[str, ...], *, said: bool) -> None:
    """With --strict the plan says that a bad record keeps all others back."""
    run = ebingest("ingest", "--dry-run", *options, cwd=tmp_path, stdin=lines(2) + b"{}\n", check=[1])
    assert (b"nothing as things are: --strict" in run.stderr) == said


def test_a_plan_knows_what_was_delivered(tmp_path: Path, server: Server) -> None:
    """--dry-run leaves out what a run would skip, before and after that has sorted its keys in, and changes no file."""

    def plan(*options: str, **variables: str) -> tuple[int, int]:
        env = server.settings | variables
        run = ebingest("ingest", "--dry-run", "-o", "json", *options, cwd=tmp_path, env=env, stdin=lines(9), check=[0])
        found = json.loads(run.stdout)
        return found["plan"]["events"], found["counts"]["duplicate"]

    assert plan() == (9, 0)
    for number, left in ((3, 6), (5, 4), (9, 0)):
        ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(number), check=[0])
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert plan() == (left, 9 - left)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert plan("--resend") == plan("--sandbox") == plan(GENESYS_CLIENT_ID="another") == (9, 0)
    [state] = tmp_path.rglob("*.sqlite3")
    state.write_bytes(b"no database at all" * 1000)
    run = ebingest("ingest", "--dry-run", cwd=tmp_path, env=server.settings, stdin=lines(9), check=[5])
    assert b"can't be read" in run.stderr


def test_files_are_for_their_owner_alone(tmp_path: Path, server: Server) -> None:
    """The audit file, the dead letters and the state can't be read by others; no dead letters, no file."""
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(3), check=[0])
    assert not (tmp_path / "dead_letters.ndjson").exists()
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=b"nonsense", check=[1])
    found = [
        tmp_path / "ingestion_audit.jsonl",
        tmp_path / "dead_letters.ndjson",
        *tmp_path.rglob("*.sqlite3"),
    ]
    assert len(found) == 3
    assert [path.stat().st_mode & 0o777 for path in found] == [0o600] * 3


def test_no_secret_and_no_body_leaves_the_tool(tmp_path: Path, server: Server) -> None:
    """Neither the secret, the token nor what is in an event is in any output, audit line or state."""
    canary = "C4N4RY-in-the-attributes"
    text = lines(2) + line(7, attributes={"note": canary}) + b"\n" + line(8, attributes=[canary]) + b"\n"
    text += line(9, attributes={"note": canary}).replace(b'"schemaVersion"', b'"x\x1b[31m"') + b"\n"
    run = ebingest("ingest", "--verbose", "-o", "json", cwd=tmp_path, env=server.settings, stdin=text, check=[1])
    validated = ebingest("validate", cwd=tmp_path, stdin=text, check=[1])
    outputs = [run.stdout, run.stderr, validated.stderr, (tmp_path / "ingestion_audit.jsonl").read_bytes()]
    assert b"\x1b" not in b"".join(outputs)
    outputs += [path.read_bytes() for path in tmp_path.rglob("*.sqlite3*")]
    for output in outputs:
        assert canary.encode() not in output
        assert b"s3cr3t-c4n4ry" not in output
        assert b"independent-token" not in output
    assert canary.encode() in (tmp_path / "dead_letters.ndjson").read_bytes()


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[31m", "[bold red]x[/]", "\r\x07", "\u202e", ":smile:"])
@pytest.mark.parametrize("output", ["text", "github"])
def test_data_is_never_markup_or_escape(tmp_path: Path, hostile: str, output: str) -> None:
    """Text from data is shown as text: no escape, bell or direction mark reaches the terminal, no markup is read."""
    bad = line(1, routingMetadata={"queueId": "q", "skill": "s", "actionType": hostile})
    name = "name-[red]\x1b[31m.ndjson"
    (tmp_path / name).write_bytes(bad)
    run = ebingest("validate", name, "-o", output, cwd=tmp_path, env={"FORCE_COLOR": ""}, check=[1])
    shown = (run.stdout + run.stderr).decode()
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(shown)
    assert "name-[red]" in shown
    assert ("[bold red]" in shown) == (hostile == "[bold red]x[/]")


def test_killed_and_run_again_loses_nothing(tmp_path: Path, server: Server) -> None:
    """A kill -9 in the middle of a run, then the same command: every event is there, and the ledger knows them all."""
    (tmp_path / "events.ndjson").write_bytes(lines(3000))
    command = [
        sys.executable,
        "-m",
        "eventbridge_cli",
        "ingest",
        "events.ndjson",
        "--chunk-events",
        "10",
        "-q",
    ]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(tmp_path, **server.settings)) as process:
        while len(server.requests()) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    run = ebingest(*command[3:], "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    counts = json.loads(run.stdout)["counts"]
    assert counts["delivered"] + counts["duplicate"] == 3000
    arrived = Counter(sent["interactionId"] for sent in server.events())
    assert len(arrived) == 3000
    assert sum(arrived.values()) - 3000 <= 5 * 10, "more than what was in flight came twice"
    bodies = {request["headers"]["x-request-id"]: request["events"] for request in server.requests()}
    once = Counter(sent["interactionId"] for events in bodies.values() for sent in events)
    assert set(once.values()) == {1}, "what came twice came under the same request id"
    [state] = tmp_path.rglob("*.sqlite3")
    with sqlite3.connect(state) as connection:
        [sorted_in] = connection.execute("SELECT count(*) FROM delivered").fetchone()
        [recent] = connection.execute("SELECT sum(length(keys)) / 16 FROM recent").fetchone()
    assert sorted_in + recent == 3000
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_in_order(tmp_path: Path, server: Server, number: signal.Signals) -> None:
    """In-flight requests settle, the account is written and balances, exit 143 or 129; the next run finishes."""
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "--chunk-events", "10", "-o", "json"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=clean_environment(tmp_path, **server.settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(lines(1000))
        process.stdin.flush()  # and stays open: the reader waits for more
        while len(server.requests()) < 20:
            time.sleep(0.01)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    counts = json.loads(out)["counts"]
    assert counts["delivered"] == len(server.events())
    finished = audit_lines(tmp_path / "ingestion_audit.jsonl")[-1]
    assert (finished["event"], finished["exit_code"], finished["counts"]) == ("RUN_FINISHED", 128 + number, counts)
    ebingest("ingest", "-", cwd=tmp_path, env=server.settings, stdin=lines(1000), check=[0])
    assert Counter(sent["interactionId"] for sent in server.events()).most_common(1)[0][1] == 1
    assert len(server.events()) == 1000


def test_a_second_run_at_once_is_turned_away(tmp_path: Path, server: Server) -> None:
    """While a run holds the state another one ends with exit 6 and the first one's process id."""
    env = clean_environment(tmp_path, **server.settings)
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not list(tmp_path.rglob("*.pid")):
            time.sleep(0.01)
        time.sleep(0.1)
        run = ebingest("ingest", "-", cwd=tmp_path, env=server.settings, stdin=lines(1), check=[6])
        assert str(process.pid).encode() in run.stderr
        process.communicate(timeout=30)


def test_one_audit_file_has_one_run(tmp_path: Path, server: Server) -> None:
    """Two runs with states of their own but the same audit file can't fork its chain: the second ends with exit 6."""
    env = clean_environment(tmp_path, **server.settings)
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "--state", "one"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "ingestion_audit.jsonl").exists():
            time.sleep(0.01)
        arguments = ("ingest", "-", "--state", "two")
        run = ebingest(*arguments, cwd=tmp_path, env=server.settings, stdin=lines(1), check=[6])
        assert b"audit file" in run.stderr
        process.communicate(timeout=30)


def test_the_sandbox_run_works_every_time(tmp_path: Path) -> None:
    """`ingest --sandbox` delivers the samples, says that it is a stand-in, and leaves no state behind."""
    for _ in range(2):
        run = ebingest("ingest", SAMPLES / "interactions.ndjson", "--sandbox", "-o", "json", cwd=tmp_path, check=[0])
        counts = json.loads(run.stdout)["counts"]
        assert (counts["read"], counts["delivered"], counts["duplicate"]) == (360, 352, 8)
        assert b"stand-in" in run.stderr
    assert not list(tmp_path.rglob("*.sqlite3"))


def test_the_sandbox_run_works_without_a_home(tmp_path: Path) -> None:
    """Where the user's state folder can't be made, as for the users of services: nothing of it is needed."""
    (tmp_path / "no folder").touch()
    env = {"HOME": str(tmp_path / "no folder")}
    ebingest("ingest", SAMPLES / "interactions.ndjson", "--sandbox", cwd=tmp_path, env=env, check=[0])


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, server: Server) -> None:
    """When the audit file can't be written the run ends with exit 5 and the account balances; then it resumes."""
    (tmp_path / "events.ndjson").write_bytes(lines(1000))
    limit = "import resource,sys,runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (80000, 80000)); "
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.argv = ['ebingest', *sys.argv[1:]]; "
    limit += "runpy.run_module('eventbridge_cli', run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        limit,
        "ingest",
        "events.ndjson",
        "-o",
        "json",
        "--state",
        str(tmp_path / "s"),
    ]
    env = clean_environment(tmp_path, **server.settings)
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False, timeout=60)
    assert run.returncode == 5, run.stderr.decode()
    summary = json.loads(run.stdout)
    assert summary["stopped"]["code"] == "storage"
    assert summary["counts"]["read"] == sum(list(summary["counts"].values())[1:])
    ebingest("ingest", "events.ndjson", "--state", "s", cwd=tmp_path, env=server.settings, check=[0])
    ebingest("audit", "verify", cwd=tmp_path, check=[0])
    assert {sent["interactionId"] for sent in server.events()} == {f"interaction-{n}" for n in range(1000)}
    assert os.stat(tmp_path / "ingestion_audit.jsonl").st_size > 80000  # noqa: PTH116


def test_a_run_without_a_start_has_no_end(tmp_path: Path, server: Server) -> None:
    """There is room for the last line of a run and not for its first: neither is written, and nothing stays unsettled.

    What a run was about stands in its first line alone, so that no later one could be told to have gone on with it.
    """
    inputs = [f"{number:0200}.ndjson" for number in range(5)]
    for name in inputs:
        (tmp_path / name).write_bytes(lines(1))
    audit = tmp_path / "ingestion_audit.jsonl"
    audit.write_bytes(LINE_BEGIN + b"x" * 1_000_000 + b'"}\n')  # no other file of the run is as large
    before = audit.read_bytes()
    limit = "import os,resource,sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    limit += "os.execv(sys.executable, sys.argv[2:])"
    command = [sys.executable, "-c", limit, str(len(before) + 900), sys.executable, "-m", "eventbridge_cli", "ingest"]
    env = clean_environment(tmp_path, **server.settings)
    run = subprocess.run([*command, *inputs], cwd=tmp_path, env=env, capture_output=True, check=False, timeout=60)
    assert run.returncode == 5, run.stderr.decode()
    assert b"can't be written" in run.stderr
    assert audit.read_bytes() == before
    ebingest("ingest", *inputs, cwd=tmp_path, env=server.settings, check=[0])
    status = ebingest("status", "-o", "json", cwd=tmp_path, env=server.settings, check=[0])
    assert json.loads(status.stdout)["unsettled"] == []


def test_a_device_that_is_full(tmp_path: Path, server: Server) -> None:
    """An audit file that is a device, and takes nothing: exit 5 and the remedy, and nothing is sent."""
    arguments = ("ingest", "--audit", "/dev/full")
    run = ebingest(*arguments, cwd=tmp_path, env=server.settings, stdin=lines(3), check=[5])
    assert b"/dev/full can't be written" in run.stderr
    assert server.requests() == []


def test_a_damaged_state_is_set_aside(tmp_path: Path, server: Server) -> None:
    """A damaged record of what is delivered is kept under another name, said, and does not block the run."""
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(3), check=[0])
    [state] = tmp_path.rglob("*.sqlite3")
    state.write_bytes(b"this is no database" * 500)
    run = ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(3), check=[0])
    assert b"damaged" in run.stderr
    assert len(list(tmp_path.rglob("*.damaged-*"))) == 1


def test_torn_lines_are_mended_on_the_next_start(tmp_path: Path, server: Server) -> None:
    """Half a line at the end of the audit file is cut off, and told; the chain stays whole."""
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(1), check=[0])
    with (tmp_path / "ingestion_audit.jsonl").open("ab") as file:
        file.write(b'{"time":"20')
    run = ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=lines(1), check=[0])
    assert run.stderr.count(b"half a line") == 1
    ebingest("audit", "verify", cwd=tmp_path, check=[0])
    started = [entry for entry in audit_lines(tmp_path / "ingestion_audit.jsonl") if entry["event"] == "RUN_STARTED"]
    assert [entry["mended_bytes"] for entry in started] == [0, 11]


def test_a_file_of_somebody_else_is_no_audit_file(tmp_path: Path, server: Server) -> None:
    """A text without a last line break, named by mistake: exit 3, it stays whole, and nothing is sent."""
    (tmp_path / "notes.txt").write_bytes(b"line one\nmy precious last line")
    run = ebingest("ingest", "--audit", "notes.txt", cwd=tmp_path, env=server.settings, stdin=lines(1), check=[3])
    assert b"notes.txt" in run.stderr
    assert b"Give another file" in run.stderr
    assert (tmp_path / "notes.txt").read_bytes() == b"line one\nmy precious last line"
    assert server.requests() == []


def test_letters_that_people_edit_are_not_cut(tmp_path: Path, server: Server) -> None:
    """A last letter without its line break stays, and so does one that was broken by hand; that is told."""
    path = tmp_path / "dead_letters.ndjson"
    for edited in (bytes.rstrip, lambda text: text.rstrip(b"}\n")):
        ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=b"nonsense\n", check=[1])
        path.write_bytes(edited(path.read_bytes()))
        before = path.read_bytes()
        run = ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=b"nonsense\n", check=[1])
        assert path.read_bytes().startswith(before + b"\n{")
        assert (b"half a line" in run.stderr) == (not before.endswith(b"}"))
    run = ebingest("replay", path, "--dry-run", "-o", "json", cwd=tmp_path, check=[1])
    assert json.loads(run.stdout)["counts"]["read"] == 4
    assert b"1  unreadable: no_letter" in run.stderr


def test_tokens_have_a_memory_each(tmp_path: Path, server: Server) -> None:
    """Two ready tokens without a client id may be two clients': what one has sent, the other sends as well."""
    here = {"GENESYS_ENV": server.url}

    def run(**settings: str) -> dict[str, int]:
        done = ebingest("ingest", "-o", "json", cwd=tmp_path, env=here | settings, stdin=lines(3), check=[0])
        counts: dict[str, int] = json.loads(done.stdout)["counts"]
        return counts

    assert run(GENESYS_ACCESS_TOKEN="one")["delivered"] == 3
    assert run(GENESYS_ACCESS_TOKEN="two")["delivered"] == 3
    assert run(GENESYS_ACCESS_TOKEN="one")["duplicate"] == 3
    assert run(GENESYS_ACCESS_TOKEN="three", GENESYS_CLIENT_ID="a")["delivered"] == 3
    assert run(GENESYS_ACCESS_TOKEN="four", GENESYS_CLIENT_ID="a")["duplicate"] == 3
    sync = ("--sync", tmp_path.as_uri())
    refused = ebingest("ingest", *sync, cwd=tmp_path, env=here | {"GENESYS_ACCESS_TOKEN": "one"}, check=[3])
    assert b"--sync needs GENESYS_CLIENT_ID" in refused.stderr
