"""From where chunks are made, in a thread or in another process, to an asynchronous iterator of batches."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

_MOST_AT_ONCE = 1000
_MOST_BYTES_AHEAD = 1_000_000
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

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped, and so need not have come to the end."""
        return self._stopped

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

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        while not self._stopped:
            batch = await self._ready.get()
            if isinstance(batch, BaseException):
                raise batch
            if batch is None or self._stopped:
                return
            self._wanted.release()
            yield batch


class Inlet(Generic[T]):
    """Takes messages from a socket, each behind its length, in the loop itself.

    Args:
        source: the socket.
        length_bytes: how many bytes the length has.
        unpack: what a message holds; None is the end. Whatever it raises ends the iteration.
        broken: what to raise if the other end is gone before the end has come.
    """

    def __init__(
        self,
        source: socket.socket,
        length_bytes: int,
        unpack: Callable[[bytes], T | None],
        broken: Callable[[], Exception],
    ) -> None:
        self._source = source
        self._length_bytes = length_bytes
        self._unpack = unpack
        self._broken = broken
        self._stopped = asyncio.Event()
        self._buffer = bytearray(_MOST_BYTES_AHEAD)
        self._begin = self._end = 0  # of what is in the buffer and not yet taken

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped, and so need not have come to the end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End the iteration, even while it waits for a message."""
        self._stopped.set()
        with suppress(OSError):  # it has come to its end already
            self._source.shutdown(socket.SHUT_RD)

    async def __aiter__(self) -> AsyncIterator[T]:
        self._source.settimeout(0)
        try:
            while (message := await self._message()) is not None and (content := self._unpack(message)) is not None:
                yield content
        finally:
            self._source.close()

    async def _message(self) -> bytes | None:
        """The next message, or None once there is to be no more."""
        try:
            length = await self._take(self._length_bytes)
            message = await self._take(int.from_bytes(length))
        except OSError as error:
            if self._stopped.is_set():
                return None
            raise self._broken() from error
        return None if self._stopped.is_set() else message

    async def _take(self, size: int) -> bytes:
        """So many bytes. The socket is asked only for what is not in the buffer, and then for all that it has."""
        if len(self._buffer) - self._begin < size:
            rest = self._buffer[self._begin : self._end]
            self._buffer = self._buffer if size <= len(self._buffer) else bytearray(size)
            self._buffer[: len(rest)] = rest
            self._begin, self._end = 0, len(rest)
        loop, view = asyncio.get_running_loop(), memoryview(self._buffer)
        while self._end - self._begin < size:
            got = await loop.sock_recv_into(self._source, view[self._end :])
            if not got:
                raise ConnectionError
            self._end += got
        data = bytes(view[self._begin : self._begin + size])
        self._begin += size
        if self._begin == self._end:
            self._begin = self._end = 0  # memory that was just used is the quickest
        return data
