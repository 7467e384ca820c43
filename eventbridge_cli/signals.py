"""How a process that is asked to end does so in order."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from eventbridge_cli.errors import InterruptedRunError


@contextmanager
def first_signal(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first(number: int) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(number)

    with suppress(NotImplementedError):  # Windows: Ctrl-C then ends the process as any other
        for number in numbers:
            loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise, as Ctrl-C does, so that whatever has to be put in order is."""

    def end(number: int, _: object) -> None:
        raise InterruptedRunError(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
