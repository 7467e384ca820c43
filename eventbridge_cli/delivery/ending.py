"""How a run ends early: nothing new begins, and what is under way has a while to settle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eventbridge_cli.errors import EbingestError


class Ending:
    """The end of a run, once somebody calls for it.

    Args:
        grace: seconds for which what is under way may go on.

    `error` is what ended the run early, if anything did.
    """

    def __init__(self, grace: float) -> None:
        self.error: EbingestError | None = None
        self._grace = grace
        self._until: float | None = None  # on the loop's clock
        self._under_way: set[asyncio.Timeout] = set()

    def begin(self, error: EbingestError) -> bool:
        """End the run. The first error stands: False if there was one."""
        if self.error is not None:
            return False
        self.error = error
        self._until = asyncio.get_running_loop().time() + self._grace
        for limit in self._under_way:
            self._cut_short(limit)
        return True

    @asynccontextmanager
    async def limited(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Take no longer than so many seconds, nor than the grace once the run ends.

        Raises:
            TimeoutError: it would.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._under_way.add(limit)
                self._cut_short(limit)
                yield
        finally:
            self._under_way.discard(limit)

    def _cut_short(self, limit: asyncio.Timeout) -> None:
        if self._until is not None and not limit.expired():
            limit.reschedule(min(self._until, limit.when() or self._until))
