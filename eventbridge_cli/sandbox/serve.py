"""Serve the stand-in platform on loopback until it is told to end."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.sandbox.app import CUT, build_app
from eventbridge_cli.sandbox.platform import Platform, Rules

HOST = "127.0.0.1"


class _Protocol(H11Protocol):
    """HTTP whose application can cut the connection, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, CUT: transport.abort}


def serve(rules: Rules, port: int, *, ready: Callable[[str], None], until_stdin_closes: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is given the URL once connections are taken.

    Raises:
        ConfigurationError: the port is in use.
    """
    # Named as TCP, or asyncio would leave Nagle on: 40 ms for each answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Port {port} of {HOST} can't be used: {error.strerror}.",
            "Give another one with --port, or 0 for any.",
        ) from error
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(Platform(rules)),
            http=_Protocol,
            log_level="critical",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
    if until_stdin_closes:
        threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    listener.listen()
    ready(f"http://{HOST}:{listener.getsockname()[1]}")
    try:
        asyncio.run(server.serve([listener]))
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


def _end_with_parent(server: uvicorn.Server) -> None:
    """The parent holds the other end of the pipe: it closes with the parent, even if that is killed."""
    # Not sys.stdin.read(): the lock that it holds while it waits would fail the interpreter's own shutdown.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.should_exit = True
