"""The facts of a delivery, from the first POST to what is handed on: nouns that only a run has a use for."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.errors import StorageError
from eventbridge_cli.excerpt import excerpt
from eventbridge_cli.flow import Duplicate, Event, Rejection
from eventbridge_cli.packing import UnpackingError, unpacked

RECEIPT_END = b"}"
_MOST_TOGETHER = 1000


class OutboxEntry(Struct, frozen=True):
    """What is handed to the data lake for one delivered chunk, as it waits in the outbox.

    `request_id` is the `X-Request-Id` and `delivered_at` is in UTC. What is large is held packed, and unpacked each
    time that somebody asks: the receipt's `head` is followed by the list of its events.
    """

    request_id: str
    run: str
    delivered_at: datetime
    head: bytes
    listed: bytes
    packed_bodies: bytes | None = None

    @property
    def receipt(self) -> bytes:
        """One JSON object on one line, without its line break.

        Raises:
            StorageError: it is damaged.
        """
        return b"".join((self.head, _unpacked(self.listed), RECEIPT_END))

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """The delivered events' own bytes, empty where only receipts are wanted.

        Raises:
            StorageError: they are damaged.
        """
        return () if self.packed_bodies is None else tuple(_unpacked(self.packed_bodies).split(b"\n"))


def _unpacked(data: bytes) -> bytes:
    try:
        return unpacked(data)
    except UnpackingError as error:
        raise StorageError(f"An entry of the outbox is damaged: {error}.", "Restore the state folder.") from error


class Batch(Struct, frozen=True):
    """Entries that are handed over together.

    Its members never change once it is named, so that a second try is the same thing. `name` is the hex digest of
    its entries' content.
    """

    name: str
    entries: tuple[OutboxEntry, ...]


class Destination(Struct, frozen=True):
    """Where entries of the outbox go: the name of a target, and what it gets in which form.

    Entries of different destinations never share a batch: what is handed over stays what it was asked to be.
    """

    target: str
    content: str
    form: str


class Attempt(Struct, frozen=True):
    """One POST and what came of it.

    `outcome` is a short word (`delivered`, `http_503`, `timeout`, ...); `seconds` runs from the start of the
    request to the last byte of the answer. `unknown` marks a request that was sent and never answered, or in half: the
    server may have it. `delay` is the wait before the next attempt, in seconds.
    """

    number: int
    outcome: str
    seconds: float
    status: int | None = None
    correlation_id: str = ""
    unknown: bool = False
    delay: float | None = None


class Refusal(Struct, frozen=True):
    """The server said no, for good, about this event."""

    event: Event
    message: str
    status: int

    @property
    def reason(self) -> str:
        """What the server said, without what it quotes of the event."""
        return excerpt(self.message.encode(errors="replace"), sent=[self.event.body])


class Receipt(Struct, frozen=True):
    """What became of events of one chunk: each that is settled stands in one of the three lists.

    Those that are sent again, in requests of their own, stand in none; they get receipts of those.
    `cause` says why events are pending; `warning` what was odd about an answer that counts as delivery.
    """

    chunk: Chunk
    request_id: str
    delivered: Sequence[Event]
    refused: tuple[Refusal, ...]
    pending: Sequence[Event]
    attempts: tuple[Attempt, ...]
    cause: str = ""
    warning: str = ""


class Submitted(Struct, frozen=True):
    """A chunk is about to be posted; `again` if it was posted before in this run, under the same request id."""

    chunk: Chunk
    request_id: str
    again: bool = False


class Answered(Struct, frozen=True):
    """A POST of `size` bytes has come to its end, with an answer or without."""

    request_id: str
    size: int
    attempt: Attempt


class Retried(Struct, frozen=True):
    """An attempt failed and another one follows after `attempt.delay` seconds."""

    request_id: str
    attempt: Attempt


class Split(Struct, frozen=True):
    """A chunk is sent again in parts; `limit` is the request size that the server takes, if it said so."""

    request_id: str
    parts: tuple[str, ...]
    cause: str
    limit: int | None = None


class SyncState(StrEnum):
    """How far entries are on their way to the data lake."""

    SYNCED = "synced"
    RETRYING = "retrying"
    PENDING = "pending"
    FAILED = "failed"


class HandOver(Struct, frozen=True):
    """What became of entries that are handed to a target of the data lake.

    A batch is `synced` once all of it has arrived, `retrying` while another try follows, and `failed` if none does
    before somebody mends something. What is left in the outbox at the end is `pending`; it need not have a batch yet.
    `message` says why, where it is not synced.
    """

    target: str
    batch: str | None
    entries: int
    state: SyncState
    message: str = ""


class TokenIssued(Struct, frozen=True):
    """The platform gave a token. Its lifetime in seconds and its scope, never the token."""

    expires_in: float
    scope: str
    seconds: float


class Duplicates(Struct, frozen=True):
    """Copies that came in one behind the other."""

    copies: tuple[Duplicate, ...]


Fact = Submitted | Answered | Retried | Split | TokenIssued | Receipt | Rejection | Duplicates | HandOver


def gathered(items: Iterable[Item]) -> Iterator[Chunk | Rejection | Duplicates]:
    """Items in their order, of which neighbouring copies are one fact: to write each down alone takes its time."""
    copies: list[Duplicate] = []
    for item in items:
        if isinstance(item, Duplicate):
            copies.append(item)
            if len(copies) < _MOST_TOGETHER:
                continue
        if copies:
            yield Duplicates(tuple(copies))
            copies = []
        if not isinstance(item, Duplicate):
            yield item
    if copies:
        yield Duplicates(tuple(copies))
