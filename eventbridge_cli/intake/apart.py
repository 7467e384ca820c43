"""Run the whole intake in a process of its own, so that reading and sending have a core each."""

import pickle
import socket
from contextlib import AbstractContextManager
from dataclasses import replace

from eventbridge_cli.errors import EbingestError
from eventbridge_cli.flow import Chunk, Duplicate, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import forked

Item = Chunk | Rejection | Duplicate

LENGTH_BYTES = 8
"""Before each message stands its length; a message is `(bytes read so far, items)`, None at the end, or an error."""

_MOST_AT_ONCE = 1000


def apart(intake: Intake) -> AbstractContextManager[socket.socket]:
    """A socket that gives the chunks of `intake`, made in another process, a few ahead of what is read.

    Of `intake.jobs`, that process and this one are two; the others check records for it. It is made by fork, before
    anything is opened that it should not hold.
    """
    return forked(_make, replace(intake, jobs=max(1, intake.jobs - 2)))


def _make(to: socket.socket, intake: Intake) -> None:
    def send(message: object) -> None:
        data = pickle.dumps(message)
        to.sendall(len(data).to_bytes(LENGTH_BYTES))
        to.sendall(data)

    items: list[Item] = []
    try:
        for item in intake.chunks():
            items.append(item)
            if intake.listed and isinstance(item, Chunk):
                item.events.list_now()
            if isinstance(item, Chunk) or len(items) >= _MOST_AT_ONCE:
                send((intake.meter.read, items))
                items = []
        send((intake.meter.read, items))
        send(None)
    except EbingestError as error:
        send(error)
