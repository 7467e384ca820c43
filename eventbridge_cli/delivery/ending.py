"""How a run ends early: nothing new begins, and what is under way has a while to settle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

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
        self._began: float | None = None  # on the loop's clock
        self._under_way: dict[asyncio.Timeout, float] = {}  # and how long each may go on

    def begin(self, error: EbingestError) -> bool:
        """End the run. The first error stands: False if there was one."""
        if self.error is not None:
            return False
        self.error = error
        self._began = asyncio.get_running_loop().time()
        for limit in self._under_way:
            self._cut_short(limit)
        return True

    @asynccontextmanager
    async def limited(self, seconds: float | None = None, *, grace: float = inf) -> AsyncIterator[None]:
        """Take no longer than so many seconds, nor than the grace once the run ends, or this one if it is shorter.

        Raises:
            TimeoutError: it would.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._under_way[limit] = min(grace, self._grace)
                self._cut_short(limit)
                yield
        finally:
            self._under_way.pop(limit, None)

    def _cut_short(self, limit: asyncio.Timeout) -> None:
        if self._began is not None and not limit.expired():
            until = self._began + self._under_way[limit]
            limit.reschedule(min(until, limit.when() or until))
