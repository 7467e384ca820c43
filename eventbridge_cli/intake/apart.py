"""Run the whole intake in a process of its own, so that reading and sending have a core each."""

import pickle
import socket
from collections import deque
from contextlib import AbstractContextManager

from msgspec.structs import replace

from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.errors import known
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import forked

LENGTH_BYTES = 8
"""Before each message stands its length; a message is `(bytes read so far, items)`, None at the end, or an error."""

_MOST_AT_ONCE = 1000
_MOST_BYTES_AHEAD = 8_000_000  # that are made before anybody takes them: the other process has yet to start


def apart(intake: Intake) -> AbstractContextManager[socket.socket]:
    """A socket that gives the chunks of `intake`, made in another process, ahead of what is read.

    Of `intake.jobs`, that process and this one are two; the others check records for it. It is made by fork, before
    anything is opened that it should not hold.
    """
    return forked(_make, replace(intake, jobs=max(1, intake.jobs - 2)))


def _make(to: socket.socket, intake: Intake) -> None:
    messages = _Messages(to, 0 if intake.meter.total is None else _MOST_BYTES_AHEAD)
    items: list[Item] = []
    try:
        for item in intake.chunks():
            items.append(item)
            if intake.listed and isinstance(item, Chunk):
                item.events.list_now()
            if isinstance(item, Chunk) or len(items) >= _MOST_AT_ONCE:
                messages.send((intake.meter.read, items))
                items = []
        messages.send((intake.meter.read, items))
        messages.send(None)
    except Exception as error:  # noqa: BLE001 - the other process raises it
        messages.send(known(error))
    messages.end()


class _Messages:
    """Sends messages, but does not wait for them to be taken before `ahead` bytes are left.

    What is left goes with the next message.
    """

    def __init__(self, to: socket.socket, ahead: int) -> None:
        self._to = to
        self._ahead = ahead
        self._left: deque[memoryview] = deque()
        self._bytes = 0

    def send(self, message: object) -> None:
        """Send a message, or keep it for later."""
        data = pickle.dumps(message)
        self._left += (memoryview(len(data).to_bytes(LENGTH_BYTES)), memoryview(data))
        self._bytes += LENGTH_BYTES + len(data)
        self._flush(self._ahead)

    def end(self) -> None:
        """Wait until all is sent."""
        self._flush(0)

    def _flush(self, most: int) -> None:
        while self._left:
            try:
                sent = self._to.send(self._left[0], 0 if self._bytes > most else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            self._bytes -= sent
            self._left[0] = self._left[0][sent:]
            if not self._left[0]:
                self._left.popleft()
