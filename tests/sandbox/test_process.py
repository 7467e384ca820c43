"""The sandbox as a process: how it starts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support import clean_environment, ebingest
from typer.testing import CliRunner

from eventbridge_cli.cli.app import app
from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.sandbox.process import SandboxProcess

TELLS_OF_CONNECTIONS = """
import socket, sys
from eventbridge_cli.__main__ import main
from eventbridge_cli.sandbox import serve

class Telling(serve._Protocol):
    def connection_made(self, transport):
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        print("no delay:", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), file=sys.stderr)

serve._Protocol = Telling
sys.argv = ["ebingest", "sandbox", "--port", "0", "--until-stdin-closes"]
main()
"""


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


def python(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Python in a process of its own, with a pipe for each stream."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, *arguments], text=True, env=clean_environment(home), **pipes)  # type: ignore[call-overload,no-any-return]


def test_answers_are_not_held_back(tmp_path: Path) -> None:
    """A connection is made without Nagle's algorithm, which would hold back each answer for 40 ms."""
    with python(tmp_path, "-c", TELLS_OF_CONNECTIONS) as process:
        assert process.stdout is not None
        httpx.get(process.stdout.readline().strip().partition("=")[2] + "/sandbox/stats")
        _, told = process.communicate(timeout=20)
    assert told == "no delay: 1\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--until-stdin-closes",)], ids=["alone", "with a parent"])
def test_a_signal_ends_it_quietly(tmp_path: Path, number: signal.Signals, options: tuple[str, ...]) -> None:
    """Ctrl-C ends `ebingest sandbox` without a traceback; what it printed can go into .env."""
    with python(tmp_path, "-m", "eventbridge_cli", "sandbox", "--port", "0", *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        names = {}
        for _ in range(3):
            name, _, value = process.stdout.readline().strip().partition("=")
            names[name] = value
        httpx.get(names["GENESYS_ENV"] + "/sandbox/stats")
        os.kill(process.pid, number)
        process.wait(timeout=20)  # its standard input is still open
        stdout, stderr = process.stdout.read(), process.stderr.read()
    assert list(names) == ["GENESYS_ENV", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"]
    assert stdout == ""
    assert stderr.count("\n") == (0 if options else 1), stderr
    assert process.returncode == (0 if number == signal.SIGINT else -signal.SIGTERM)


def test_a_failed_start_is_said_and_leaves_nothing_behind() -> None:
    """The error has what the process said; the process itself is gone and reaped."""
    sandbox = SandboxProcess("--fault", "nonsense")
    with pytest.raises(ConfigurationError, match="nonsense"):
        sandbox.__enter__()
    assert sandbox._process.returncode == 2


def test_an_interrupted_start_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it starts ends the process as well."""

    def interrupted(_: SandboxProcess) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(SandboxProcess, "_settings", interrupted)
    sandbox = SandboxProcess()
    with pytest.raises(KeyboardInterrupt):
        sandbox.__enter__()
    assert sandbox._process.returncode is not None


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvicorn the error says what to install."""
    monkeypatch.setattr("eventbridge_cli.sandbox.process.find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(ConfigurationError, match="uvicorn") as caught:
        SandboxProcess().__enter__()
    assert caught.value.remedy == "Install it with: pip install 'ebingest[sandbox]'"


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """Exit 3, and the message names the port and the remedy."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = ebingest("sandbox", "--port", str(port), cwd=tmp_path, check=[3])
    assert str(port).encode() in run.stderr
    assert b"--port" in run.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--fault", "foo"),
        ("--fault", "503:2"),
        ("--fault", "200:1"),
        ("--rate", "many"),
        ("--rate", "0/min"),
        ("--latency", "inf"),
    ],
)
def test_bad_options_are_usage_errors(options: tuple[str, str]) -> None:
    """A fault, rate or latency that makes no sense: exit 2."""
    assert CliRunner().invoke(app, ["sandbox", "--port", "0", *options]).exit_code == 2
