"""From a lazy iterator that may block to an asynchronous one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

_MOST_AT_ONCE = 1000
_AHEAD = 8  # batches; with fewer the loop waits for the thread, which waits for its turn

T = TypeVar("T")


class Pump(Generic[T]):
    """Pulls `items` in a thread of its own, a few batches ahead of what is asked for.

    The thread is a daemon: a read that never returns (a silent pipe) can't keep the process from ending.

    Args:
        items: what to pull. A batch ends with the first item for which `ends_batch` is true.
        ends_batch: tells the items that are worth waking up for.
    """

    def __init__(self, items: Iterator[T], ends_batch: Callable[[T], bool]) -> None:
        self._items = items
        self._ends_batch = ends_batch
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[list[T] | BaseException | None] = asyncio.Queue()
        self._wanted = threading.Semaphore(_AHEAD)
        self._stopped = False
        threading.Thread(target=self._pull, name="intake", daemon=True).start()

    def stop(self) -> None:
        """End the iteration, even while the thread is waiting for input."""
        self._stopped = True
        self._ready.put_nowait(None)

    def _pull(self) -> None:
        while self._wanted.acquire() and not self._stopped:
            result: list[T] | BaseException | None
            try:
                result = self._batch() or None
            except BaseException as error:  # noqa: BLE001 - it is raised again, in the loop's thread
                result = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._ready.put_nowait, result)
            if not isinstance(result, list):
                return

    def _batch(self) -> list[T]:
        batch: list[T] = []
        for item in self._items:
            batch.append(item)
            if self._ends_batch(item) or len(batch) >= _MOST_AT_ONCE:
                break
        return batch

    async def __aiter__(self) -> AsyncIterator[T]:
        while not self._stopped:
            batch = await self._ready.get()
            if isinstance(batch, BaseException):
                raise batch
            if batch is None or self._stopped:
                return
            self._wanted.release()
            for item in batch:
                yield item
