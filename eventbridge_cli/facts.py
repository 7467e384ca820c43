"""What is handed on once events are delivered: nouns that only a run which delivers has a use for."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """What is handed to the data lake for one delivered chunk.

    `request_id` is the `X-Request-Id` and `delivered_at` is in UTC. `receipt` is one JSON object on one line,
    without its line break. `bodies` are the delivered events' own bytes, empty where only receipts are wanted.
    """

    request_id: str
    run: str
    delivered_at: datetime
    receipt: bytes
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that are handed over together.

    Its members never change once it is named, so that a second try is the same thing. `name` is the hex digest of
    its entries' content.
    """

    name: str
    entries: tuple[OutboxEntry, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where entries of the outbox go: the name of a target, and what it gets in which form.

    Entries of different destinations never share a batch: what is handed over stays what it was asked to be.
    """

    target: str
    content: str
    form: str
