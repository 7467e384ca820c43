"""Work that blocks, kept off the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Do `work` in a thread of its own and wait for what it returns or raises.

    The thread is a daemon, unlike those of `asyncio.to_thread`: a disk or a network that never answers can't keep the
    process from ending. To stop waiting doesn't stop the work.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on it can't be cancelled, so that its result has a place

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the loop's thread
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="lake", daemon=True).start()
    return await asyncio.wrap_future(future)
