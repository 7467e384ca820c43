"""How a process that is asked to end, or has lasted for too long, ends in order."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from msgspec import Struct

from eventbridge_cli.errors import RESUMES, EbingestError, InterruptedRunError

_HANG_UP = getattr(signal, "SIGHUP", None)  # comes when a terminal is closed, from the system and from the shell
ENDING = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, _HANG_UP)))
"""The signals that ask a process to end."""


def _heeded() -> list[signal.Signals]:
    """The signals that ask to end, but for those that whoever started the process has ignored."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    def handle(number: int, frame: object) -> None:
        if number == _HANG_UP:
            signal.signal(number, signal.SIG_IGN)  # for good: it comes again at once
        handler(number, frame)

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, earlier)


@contextmanager
def first_signal(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` at the first signal that asks to end; the second one ends the process at once."""
    import asyncio  # noqa: PLC0415 - commands that need no loop need not load it

    loop, numbers = asyncio.get_running_loop(), _heeded()

    def first(number: int) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN if each == number == _HANG_UP else signal.SIG_DFL)
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
def interruptible(remedy: str = RESUMES) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Let a signal that asks to end raise wherever the body is.

    Gives a context for what is to be done as a whole: there the first signal waits, and a second one raises.
    """
    is_whole, came = False, 0

    def end(number: int, _: object) -> None:
        nonlocal came
        if is_whole and not came:
            came = number
            return
        raise InterruptedRunError(number, remedy)

    @contextmanager
    def whole() -> Iterator[None]:
        nonlocal is_whole
        is_whole = True
        try:
            yield
        finally:
            is_whole = False
            if came:
                raise InterruptedRunError(came, remedy)

    with _handled(_heeded(), end):
        yield whole


class Deadline(Struct, frozen=True):
    """When something has to be over (`until`, in monotonic seconds), and what is raised if it is not."""

    until: float
    over: EbingestError


@contextmanager
def ends_at_once(deadline: Deadline) -> Iterator[None]:
    """Let such a signal and the deadline raise wherever the body is, even while it waits.

    Where a system has no alarms, there is no deadline.
    """

    def end(number: int, _: object) -> None:
        raise deadline.over if number == alarm else InterruptedRunError(number)

    alarm = getattr(signal, "SIGALRM", None)
    with _handled((*_heeded(), *filter(None, [alarm])), end):
        if alarm and deadline.until != float("inf"):
            signal.setitimer(signal.ITIMER_REAL, max(deadline.until - time.monotonic(), 0.001))
        try:
            yield
        finally:
            if alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def ends_when_asked(deadline: Deadline) -> Iterator[Callable[[], None]]:
    """As `ends_at_once`, but only where the body calls the function that it is given."""
    came: list[int] = []

    def ask() -> None:
        if came:
            raise InterruptedRunError(came[0])
        if time.monotonic() > deadline.until:
            raise deadline.over

    with _handled(_heeded(), lambda number, _: came.append(number)):
        yield ask
