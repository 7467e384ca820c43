"""The nouns, in the order in which they travel: bytes, record, event, chunk, receipt.

Each says where it came from, so that every message can say `calls.ndjson:17`. All are immutable. RawRecord and Event
are made for every single record, so they are named tuples, which Python makes in a third of the time.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Protocol


class Stage(StrEnum):
    """Where in the flow a record's way ended."""

    READ = "read"
    VALIDATE = "validate"
    DEDUPE = "dedupe"
    CHUNK = "chunk"
    DELIVER = "deliver"


class Reason(StrEnum):
    """Why a record was rejected here or refused by the server; the detail stands beside it."""

    UNREADABLE = "unreadable"
    OVERSIZED = "oversized"
    INVALID_ENCODING = "invalid_encoding"
    INVALID_JSON = "invalid_json"
    SCHEMA_VIOLATION = "schema_violation"
    MISSING_KEY = "missing_key"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record stands: a source, the line and the column, in characters, at which it begins (from 1).

    `index` counts from 0 and is set for a record that is an item of an array.
    """

    source: str
    line: int
    column: int = 1
    index: int | None = None

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}"
        return place if self.index is None else f"{place}[{self.index}]"


class RawRecord(NamedTuple):
    """One record as it was read: its own bytes, not yet known to be JSON."""

    origin: Origin
    data: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a record, and what to do about it.

    `path` names the field (empty: the record as a whole). `found` is shown to people only; it never goes to
    the audit file.
    """

    code: str
    path: str
    found: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        found = f"found {self.found}" if self.found else ""
        allowed = f"allowed: {self.allowed}" if self.allowed else ""
        facts = ", ".join(part for part in (found, allowed) if part)
        return f"{where}{facts}; {self.remedy}" if facts else f"{where}{self.remedy}"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record whose way ends here: a value in the stream, never an exception.

    `data` is the record as it was read, or None where it was too large to hold.
    """

    origin: Origin
    stage: Stage
    reason: Reason
    problems: tuple[Problem, ...]
    data: bytes | None


class Event(NamedTuple):
    """A valid event. `body` is what is sent, byte for byte; `raw` is the record as it was read.

    `dropped` names the fields that the schema does not have and that `body` therefore leaves out.
    `key` is the 128-bit deduplication digest, empty until the dedupe stage has set it.
    """

    origin: Origin
    raw: bytes
    body: bytes
    interaction_id: str
    event_type: str
    event_time: str
    dropped: tuple[str, ...] = ()
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A copy that is left out. `first` is the place of the first one, or the run that delivered it earlier.

    `conflict` tells a copy whose content differs from the first apart from a true copy.
    """

    event: Event
    first: Origin | str
    conflict: bool = False

    @property
    def of_earlier_run(self) -> bool:
        """Whether an earlier run delivered the event, rather than this file holding it twice."""
        return isinstance(self.first, str)


ENVELOPE_OPEN = b'{"events":['
ENVELOPE_CLOSE = b"]}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events that travel in one request, with the bytes that were measured and are sent."""

    events: tuple[Event, ...]
    body: bytes

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Chunk":
        """Wrap `events` in the platform's envelope."""
        body = ENVELOPE_OPEN + b",".join([event.body for event in events]) + ENVELOPE_CLOSE
        return cls(tuple(events), body)

    @property
    def request_id(self) -> str:
        """The `X-Request-Id`: a UUID (version 8, RFC 9562) of the body's content.

        The same body has the same id over every retry, run and machine.
        """
        digest = bytearray(blake2b(self.body, digest_size=16).digest())
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return str(uuid.UUID(bytes=bytes(digest)))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST and what came of it.

    `outcome` is a short word (`delivered`, `http_503`, `timeout`, ...); `seconds` runs from the start of the
    request to the last byte of the answer. `unknown` marks a request that was sent and never answered: the
    server may have it. `delay` is the wait before the next attempt, in seconds.
    """

    number: int
    outcome: str
    seconds: float
    status: int | None = None
    correlation_id: str = ""
    unknown: bool = False
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server said no, for good, about this event."""

    event: Event
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of every event of one chunk. Each stands in exactly one of the three lists.

    `cause` says why events are pending; `warning` what was odd about an answer that counts as delivery.
    """

    chunk: Chunk
    request_id: str
    delivered: tuple[Event, ...]
    refused: tuple[Refusal, ...]
    pending: tuple[Event, ...]
    attempts: tuple[Attempt, ...]
    cause: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A chunk is about to be posted; `again` if it was posted before in this run, under the same request id."""

    chunk: Chunk
    request_id: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A POST of `size` bytes has come to its end, with an answer or without."""

    request_id: str
    size: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Retried:
    """An attempt failed and another one follows after `attempt.delay` seconds."""

    request_id: str
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Split:
    """A chunk is sent again in parts; `limit` is the request size that the server takes, if it said so."""

    request_id: str
    parts: tuple[str, ...]
    cause: str
    limit: int | None = None


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
class TokenIssued:
    """The platform gave a token. Its lifetime in seconds and its scope, never the token."""

    expires_in: float
    scope: str
    seconds: float


Fact = Submitted | Answered | Retried | Split | TokenIssued | Receipt | Rejection | Duplicate | Event


class DeliveredKeys(Protocol):
    """The one question that the flow asks of what earlier runs delivered."""

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The keys among `keys` that were delivered, each with the run that did."""
        ...


def places(origins: Iterator[Origin]) -> list[str]:
    """Origins in short: neighbouring lines of a source become a range, as in `calls.ndjson:1-100`."""
    spans: list[tuple[str, bool, int, int]] = []
    for origin in origins:
        indexed = origin.index is not None
        number = origin.line if origin.index is None else origin.index
        if spans and spans[-1][:2] == (origin.source, indexed) and number == spans[-1][3] + 1:
            spans[-1] = (*spans[-1][:3], number)
        else:
            spans.append((origin.source, indexed, number, number))
    return [_span(*span) for span in spans]


def _span(source: str, indexed: bool, first: int, last: int) -> str:  # noqa: FBT001
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{source}[{numbers}]" if indexed else f"{source}:{numbers}"
