"""Share the check of records among processes; the results come in the order in which the records stand."""

import gc
import os
import signal
import socket
import threading
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice
from multiprocessing import connection, get_context, parent_process
from typing import Any, NamedTuple

from eventbridge_cli.bulk import Checked, Lines
from eventbridge_cli.errors import EbingestError, StorageError, known
from eventbridge_cli.flow import RawRecord, Rejection
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter
from eventbridge_cli.intake.parts import LinesInFile, Part, changed, divide, line_at, opened, parts, reader
from eventbridge_cli.intake.read import read
from eventbridge_cli.intake.sources import Meter, Source
from eventbridge_cli.intake.validate import Validator
from eventbridge_cli.signals import ENDING


class _Job(NamedTuple):
    """What each process does with its parts.

    `limit` is the size in bytes over which no record is held; `to_copy` tells that lines will be written as they stand.
    """

    validator: Validator
    limit: int
    to_copy: bool

    def cutter(self, part: Part, read_block: Callable[[int], bytes]) -> Cutter:
        """What cuts a part."""
        return Cutter(part.source.name, read_block, self.limit, glance=self.validator, is_part=True)


class _Result(NamedTuple):
    """What was found in a part: its lines begin at byte `begin` and end at `end`.

    `lines` is how many they are. Where the part is open, it ends within a value: then its records can't be right.
    """

    begin: int
    end: int
    lines: int
    checked: list[Checked]
    is_open: bool


def share(
    sources: Sequence[Source],
    validator: Validator,
    jobs: int,
    *,
    meter: Meter,
    limit: int = MAX_RECORD_BYTES,
    to_copy: bool = False,
) -> Iterator[Checked]:
    """Check all records of `sources` in `jobs` processes, which read the parts of files by themselves.

    What can't be divided is read here. The processes are made by fork, so that nothing has to be handed to them.

    Args:
        sources: where to read.
        validator: checks records.
        jobs: how many processes.
        meter: counts the bytes that were read, for progress.
        limit: a longer record is rejected without being held in memory.
        to_copy: whether most lines will be written as they stand: then their lengths are handed over, not their names.

    Raises:
        StorageError: a process was killed, most likely for want of memory.
    """
    job = _Job(validator, limit, to_copy)
    divided = divide(sources)
    with ExitStack() as processes:
        workers = []
        for number in range(jobs if any(length for _, length in divided) else 0):
            mine = islice((each for each in parts(divided) if isinstance(each, Part)), number, None, jobs)
            pair = processes.enter_context(forked(_work, mine, job))
            workers.append(connection.Connection(pair.detach()))
            processes.callback(workers[-1].close)
        ahead = _Ahead(parts(divided), workers, meter)
        line = 0  # how many lines of the source come before the part
        while (part := ahead.peek()) is not None:
            if isinstance(part, Source):
                ahead.skip()
                yield from validator.check(read([part], meter=meter, max_record_bytes=limit, glance=validator))
                continue
            line = line if part.start else 0
            result = ahead.result()
            if result.is_open:
                line += yield from _again(part, result, line, job, ahead)
            else:
                yield from (checked.moved(line) for checked in result.checked)
                line += result.lines


class _Ahead:
    """What is still to come: sources as a whole, and parts, of which each has its result from a process."""

    def __init__(self, order: Iterator[Part | Source], workers: Sequence[connection.Connection], meter: Meter) -> None:
        self._order = order
        self._workers = cycle(workers)
        self._meter = meter
        self._next = next(order, None)

    def peek(self) -> Part | Source | None:
        """What comes next."""
        return self._next

    def skip(self) -> None:
        """Go on to what follows."""
        self._next = next(self._order, None)

    def result(self) -> _Result:
        """Wait for the result of the part that comes next, and go on to what follows."""
        try:
            result: _Result | EbingestError = next(self._workers).recv()
        except (EOFError, OSError) as error:
            raise killed() from error
        if isinstance(result, EbingestError):
            raise result
        self._meter.read += result.end - result.begin
        self.skip()
        return result


def _again(part: Part, result: _Result, line: int, job: _Job, ahead: _Ahead) -> Generator[Checked, None, int]:
    """Check a part here whose last value goes on in the next ones, and those, until value and part end together.

    Returns how many lines that were.
    """
    end = result.end

    def read_on(size: int) -> bytes:
        nonlocal end
        block = read_block(size)
        while not block and isinstance(following := ahead.peek(), Part) and following.start:
            end = ahead.result().end
            block = read_block(size)
        return block

    with opened(part.source) as file:
        read_block = reader(file, result.begin, lambda: end)
        cutter = job.cutter(part, read_on)
        for item in cutter.records():
            yield from (checked.moved(line) for checked in job.validator.check([item]))
            if result.begin + cutter.offset == end and not cutter.within_array:
                break
        return cutter.lines


def _work(pair: socket.socket, mine: Iterator[Part], job: _Job) -> None:
    pipe = connection.Connection(pair.detach())
    try:
        for part in mine:
            pipe.send(_result(part, job))
    except Exception as error:  # noqa: BLE001 - the other process raises it
        pipe.send(known(error))


def _result(part: Part, job: _Job) -> _Result:
    with opened(part.source) as file:
        begin, end = line_at(file, part.start), line_at(file, part.stop)
        cutter = job.cutter(part, reader(file, begin, lambda: end))
        checked = list(job.validator.check(_left_in_file(part, begin, cutter, job)))
        if os.fstat(file).st_size < part.stop:
            raise changed(part.source)
        return _Result(begin, end, cutter.lines, checked, cutter.is_open)


def _left_in_file(part: Part, begin: int, cutter: Cutter, job: _Job) -> Iterator[Checked | RawRecord | Rejection]:
    """What a cutter gives, without the lines themselves: whoever wants those reads them faster than they travel."""
    for item in cutter.records():
        if isinstance(item, Checked) and isinstance(item.plain, Lines) and not item.plain.originals:
            start, end = begin + item.plain.start, begin + cutter.offset
            lengths = array("L", map(len, item.plain.records)) if job.to_copy else None
            lines = LinesInFile(part.source, start, end, item.size, lengths)
            rows = None if job.to_copy else item.rows
            yield item._replace(plain=item.plain._replace(records=lines), rows=rows)
        else:
            yield item


@contextmanager
def forked(work: Callable[..., None], *arguments: object) -> Iterator[socket.socket]:
    """A process that does `work(socket, *arguments)`; gives our end of the pair. It ends with the context.

    Raises:
        StorageError: the system makes no more processes for now.
    """
    ours, theirs = socket.socketpair()

    def run() -> None:
        # A signal may go to all; what it means is the parent's to say. Without a parent there is no more to do.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        ours.close()
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            work(theirs, *arguments)

    process = get_context("fork").Process(target=run, name="ebingest-worker")
    gc.freeze()  # or the other process's collector would touch, and so copy, all that is here
    try:
        process.start()
    except OSError as error:
        ours.close()
        raise StorageError(
            f"The system makes no process to check records: {os.strerror(error.errno or 0)}.",
            "Allow more processes or memory, or do without with --jobs 1, then run the same command again.",
        ) from error
    finally:
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
