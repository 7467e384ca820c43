"""Messages from another process, over a real pair of sockets, on both event loops."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
import uvloop

from eventbridge_cli.delivery.pump import Inlet

LENGTH_BYTES = 8
END = b""


class BrokenError(Exception):
    """The other end is gone."""


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Runs a scenario in one kind of loop."""

    def run_it(scenario: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await asyncio.wait_for(scenario(), 10)

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run_it


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def inlet(ours: socket.socket) -> Inlet[bytes]:
    """Gives each message as it is; the empty one is the end."""
    return Inlet(ours, LENGTH_BYTES, lambda data: None if data == END else data, BrokenError)


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(LENGTH_BYTES) + message for message in messages)


Run = Callable[[Callable[[], Awaitable[None]]], None]
Pair = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("piece", [1, 7, 1000, 10_000_000])
def test_every_message_arrives_as_it_was(run: Run, pair: Pair, piece: int) -> None:
    """Small messages and such that are larger than what is read ahead, in pieces of any size; then the end."""
    ours, theirs = pair
    messages = [b"a", b"b" * 3000, b"c"] * 3
    if piece > 100:
        messages = [*messages, b"d" * 400_000, *messages, b"e" * 3_000_000, b"f", b"g" * 999_999, *messages]
    data = framed(*messages, END)

    def send() -> None:
        for start in range(0, len(data), piece):
            theirs.sendall(data[start : start + piece])

    async def scenario() -> None:
        assert [message async for message in inlet(ours)] == messages

    thread = threading.Thread(target=send)
    thread.start()
    run(scenario)
    thread.join()


@pytest.mark.parametrize("last", [b"", b"\0\0", framed(b"abc")[:-1]])
def test_an_end_that_was_not_said_is_a_break(run: Run, pair: Pair, last: bytes) -> None:
    """A process that is gone, be it in the midst of a message: what came before is given, then the error."""
    ours, theirs = pair
    theirs.sendall(framed(b"a") + last)
    theirs.close()

    async def scenario() -> None:
        items = aiter(inlet(ours))
        assert await anext(items) == b"a"
        with pytest.raises(BrokenError):
            await anext(items)

    run(scenario)


def test_stop_ends_a_wait(run: Run, pair: Pair) -> None:
    """Whoever waits for a message is told at once that there is none, and the sender is not held up."""
    ours, theirs = pair

    async def scenario() -> None:
        source = inlet(ours)
        waiting = asyncio.ensure_future(anext(aiter(source), None))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        source.stop()
        assert await waiting is None
        source.stop()

    run(scenario)
    with pytest.raises(BrokenPipeError):
        theirs.sendall(b"x" * 10_000_000)


def test_stop_leaves_out_what_is_read_ahead(run: Run, pair: Pair) -> None:
    """After stop nothing more is given, even if it is there."""
    ours, theirs = pair
    theirs.sendall(framed(b"a", b"b", END))

    async def scenario() -> None:
        source = inlet(ours)
        items = aiter(source)
        assert await anext(items) == b"a"
        source.stop()
        assert await anext(items, None) is None

    run(scenario)


def test_nothing_is_read_that_nobody_asks_for(run: Run, pair: Pair) -> None:
    """The sender comes to a halt while nobody takes messages: what is ahead has a bound."""
    ours, theirs = pair
    theirs.settimeout(0.2)
    message = framed(b"x" * 1000)
    sent = 0

    async def scenario() -> None:
        nonlocal sent
        items = aiter(inlet(ours))
        theirs.sendall(message)
        await anext(items)
        with suppress(TimeoutError):
            while sent < 100_000_000:
                sent += await asyncio.to_thread(theirs.send, message)
        assert 0 < sent < 5_000_000

    run(scenario)
