"""Empties the outbox into one target, beside a run that never waits for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from eventbridge_cli.errors import EbingestError, TargetError
from eventbridge_cli.facts import Batch, Destination, HandOver, SyncState
from eventbridge_cli.lake.target import BATCH_BYTES, Target
from eventbridge_cli.lake.thread import in_thread

WORTH_ENTRIES = 200
"""Entries that are worth a batch at once."""

BATCH_ENTRIES = 1000
"""Entries that a batch has at most."""

FLUSH_SECONDS = 2.0
"""After so long even a few entries are handed over."""

_CANCEL_SECONDS = 1.0
_CLOSE_SECONDS = 2.0

Backoff = Callable[[int, float, float | None], float | None]
"""From the number of tries, the seconds since the first one and what the target asked for to the seconds until the
next try; None if there is none."""


class Outbox(Protocol):
    """Where entries wait. Its methods may block, and are called in threads, one after the other."""

    def waiting(self, destination: Destination) -> int:
        """How many entries are left."""
        ...

    def hold(self, destination: Destination) -> bool:
        """Be the only one who takes. False: another process is at it."""
        ...

    def let_go(self, destination: Destination, *, at_the_end: bool) -> None:
        """Let others take: now, or `at_the_end` of the process."""
        ...

    def take(self, destination: Destination, *, entries: int, size: int) -> Batch | None:
        """The batch that was not finished, or else a new one; None if nothing waits."""
        ...

    def done(self, destination: Destination, batch: Batch) -> None:
        """Forget a batch, which has arrived."""
        ...


class Worker:
    """Hands over batch by batch: when enough entries wait, when some have waited for long enough, and at the end.

    What passes is tried again. What does not ends the work until the next run: the entries stay in the outbox.

    Args:
        target: takes the batches.
        destination: the outbox's name for it.
        outbox: gives them.
        note: is told what becomes of each.
        backoff: decides on the next try.
        flush_seconds: for how long a few entries wait for more.
        clock: monotonic seconds.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        target: Target,
        destination: Destination,
        outbox: Outbox,
        *,
        note: Callable[[HandOver], None],
        backoff: Backoff,
        flush_seconds: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._target = target
        self._destination = destination
        self._outbox = outbox
        self._note = note
        self._backoff = backoff
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._sleep = sleep
        self._bell: asyncio.Queue[None] = asyncio.Queue(maxsize=1)
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._deadline = float("inf")
        self._waiting = 0
        self._is_empty = False
        self._failed = 0
        self._not_forgotten = 0
        self._trouble = ""
        self._putting = False
        self._held = False
        self.synced = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, beside whatever else the event loop does."""
        self._task = asyncio.create_task(self._run(), name=f"lake {self._destination.target}")

    def ring(self) -> None:
        """One more entry waits. That there is a bell to ring already is fine: the entry is in the outbox."""
        self._waiting += 1
        if self._waiting >= WORTH_ENTRIES and not self._bell.full():
            self._bell.put_nowait(None)

    async def finish(self, grace: float, *, renewed: bool = False) -> None:
        """Hand over what is left, for up to `grace` seconds, and tell what stays in the outbox.

        It ends in time whatever the target does. With `renewed` the grace begins anew with each batch that arrives.
        """
        assert self._task is not None  # noqa: S101 - it was started
        self._deadline = float("inf") if renewed else self._clock() + grace
        self._ending.set()
        hurry = asyncio.create_task(self._hurry.wait())
        progress = -1
        while self.synced > progress and not self._task.done() and not hurry.done():
            progress = self.synced
            await asyncio.wait({self._task, hurry}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            if not renewed:
                break
        hurry.cancel()
        await self._end(self._task)

    def hurry(self) -> None:
        """Let `finish` give no grace, or no more of it."""
        self._hurry.set()

    async def _end(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            self._trouble = self._trouble or (
                "the target had not answered when time was up"
                if self._putting
                else "there was no time left to hand it over"
            )
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
        elif error := task.exception():  # its text may quote data
            self._trouble = f"{type(error).__name__}, which is a bug of ebingest; please report it"
        await self._tell_what_is_left()
        if self._held:
            self._outbox.let_go(self._destination, at_the_end=self._putting)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._target.aclose()

    async def _tell_what_is_left(self) -> None:
        try:
            left = await in_thread(lambda: self._outbox.waiting(self._destination)) - self._not_forgotten
        except EbingestError as error:
            left, self._trouble = self._waiting, error.message
        if pending := max(left - self._failed, 0):
            self._tell(None, pending, SyncState.PENDING, self._trouble)

    async def _run(self) -> None:
        try:
            self._waiting = max(await in_thread(lambda: self._outbox.waiting(self._destination)), self._waiting)
            while await self._is_time():
                if not await self._hand_over():
                    return
        except EbingestError as error:
            self._trouble = error.in_one_line

    async def _is_time(self) -> bool:
        """Wait until there is a batch to hand over. False if there never will be."""
        while not self._ending.is_set() and self._waiting < WORTH_ENTRIES:
            if not await self._first(self._bell.get(), self._sleep(self._flush_seconds)) and self._waiting:
                return True
        return not self._ending.is_set() or not self._is_empty

    async def _hand_over(self) -> bool:
        """Hand over the next batch. False if there is no use in going on."""
        self._held = self._held or await in_thread(lambda: self._outbox.hold(self._destination))
        if not self._held:
            self._trouble = "another process is handing it over"
            return await self._pause(self._flush_seconds)
        expected, at_the_end = self._waiting, self._ending.is_set()
        batch = await in_thread(lambda: self._outbox.take(self._destination, entries=BATCH_ENTRIES, size=BATCH_BYTES))
        if batch is None:
            self._waiting -= expected  # others may have come in meanwhile
            self._is_empty = at_the_end
            return True
        if not await self._put(batch):
            return False
        self._trouble = ""
        self.synced += len(batch.entries)
        self._waiting = max(self._waiting - len(batch.entries), 0)
        self._tell(batch.name, len(batch.entries), SyncState.SYNCED)
        try:
            await in_thread(lambda: self._outbox.done(self._destination, batch))
        except EbingestError as error:
            self._not_forgotten = len(batch.entries)
            again = f"it was handed over and will be so again, as the same batch: {error.message}"
            self._tell(batch.name, len(batch.entries), SyncState.RETRYING, again)
            raise
        return True

    async def _put(self, batch: Batch) -> bool:
        """Put a batch, again and again. False if it has not arrived."""
        began, tries = self._clock(), 0
        while True:
            tries += 1
            try:
                self._putting = True
                await self._target.put(batch)
            except TargetError as error:
                self._putting = False
                self._trouble = error.in_one_line if error.permanent else error.message
                if error.permanent:
                    self._failed = len(batch.entries)
                    self._tell(batch.name, len(batch.entries), SyncState.FAILED, self._trouble)
                    return False
                delay = self._backoff(tries, self._clock() - began, error.retry_after)
                if delay is None or not await self._will_try_again(batch, delay, error.retry_after or 0.0):
                    return False
            except EbingestError:
                self._putting = False
                raise
            else:
                self._putting = False
                return True

    async def _will_try_again(self, batch: Batch, delay: float, at_least: float) -> bool:
        """Wait for the next try; at the end of the run only for as long as the target asks. False: no time is left."""
        began = self._clock()
        if began + at_least > self._deadline:
            return False
        self._tell(batch.name, len(batch.entries), SyncState.RETRYING, self._trouble)
        if not await self._pause(delay):
            return False
        rest = at_least - (self._clock() - began)
        return rest <= 0 or await self._pause(rest)

    async def _pause(self, seconds: float) -> bool:
        """Sleep; the end of the run wakes up who sleeps, once. False if the deadline would pass meanwhile."""
        if not self._ending.is_set():
            await self._first(self._ending.wait(), self._sleep(seconds))
            return True
        if self._clock() + seconds > self._deadline:
            return False
        await self._sleep(seconds)
        return True

    async def _first(self, event: Awaitable[object], sleep: Awaitable[None]) -> bool:
        """Wait for the event, the time, or the end of the run. Whether the event came."""
        futures: list[asyncio.Future[object]] = [
            asyncio.ensure_future(each) for each in (event, sleep, self._ending.wait())
        ]
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            return futures[0].done()
        finally:
            for future in futures:
                future.cancel()

    def _tell(self, batch: str | None, entries: int, state: SyncState, message: str = "") -> None:
        self._note(HandOver(self._destination.target, batch, entries, state, message))
