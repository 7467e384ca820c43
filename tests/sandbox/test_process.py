"""The sandbox as a process: how it starts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support import clean_environment, ebingest

from eventbridge_cli.sandbox.process import SandboxProcess


def listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((parts.hostname, parts.port)) == 0


def test_it_ends_with_the_block() -> None:
    """A sandbox listens within the block and not after it."""
    with SandboxProcess() as sandbox:
        assert listens(sandbox.url)
    assert not listens(sandbox.url)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Kill -9 of the process that started a sandbox takes the sandbox with it."""
    code = "from eventbridge_cli.sandbox.process import SandboxProcess as Sandbox\n"
    code += "with Sandbox() as sandbox: print(sandbox.url, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path),
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert listens(url)
        parent.kill()
    until = time.monotonic() + 20
    while listens(url) and time.monotonic() < until:
        time.sleep(0.05)
    assert not listens(url)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends `ebingest sandbox` without a traceback; what it printed can go into .env."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventbridge_cli", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path),
    ) as process:
        assert process.stdout is not None
        names = [process.stdout.readline().partition("=")[0] for _ in range(3)]
        time.sleep(0.3)
        os.kill(process.pid, number)
        _, stderr = process.communicate(timeout=20)
    assert names == ["GENESYS_ENV", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"]
    assert "Traceback" not in stderr


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """Exit 3, and the message names the port and the remedy."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = ebingest("sandbox", "--port", str(port), cwd=tmp_path, check=[3])
    assert str(port).encode() in run.stderr
    assert b"--port" in run.stderr


@pytest.mark.parametrize("options", [("--fault", "foo"), ("--fault", "503:2"), ("--rate", "many"), ("--rate", "0/min")])
def test_bad_options_are_usage_errors(tmp_path: Path, options: tuple[str, str]) -> None:
    """A fault or rate that makes no sense: exit 2."""
    ebingest("sandbox", *options, cwd=tmp_path, check=[2])
