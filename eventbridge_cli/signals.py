"""How a process that is asked to end, or has lasted for too long, ends in order."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from eventbridge_cli.errors import EbingestError, InterruptedRunError

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def first_signal(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; the second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def first(number: int) -> None:
        for each in _NUMBERS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(number)

    with suppress(NotImplementedError):  # Windows: Ctrl-C then ends the process as any other
        for number in _NUMBERS:
            loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in _NUMBERS:
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


class Deadline(Struct, frozen=True):
    """When something has to be over (`until`, in monotonic seconds), and what is raised if it is not."""

    until: float
    over: EbingestError


@contextmanager
def ends_at_once(deadline: Deadline) -> Iterator[None]:
    """Let SIGINT, SIGTERM and the deadline raise wherever the body is, even while it waits.

    Where a system has no alarms, there is no deadline.
    """

    def end(number: int, _: object) -> None:
        raise deadline.over if number == alarm else InterruptedRunError(number)

    alarm = getattr(signal, "SIGALRM", None)
    before = {number: signal.signal(number, end) for number in (*_NUMBERS, *filter(None, [alarm]))}
    if alarm and deadline.until != float("inf"):
        signal.setitimer(signal.ITIMER_REAL, max(deadline.until - time.monotonic(), 0.001))
    try:
        yield
    finally:
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ends_when_asked(deadline: Deadline) -> Iterator[Callable[[], None]]:
    """As `ends_at_once`, but only where the body calls the function that it is given."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _NUMBERS}

    def ask() -> None:
        if came:
            raise InterruptedRunError(came[0])
        if time.monotonic() > deadline.until:
            raise deadline.over

    try:
        yield ask
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
