"""How a run is bounded: by errors, by time, by another run, by an endpoint that is down."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from support import audit_lines, clean_environment, ebingest, line, lines, scripted

from eventbridge_cli.sandbox.process import SandboxProcess


def settings_of(sandbox: SandboxProcess) -> dict[str, str]:
    return {
        "GENESYS_ENV": sandbox.url,
        "GENESYS_CLIENT_ID": sandbox.client_id,
        "GENESYS_CLIENT_SECRET": sandbox.client_secret,
    }


def test_max_errors_stops_the_run(tmp_path: Path, server: Server) -> None:
    """More bad records than --max-errors: exit 4, what was read is accounted for, and the rest can follow."""
    text = lines(200) + b"x\n" * 3 + b"".join(line(n) + b"\n" for n in range(200, 5000))
    arguments = ("ingest", "--max-errors", "2", "-o", "json")
    run = ebingest(*arguments, cwd=tmp_path, env=server.settings, stdin=text, check=[4])
    summary = json.loads(run.stdout)
    assert summary["stopped"]["code"] == "too_many_errors"
    assert summary["counts"]["rejected"] == 3
    assert summary["counts"]["read"] < 5000
    ebingest("ingest", cwd=tmp_path, env=server.settings, stdin=text, check=[1])
    assert len({sent["interactionId"] for sent in server.events()}) == 5000


def test_max_duration_ends_the_run_in_order(tmp_path: Path) -> None:
    """--max-duration: exit 5, the account balances, and the next run finishes the job."""
    (tmp_path / "events.ndjson").write_bytes(lines(300))
    with SandboxProcess("--latency", "200") as sandbox:
        arguments = ("ingest", "events.ndjson", "--chunk-events", "10", "--concurrency", "1", "-o", "json")
        run = ebingest(*arguments, "--max-duration", "1", cwd=tmp_path, env=settings_of(sandbox), check=[5])
        first = json.loads(run.stdout)["counts"]
        assert 0 < first["delivered"] < 300
        second = ebingest("ingest", "events.ndjson", "-o", "json", cwd=tmp_path, env=settings_of(sandbox), check=[0])
        assert json.loads(second.stdout)["counts"]["delivered"] == 300 - first["delivered"]


def test_grace_cuts_off_what_does_not_settle(tmp_path: Path) -> None:
    """SIGTERM with --grace 0.3 under a server that takes 20 s: ends soon, in-flight events pending, outcome unknown."""
    (tmp_path / "events.ndjson").write_bytes(lines(10))
    with SandboxProcess("--latency", "20000") as sandbox:
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "events.ndjson", "--grace", "0.3", "-o", "json"]
        env = clean_environment(tmp_path, **settings_of(sandbox))
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            audit = tmp_path / "ingestion_audit.jsonl"
            while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
                time.sleep(0.01)
            process.terminate()
            out, _ = process.communicate(timeout=15)
    assert process.returncode == 143
    summary = json.loads(out)
    assert summary["counts"]["pending"] == 10
    assert summary["unknown_outcomes"] == 1


def test_lock_wait_waits_for_the_other_run(tmp_path: Path, server: Server) -> None:
    """With --lock-wait a second run begins when the first one ends."""
    env = clean_environment(tmp_path, **server.settings)
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "-q"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.PIPE) as first:
        while not list(tmp_path.rglob("*.pid")):
            time.sleep(0.01)
        with subprocess.Popen([*command, "--lock-wait", "60"], cwd=tmp_path, env=env, stdin=subprocess.PIPE) as second:
            assert second.stdin is not None
            second.stdin.write(lines(3))
            second.stdin.close()
            time.sleep(0.5)
            assert second.poll() is None
            first.communicate(lines(2), timeout=30)
            assert second.wait(timeout=30) == 0
    assert len(server.events()) == 3


def test_a_dead_endpoint_ends_the_run_soon(tmp_path: Path) -> None:
    """Nothing listens: no token, exit 5, all pending, and the message names the address and the remedy."""
    env = {"GENESYS_ENV": "http://127.0.0.1:9", "GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "y"}
    run = ebingest("ingest", "-o", "json", cwd=tmp_path, env=env, stdin=lines(250), check=[5])
    summary = json.loads(run.stdout)
    assert summary["stopped"]["code"] == "pending"
    assert summary["counts"]["delivered"] == 0
    assert summary["counts"]["pending"] == summary["counts"]["read"]
    assert b"127.0.0.1:9" in run.stderr


def test_the_breaker_ends_a_run_that_gets_nowhere(tmp_path: Path) -> None:
    """Five chunks in a row that could not be delivered end the run, instead of trying all the others as well."""
    with SandboxProcess("--fault", "500:1") as sandbox:
        arguments = ("ingest", "--chunk-events", "1", "--max-attempts", "1", "-o", "json")
        run = ebingest(*arguments, cwd=tmp_path, env=settings_of(sandbox), stdin=lines(200), check=[5])
    summary = json.loads(run.stdout)
    assert summary["requests"] <= 10
    assert summary["stopped"]["code"] == "pending"


def test_a_run_that_must_end_does_not_wait_for_input(tmp_path: Path) -> None:
    """The platform refuses the client while standard input stays open and silent: the run ends all the same."""
    with SandboxProcess("--fault", "403:1") as sandbox:
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "--chunk-events", "1", "-o", "json"]
        env = clean_environment(tmp_path, **settings_of(sandbox))
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(lines(20))
            process.stdin.flush()
            summary = json.loads(process.stdout.readline())
            assert process.wait(timeout=30) == 3
    assert summary["stopped"]["code"] == "credentials"
    assert summary["requests"] == 1


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Two SIGINTs under a server that takes 20 s: the process is gone at once, and the next run has all to do."""
    (tmp_path / "events.ndjson").write_bytes(lines(10))
    with SandboxProcess("--latency", "20000") as sandbox:
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "events.ndjson"]
        env = clean_environment(tmp_path, **settings_of(sandbox))
        with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL) as process:
            audit = tmp_path / "ingestion_audit.jsonl"
            while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert process.poll() is None, "the first one lets requests in flight settle"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == -signal.SIGINT
    verified = ebingest("audit", "verify", cwd=tmp_path, check=[0])
    assert b"whole" in verified.stdout


def test_a_state_folder_that_can_not_be_written(tmp_path: Path, server: Server) -> None:
    """A state folder that can't be made: exit 3, nothing is sent, and the message names --state."""
    (tmp_path / "file").write_bytes(b"")
    run = ebingest("ingest", "--state", "file/state", cwd=tmp_path, env=server.settings, stdin=lines(3), check=[3])
    assert b"--state" in run.stderr
    assert server.requests() == []


def test_a_locked_state_database_is_said(tmp_path: Path, server: Server) -> None:
    """Another program holds the database: the run ends with exit 5 and clear words, and nothing was sent."""
    ebingest("ingest", "--state", "s", cwd=tmp_path, env=server.settings, stdin=lines(1), check=[0])
    [path] = (tmp_path / "s").glob("*.sqlite3")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        run = ebingest("ingest", "--state", "s", cwd=tmp_path, env=server.settings, stdin=lines(3), check=[5])
        connection.execute("ROLLBACK")
    assert b"locked" in run.stderr
    assert len(server.requests()) == 1


@pytest.mark.parametrize("answer", [{"status": 503, "headers": {"Retry-After": "60"}}, {"stall": 900}])
def test_a_wait_for_the_token_is_cut_short(tmp_path: Path, answer: dict[str, Any]) -> None:
    """SIGTERM while the token endpoint asks for patience, or says nothing: the run ends soon, in order."""
    with scripted({"tokens": [answer] * 20}) as url:
        env = clean_environment(tmp_path, GENESYS_ENV=url, GENESYS_CLIENT_ID="id", GENESYS_CLIENT_SECRET="secret")
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "-o", "json"]
        command += ["--grace", "600", "--timeout", "600"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            process.stdin.write(lines(250))
            process.stdin.close()
            process.stdin = None
            time.sleep(2)
            process.terminate()
            try:
                summary = json.loads(process.communicate(timeout=60)[0])
            finally:
                process.kill()
            assert process.returncode == 143
    assert summary["counts"]["pending"] == summary["counts"]["read"]


def at_work(session: int) -> set[int]:
    """The processes of a session that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ends at this moment
            state, _, _, its_session, *_ = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(its_session) == session and state != "Z":
                found.add(int(path.parent.name))
    return found


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_ctrl_c_before_all_is_loaded() -> None:
    """It ends the process as it would end any other: nobody is shown where Python was."""
    code = (
        "import os, signal, sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'eventbridge_cli.cli.app': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "import eventbridge_cli.__main__\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (-signal.SIGINT, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="work is shared among processes on Linux alone")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
@pytest.mark.parametrize(("source", "processes"), [("events.ndjson", 4), ("-", 2)])
def test_a_run_that_is_ended_leaves_nobody_behind(
    tmp_path: Path, source: str, processes: int, name: str, code: int
) -> None:
    """A run that shares its work, over a file or a silent pipe, has ended, in order or not: no process is left."""
    (tmp_path / "events.ndjson").write_bytes(lines(100_000))
    with SandboxProcess("--latency", "500") as sandbox:
        env = clean_environment(tmp_path, **settings_of(sandbox))
        options = ("--jobs", "4", "--grace", "0.3", "--quiet")
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", source, *options]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdin is not None
            if source == "-":
                process.stdin.write(lines(300))
                process.stdin.flush()
            audit = tmp_path / "ingestion_audit.jsonl"
            while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
                time.sleep(0.01)
            assert len(at_work(process.pid)) == processes
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
            else:
                process.send_signal(getattr(signal, name))
            assert process.wait(timeout=30) == code
            until = time.monotonic() + 10
            while left := at_work(process.pid):
                assert time.monotonic() < until, left
                time.sleep(0.01)


@pytest.mark.parametrize(("option", "begun"), [("--quiet", "BATCH_SUBMITTED"), ("--strict", "RUN_STARTED")])
def test_a_signal_that_was_ignored_before_stays_ignored(
    tmp_path: Path, server: Server, option: str, begun: str
) -> None:
    """Ctrl-C is not for what a script has put in the background with `&`: for that, its shell ignores SIGINT."""
    env = clean_environment(tmp_path, **server.settings)
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "eventbridge_cli", "ingest", "-"]
    with subprocess.Popen([*command, option], cwd=tmp_path, env=env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(lines(300))
        process.stdin.flush()
        audit = tmp_path / "ingestion_audit.jsonl"
        while not audit.exists() or begun.encode() not in audit.read_bytes():
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.communicate(line(300), timeout=30)
    assert process.returncode == 0
    assert len(server.events()) == 301


@pytest.mark.parametrize("option", ["--quiet", "--progress=always", "--strict"])
def test_a_terminal_that_is_closed_ends_a_run_in_order(tmp_path: Path, server: Server, option: str) -> None:
    """System and shell both say so, and nothing can be shown any more: the account is written down all the same."""
    ours, theirs = pty.openpty()
    take_it = (
        "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", take_it, sys.executable, "-m", "eventbridge_cli", "ingest", "-", option],
        cwd=tmp_path,
        env=clean_environment(tmp_path, **server.settings),
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(lines(300))
        process.stdin.flush()
        audit = tmp_path / "ingestion_audit.jsonl"
        begun = b"RUN_STARTED" if option == "--strict" else b"INGESTION_SUCCEEDED"
        while not audit.exists() or begun not in audit.read_bytes():
            time.sleep(0.01)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == 129
    finished = audit_lines(audit)[-1]
    assert (finished["event"], finished["exit_code"]) == ("RUN_FINISHED", 129)
    assert finished["counts"]["delivered"] == len(server.events())


def test_what_strict_puts_aside_goes_away(tmp_path: Path) -> None:
    """SIGTERM while standard input is copied: exit 143, and no customer data stays in the temporary folder."""
    with SandboxProcess() as sandbox:
        env = clean_environment(tmp_path, **settings_of(sandbox), TMPDIR=str(tmp_path))
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", "--strict"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) as process:  # type: ignore[call-overload]
            assert process.stdin is not None
            process.stdin.write(lines(2_000))
            process.stdin.flush()
            while not [path for path in tmp_path.glob("ebingest-*/*") if path.stat().st_size]:
                time.sleep(0.01)
            process.terminate()
            assert process.wait(timeout=30) == 143
    assert not list(tmp_path.glob("ebingest-*"))


@pytest.mark.parametrize("bad", [b"", b"nonsense\n"], ids=["while it is read first", "while it is accounted for"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_strict_run_that_is_interrupted_accounts_for_itself(tmp_path: Path, number: int, bad: bytes) -> None:
    """A signal before anything is sent: exit code, summary, RUN_FINISHED, and nothing sent."""
    (tmp_path / "events.ndjson").write_bytes(bad + lines(150_000))
    with SandboxProcess() as sandbox:
        env = clean_environment(tmp_path, **settings_of(sandbox))
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "events.ndjson", "--strict", "-o", "json"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            audit = tmp_path / "ingestion_audit.jsonl"
            first = b"INGESTION_REJECTED" if bad else b"RUN_STARTED"
            while not audit.exists() or first not in audit.read_bytes():
                time.sleep(0.01)
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
    summary = json.loads(out)
    assert process.returncode == summary["exit_code"] == 128 + number
    assert summary["requests"] == 0
    assert not summary["read_to_end"]
    assert audit_lines(audit)[-1]["event"] == "RUN_FINISHED"


def test_a_strict_run_notices_that_there_is_less_than_it_has_checked(tmp_path: Path, server: Server) -> None:
    """A file that is emptied before its events are sent: exit 5, since it is not the input that was found good."""
    (tmp_path / "a.ndjson").write_bytes(lines(30_000))
    (tmp_path / "b.ndjson").write_bytes(line(30_000) + b"\n")
    env = clean_environment(tmp_path, **server.settings)
    command = [sys.executable, "-m", "eventbridge_cli", "ingest", "a.ndjson", "b.ndjson", "--strict", "-o", "json"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as process:
        audit = tmp_path / "ingestion_audit.jsonl"
        while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
            time.sleep(0.001)
        (tmp_path / "b.ndjson").write_bytes(b"")
        out, _ = process.communicate(timeout=60)
    summary = json.loads(out)
    assert process.returncode == 5
    assert "has changed since it was checked" in summary["stopped"]["message"]
    assert summary["counts"]["delivered"] == 30_000
    assert not summary["read_to_end"]


def test_a_strict_run_keeps_to_its_time(tmp_path: Path) -> None:
    """--max-duration while standard input, which is read first, says nothing more: exit 5, with an account."""
    with SandboxProcess() as sandbox:
        env = clean_environment(tmp_path, **settings_of(sandbox), TMPDIR=str(tmp_path))
        options = ("--strict", "--max-duration", "0.5", "-o", "json")
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "-", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) as process:  # type: ignore[call-overload]
            assert process.stdin is not None
            process.stdin.write(lines(3))
            process.stdin.flush()
            assert process.wait(timeout=60) == 5
            assert "--max-duration" in json.loads(process.stdout.read())["stopped"]["message"]
    assert not list(tmp_path.glob("ebingest-*"))


def test_a_second_signal_is_offered(tmp_path: Path) -> None:
    """Who presses Ctrl-C is told what the run waits for, and how to end it at once."""
    (tmp_path / "events.ndjson").write_bytes(lines(10))
    with SandboxProcess("--latency", "1000") as sandbox:
        env = clean_environment(tmp_path, **settings_of(sandbox))
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "events.ndjson", "--grace", "20"]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as process:
            audit = tmp_path / "ingestion_audit.jsonl"
            while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "1 request in flight may settle for up to 20 s" in said


def test_dead_letters_that_can_not_be_made_any_more(tmp_path: Path) -> None:
    """Their folder goes away while a request is under way: what is refused is pending, and the account balances."""
    folder, audit = tmp_path / "letters", tmp_path / "ingestion_audit.jsonl"
    folder.mkdir()
    (tmp_path / "events.ndjson").write_bytes(lines(5))
    refusal = {"stall": 1, "body": {"errors": [{"index": 2, "message": "no"}]}}
    with scripted({"always": refusal}) as url:
        settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s"}
        options = ("--dead-letters", "letters/dead.ndjson", "-o", "json")
        command = [sys.executable, "-m", "eventbridge_cli", "ingest", "events.ndjson", *options]
        env = clean_environment(tmp_path, **settings)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) as process:  # type: ignore[call-overload]
            while not audit.exists() or b"BATCH_SUBMITTED" not in audit.read_bytes():
                time.sleep(0.01)
            folder.rmdir()
            out, said = process.communicate(timeout=30)
    assert process.returncode == 3, said
    counts = json.loads(out)["counts"]
    assert (counts["delivered"], counts["refused"], counts["pending"]) == (4, 0, 1)
    assert b"Make the folder" in said
