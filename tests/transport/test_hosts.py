"""The race for an address."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvloop
from raw_http import OK, serving

from eventbridge_cli.transport.pool import Transport


@contextmanager
def deaf() -> Iterator[tuple[str, int]]:
    """An address that leaves all who knock without an answer: its listener has as many waiting as it will have."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as stack:
        address = listening.getsockname()
        for _ in range(3):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)  # noqa: FBT003 - that is its signature
            knocking.connect_ex(address)
        yield address


def by_addresses(addresses: Sequence[tuple[str, int]], loop: Callable[[], asyncio.AbstractEventLoop]) -> int:
    """The status of a POST to a host that has these addresses."""

    async def run() -> int:
        running = asyncio.get_running_loop()
        known = running.getaddrinfo

        async def resolve(host: Any, *ports: Any, **hints: Any) -> list[Any]:
            if host != b"several.example":
                return await known(host, *ports, **hints)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]

        running.getaddrinfo = resolve  # type: ignore[method-assign]
        async with httpx.AsyncClient(transport=Transport(ssl.create_default_context, most=1000), timeout=2) as client:
            return (await client.post("http://several.example/", content=b"{}")).status_code

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_host_of_several_addresses(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """One that says nothing, or nobody listens at, keeps nobody from the next; where all are so, time is kept."""
    with deaf() as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = closed.getsockname()
        for before in ([silent], [refusing], [silent, refusing, silent]):
            with serving([OK]) as (url, _):
                assert by_addresses([*before, ("127.0.0.1", httpx.URL(url).port or 0)], loop) == 200
        with pytest.raises(httpx.ConnectTimeout):
            by_addresses([refusing, silent], loop)
        with pytest.raises(httpx.ConnectError):
            by_addresses([refusing, refusing], loop)
