"""Run the whole intake in a process of its own, so that reading and sending have a core each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import connection

from eventbridge_cli.errors import EbingestError
from eventbridge_cli.flow import Chunk, Duplicate, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import forked, received

Item = Chunk | Rejection | Duplicate
_MOST_AT_ONCE = 1000


@contextmanager
def apart(intake: Intake) -> Iterator[Iterator[Item]]:
    """The chunks of `intake`, made in another process, a few ahead of what is asked for.

    Of `intake.jobs`, that process and this one are two; the others check records for it. It is made by fork, before
    anything is opened that it should not hold. The iterator raises what the intake raises, and StorageError if the
    process was killed.
    """
    with forked(_make, replace(intake, jobs=max(1, intake.jobs - 2))) as pipe:
        yield _items(intake, pipe)


def _make(pipe: connection.Connection, intake: Intake) -> None:
    items: list[Item] = []
    try:
        for item in intake.chunks():
            items.append(item)
            if isinstance(item, Chunk) or len(items) >= _MOST_AT_ONCE:
                pipe.send((intake.meter.read, items))
                items = []
        pipe.send((intake.meter.read, items))
        pipe.send(None)
    except EbingestError as error:
        pipe.send(error)


def _items(intake: Intake, pipe: connection.Connection) -> Iterator[Item]:
    while (message := received(pipe)) is not None:
        if isinstance(message, EbingestError):
            raise message
        intake.meter.read, items = message
        yield from items
