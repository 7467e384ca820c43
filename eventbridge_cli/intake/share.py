"""Share the check of records among processes; the results come in the order in which the records were read."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from multiprocessing import connection, get_context, parent_process
from queue import Queue
from typing import Any

from eventbridge_cli.errors import StorageError
from eventbridge_cli.flow import Checked, Lines, Part, Portion
from eventbridge_cli.intake.cut import Cutter
from eventbridge_cli.intake.validate import Validator

_AHEAD = 2  # batches that are read ahead for each process
_AS_SENT = Lines("", 0, b"")  # stands for the lines of a part, which need not travel back


def share(validator: Validator, batches: Iterator[Portion], jobs: int) -> Iterator[Checked]:
    """Check batches in `jobs` processes. They are made by fork, so that nothing has to be handed to them.

    Raises:
        StorageError: a process was killed, most likely for want of memory.
    """
    with ExitStack() as processes:
        pairs = [processes.enter_context(forked(_work, validator)) for _ in range(jobs)]
        workers = [connection.Connection(pair.detach()) for pair in pairs]
        for worker in workers:
            processes.callback(worker.close)
        results = _Results(workers, batches)
        processes.callback(results.close)
        for batch, found, is_open in results:
            if isinstance(batch, Part) and is_open:
                yield from _again(validator, batch, results)
                continue
            for checked in found:
                if isinstance(batch, Part) and checked.lines == _AS_SENT:
                    yield checked._replace(lines=Lines(batch.source, batch.line, batch.data[:-1]))
                else:
                    yield checked


class _Results(Iterator[tuple[Portion, list[Checked], bool]]):
    """Each batch with what its process made of it.

    The batches are read in a thread of its own, so that a result is given as soon as it is there, even if the next
    batch is long in coming.
    """

    def __init__(self, workers: Sequence[connection.Connection], batches: Iterator[Portion]) -> None:
        self._sent: Queue[tuple[Portion, connection.Connection] | BaseException] = Queue()
        self._room = threading.Semaphore(_AHEAD * len(workers))
        self._closed = False
        self._next: tuple[Portion, connection.Connection] | BaseException | None = None
        threading.Thread(target=self._feed, args=(workers, batches), name="reading", daemon=True).start()

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        self._room.release()

    def peek(self) -> Portion | None:
        """The batch that comes next, if any does."""
        if self._next is None:
            self._next = self._sent.get()
        return self._next[0] if isinstance(self._next, tuple) else None

    def __next__(self) -> tuple[Portion, list[Checked], bool]:
        self.peek()
        assert self._next is not None  # noqa: S101 - it has been waited for
        if isinstance(self._next, BaseException):
            raise self._next
        batch, worker = self._next
        self._next = None
        try:
            found, is_open = worker.recv()
        except (EOFError, OSError) as error:
            raise killed() from error
        self._room.release()
        return batch, found, is_open

    def _feed(self, workers: Sequence[connection.Connection], batches: Iterator[Portion]) -> None:
        try:
            for worker, batch in zip(cycle(workers), batches, strict=False):
                self._room.acquire()
                if self._closed:
                    return
                self._sent.put((batch, worker))
                worker.send(batch)
            raise StopIteration
        except BaseException as error:  # noqa: BLE001 - it is raised again, where the results are wanted
            self._sent.put(error)


def _again(validator: Validator, part: Part, results: _Results) -> Iterator[Checked]:
    """Check a part here whose last array goes on in the next ones, and those, until array and part end together."""
    given = 0

    def read_on(_: int) -> bytes:
        nonlocal given
        following = results.peek() if given else part
        if not isinstance(following, Part) or following.source != part.source or following.line < part.line:
            return b""
        if given:
            next(results)
        given += len(following.data)
        return following.data

    cutter = Cutter(part.source, read_on, validator.limit, line=part.line)
    for batch in cutter.records():
        yield validator.check(batch if isinstance(batch, Lines) else [batch])
        if cutter.offset == given and not cutter.within_array:
            return


def _work(pair: socket.socket, validator: Validator) -> None:
    pipe = connection.Connection(pair.detach())
    while True:
        batch: Portion = pipe.recv()
        if not isinstance(batch, Part):
            pipe.send(([validator.check(batch)], False))
            continue
        found, is_open = validator.part(batch)
        if len(found) == 1 and found[0].lines is not None and len(found[0].lines.data) + 1 == len(batch.data):
            found = [found[0]._replace(lines=_AS_SENT)]
        pipe.send((found, is_open))


@contextmanager
def forked(work: Callable[..., None], *arguments: object) -> Iterator[socket.socket]:
    """A process that does `work(socket, *arguments)`; gives our end of the pair. It ends with the context."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        # Ctrl-C goes to all; what it means is the parent's to say. Without a parent there is no more to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ours.close()
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            work(theirs, *arguments)

    process = get_context("fork").Process(target=run, name="ebingest-worker")
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def killed() -> StorageError:
    """What to say when a process has come to its end before its work did."""
    return StorageError(
        "A process that was checking records was killed, most likely since memory ran out.",
        "Free some memory, or use fewer processes with --jobs, then run the same command again: it resumes.",
    )


def _end_with_parent() -> None:
    parent: Any = parent_process()
    connection.wait([parent.sentinel])
    os._exit(1)
