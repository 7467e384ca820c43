"""What a target of the data lake is, and what it may be given."""

from enum import StrEnum
from typing import Protocol

from eventbridge_cli.facts import Batch

BATCH_BYTES = 8_000_000
"""What a batch has at most, but for the line breaks between its records."""


class Content(StrEnum):
    """What is handed over: a receipt for each delivered chunk, or the delivered events themselves."""

    RECEIPTS = "receipts"
    EVENTS = "events"


class Format(StrEnum):
    """How events are written to files and objects."""

    NDJSON = "ndjson"
    PARQUET = "parquet"


class Target(Protocol):
    """Takes batches. None of its methods blocks the event loop."""

    @property
    def name(self) -> str:
        """What `name_of` makes of its URL. It stays the same from run to run: the outbox's key for this target."""
        ...

    async def check(self) -> None:
        """Prove, before anything is sent, that the target can be reached, is there and lets us write.

        Raises:
            ConfigurationError: it can't, isn't or doesn't.
        """
        ...

    async def put(self, batch: Batch) -> None:
        """Hand `batch` over. Returns once all of it has arrived; putting it again changes nothing.

        Raises:
            TargetError: not all of it is known to have arrived.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections. Nothing is sent any more."""
        ...
