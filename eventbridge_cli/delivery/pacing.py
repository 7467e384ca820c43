"""One pace for all senders: how many at once, how often, and when none at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from random import random as system_random
from typing import Any

from eventbridge_cli.errors import PendingError

_HOLD_JITTER = 0.25  # seconds over which senders are spread after a pause
_MOST = 1e12  # of a quota, and of the seconds until it is reset: beyond that it is nonsense
_SPARE = 1  # requests of the platform's quota that are left alone


class Pace:
    """Admits one request after the other.

    It starts with a single request in flight, so that a wrong address or token is found out by one request, and
    opens to `concurrency` once that one is accepted. Trouble halves the width (5, 3, 2, 1); success widens it
    step by step.

    Args:
        concurrency: requests in flight at once, at most.
        rate: requests per second, at most; without it the platform's own quota headers steer.
        max_wait: seconds, at most, that the platform's quota may put before a request.
        clock: monotonic seconds.
        sleep: waits so many seconds.
        random: draws from 0 to 1.
    """

    def __init__(
        self,
        concurrency: int = 5,
        *,
        rate: float | None = None,
        max_wait: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = system_random,
    ) -> None:
        self.concurrency = concurrency
        self._interval = 1 / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._changed = asyncio.Event()
        self._stopping = False
        self._proved = False
        self._pilot: asyncio.Task[Any] | None = None
        self._since_shrink = 0
        self._shrunk_at = float("-inf")
        self._held_until = float("-inf")
        self._next_turn = float("-inf")
        self._quota_interval = 0.0
        self._quota_until = float("-inf")
        self._quota_held_until = float("-inf")
        self._max_wait = max_wait
        self.width = 1
        self.in_flight = 0

    async def admit(self) -> float | None:
        """Wait for a turn. Gives the time at which it came, or None when the run is stopping.

        Whoever got a turn calls `leave` when the answer is there. Until a request is accepted, all turns go to one
        task, until it calls `settled`.

        Raises:
            PendingError: the platform's quota lets no request through for longer than `max_wait`.
        """
        while not self._stopping:
            now = self._clock()
            if self._quota_held_until - now > self._max_wait:
                raise PendingError(
                    f"The platform's quota is used up for {self._quota_held_until - now:,.0f} s, "
                    "longer than --max-wait.",
                    "Nothing is lost: run the same command again later, and it resumes. Or raise --max-wait.",
                )
            wait = max(self._held_until, self._next_turn) - now
            is_its_turn = self._proved or self._pilot in {None, asyncio.current_task()}
            if is_its_turn and self.in_flight < self.width and wait <= 0:
                if not self._proved:
                    self._pilot = asyncio.current_task()
                self.in_flight += 1
                self._next_turn = max(self._next_turn, now) + self._spacing(now)
                return now
            await self.pause(wait if is_its_turn and self.in_flight < self.width else None)
        return None

    def leave(self) -> None:
        """The answer is there, or there will be none."""
        self.in_flight -= 1
        self._notify()

    def settled(self) -> None:
        """The task that calls this has come to the end of what it wanted turns for."""
        if self._pilot is not None and self._pilot is asyncio.current_task():
            self._pilot = None
            self._notify()

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, or until something changes; None: until something changes."""
        if seconds is None:
            await self._changed.wait()
            return
        waits: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(self._changed.wait()),
            asyncio.ensure_future(self._sleep(seconds)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def wait(self, seconds: float) -> bool:
        """Wait so long. False if the run is stopping, at once."""
        until = self._clock() + seconds
        while not self._stopping and (left := until - self._clock()) > 0:
            await self.pause(left)
        return not self._stopping

    def stop(self) -> None:
        """Admit nobody any more and end all waits."""
        self._stopping = True
        self._notify()

    def hold(self, seconds: float) -> None:
        """Let no request start for so long; a longer hold that stands already stays."""
        self._held_until = max(self._held_until, self._clock() + seconds + self._random() * _HOLD_JITTER)

    def accepted(self) -> None:
        """A request was accepted: the first one opens the width, later ones widen it again after trouble."""
        if not self._proved:
            self._proved = True
            self.width = self.concurrency
            self._notify()
            return
        self._since_shrink += 1
        if self.width < self.concurrency and self._since_shrink >= self.width:
            self.width += 1
            self._since_shrink = 0
            self._notify()

    def troubled(self, admitted_at: float) -> None:
        """A request that was admitted then was throttled or timed out. One burst of trouble counts once."""
        if admitted_at <= self._shrunk_at:
            return
        self._shrunk_at = self._clock()
        self._since_shrink = 0
        self.width = max(1, (self.width + 1) // 2)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Steer by the platform's quota: `inin-ratelimit-allowed`, `-count` and `-reset` (seconds).

        The first half of a quota goes at full speed, the rest is spread over the time until it is reset.
        """
        try:
            allowed, count, reset = (float(headers[f"inin-ratelimit-{name}"]) for name in ("allowed", "count", "reset"))
        except (KeyError, ValueError):
            return
        if not (0 <= allowed < _MOST and 0 <= count < _MOST and 0 < reset < _MOST):
            return
        now = self._clock()
        left = allowed - count - self.in_flight - _SPARE
        self._quota_until = now + reset
        if left <= 0:
            self._quota_interval = 0.0
            self.hold(reset)
            self._quota_held_until = now + reset
            self._notify()
        else:
            self._quota_interval = reset / left if count > allowed // 2 else 0.0
            self._quota_held_until = now + self._quota_interval

    def _spacing(self, now: float) -> float:
        return max(self._interval, self._quota_interval if now < self._quota_until else 0.0)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
