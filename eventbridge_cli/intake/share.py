"""Share work among processes: batches in, results out, in the same order."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from multiprocessing import connection, get_context, parent_process
from queue import Queue
from typing import Any

from eventbridge_cli.errors import StorageError
from eventbridge_cli.flow import Checked, Lines, RawRecord, Rejection

Batch = Lines | Sequence[RawRecord | Rejection]

_AHEAD = 2  # batches that are read ahead for each process


def share(check: Callable[[Batch], Checked], batches: Iterator[Batch], jobs: int) -> Iterator[Checked]:
    """`map(check, batches)`, in `jobs` processes. They are made by fork, so that nothing has to be handed to them.

    The batches are read in a thread of its own, so that a result is given as soon as it is there, even if the next
    batch is long in coming.

    Raises:
        StorageError: a process was killed, most likely for want of memory.
    """
    sent: Queue[tuple[Batch, connection.Connection] | BaseException | None] = Queue()
    room = threading.Semaphore(_AHEAD * jobs)
    ended = threading.Event()

    def feed(workers: Sequence[connection.Connection]) -> None:
        try:
            for worker, batch in zip(cycle(workers), batches, strict=False):
                room.acquire()
                if ended.is_set():
                    return
                sent.put((batch, worker))
                worker.send(batch)
            sent.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again, where the results are wanted
            sent.put(error)

    with ExitStack() as processes:
        workers = [processes.enter_context(forked(_work, check)) for _ in range(jobs)]
        processes.callback(room.release)
        processes.callback(ended.set)
        threading.Thread(target=feed, args=(workers,), name="reading", daemon=True).start()
        while (item := sent.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            batch, worker = item
            checked: Checked = received(worker)
            room.release()
            yield checked._replace(lines=batch) if isinstance(batch, Lines) else checked


def _work(pipe: connection.Connection, check: Callable[[Batch], Checked]) -> None:
    while True:
        pipe.send(check(pipe.recv())._replace(lines=None))


@contextmanager
def forked(work: Callable[..., None], *arguments: object) -> Iterator[connection.Connection]:
    """A process that does `work(pipe, *arguments)`; gives our end of the pipe. The process ends with the context."""
    context = get_context("fork")
    ours, theirs = context.Pipe()

    def run() -> None:
        # Ctrl-C goes to all; what it means is the parent's to say. Without a parent there is no more to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ours.close()
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            work(theirs, *arguments)

    process = context.Process(target=run, name="ebingest-worker")
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def received(pipe: connection.Connection) -> Any:
    """The next thing that a process sends.

    Raises:
        StorageError: it was killed.
    """
    try:
        return pipe.recv()
    except (EOFError, OSError) as error:
        raise StorageError(
            "A process that was checking records was killed, most likely since memory ran out.",
            "Free some memory, or use fewer processes with --jobs, then run the same command again: it resumes.",
        ) from error


def _end_with_parent() -> None:
    parent: Any = parent_process()
    connection.wait([parent.sentinel])
    os._exit(1)
