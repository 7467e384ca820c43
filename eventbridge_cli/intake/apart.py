"""Run the whole intake in a process of its own, so that reading and sending have a core each."""

import pickle
import socket
import threading
from contextlib import AbstractContextManager
from dataclasses import replace

from eventbridge_cli.bulk import Chunk
from eventbridge_cli.errors import EbingestError
from eventbridge_cli.flow import Duplicate, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import forked

Item = Chunk | Rejection | Duplicate

LENGTH_BYTES = 8
"""Before each message stands its length; a message is `(bytes read so far, items)`, None at the end, or an error."""

_MOST_AT_ONCE = 1000
_MOST_BYTES_AHEAD = 2_000_000  # that wait; as many are being sent. The other process has yet to start meanwhile.


def apart(intake: Intake) -> AbstractContextManager[socket.socket]:
    """A socket that gives the chunks of `intake`, made in another process, ahead of what is read.

    Of `intake.jobs`, that process and this one are two; the others check records for it. It is made by fork, before
    anything is opened that it should not hold.
    """
    return forked(_make, replace(intake, jobs=max(1, intake.jobs - 2)))


def _make(to: socket.socket, intake: Intake) -> None:
    messages = _Messages(to)
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
    except EbingestError as error:
        messages.send(error)
    messages.end()


class _Messages:
    """Sends messages in a thread of its own, all that wait at once: it gets its turn but every few milliseconds."""

    def __init__(self, to: socket.socket) -> None:
        self._to = to
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._ended = False
        self._is_taken = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._send_all, name="sending", daemon=True)
        self._thread.start()

    def send(self, message: object) -> None:
        """Send a message, or have it sent as soon as it is taken.

        Raises:
            BrokenPipeError: nobody takes messages any more.
        """
        data = pickle.dumps(message)
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < _MOST_BYTES_AHEAD)
            if not self._is_taken:
                raise BrokenPipeError
            self._waiting += (len(data).to_bytes(LENGTH_BYTES), data)
            self._bytes += len(data)
            self._changed.notify_all()

    def end(self) -> None:
        """Wait until all is sent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                data, self._waiting = b"".join(self._waiting), []
                self._bytes = 0
                self._changed.notify_all()
            try:
                self._to.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                self._is_taken = False
