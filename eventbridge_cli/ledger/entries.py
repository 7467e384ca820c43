"""The lines of an audit file as typed facts: what `audit` writes, checked on the way back in."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct, convert
from msgspec.json import Decoder

from eventbridge_cli.flow import Origin

# Far beyond what a run can be, and near enough that nothing which is computed from them overflows.
Count = Annotated[int, Meta(ge=0, le=10**15)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Status = Annotated[int, Meta(ge=0, le=999)]
_YEARS = range(1970, 2200)  # a clock that nobody has set begins in the first one

Place = str
"""Where a record stands, as in `calls.ndjson:17`."""


_moment = lru_cache(maxsize=100)(datetime.fromisoformat)  # of many lines the time is the same


class RecordEntry(NamedTuple):
    """A record that a line speaks of."""

    place: Place
    interaction_id: str
    key: str


class Entry(Struct, frozen=True, kw_only=True):
    """What every line has, or may have. Fields that are not known here are passed over."""

    time: str
    run: str
    event: str
    previous: str
    request_id: str = ""
    interaction_id: str = ""
    records: tuple[RecordEntry, ...] = ()

    def __post_init__(self) -> None:
        moment = self.moment
        if moment.tzinfo is None or moment.year not in _YEARS or moment.timestamp() < 0:
            raise ValueError("no time at which a run can be")

    @property
    def moment(self) -> datetime:
        """The time, with its offset."""
        return _moment(self.time)

    @property
    def places(self) -> Sequence[Place]:
        """Where the records stand that it speaks of."""
        return [record.place for record in self.records]

    @property
    def interactions(self) -> Sequence[str]:
        """The interactions that it speaks of."""
        return [self.interaction_id] if self.interaction_id else [record.interaction_id for record in self.records]


class Started(Entry, frozen=True, kw_only=True):
    """A run began."""

    version: str = ""
    inputs: tuple[str, ...] = ()
    ingest_url: str = ""
    strict: bool = False
    resend: bool = False
    replay: bool = False
    sandbox: bool = False


class _OfRecord(Entry, frozen=True, kw_only=True):
    source: str
    line: Count
    index: Count | None = None

    @property
    def place(self) -> Place:
        """Where the record stands."""
        return str(Origin(self.source, self.line, index=self.index))

    @property
    def places(self) -> Sequence[Place]:
        return [self.place]


class ProblemEntry(Struct, frozen=True):
    """One thing that is wrong with a rejected record."""

    code: str
    path: str


class Rejected(_OfRecord, frozen=True, kw_only=True):
    """A record failed here."""

    reason: str
    problems: tuple[ProblemEntry, ...]


class Dropped(_OfRecord, frozen=True, kw_only=True):
    """A copy was left out; `delivered_by_run` names the earlier run that delivered the event, if one did."""

    conflict: bool
    delivered_by_run: str = ""


class _OfRequest(Entry, frozen=True, kw_only=True):
    request_id: str


class Submitted(_OfRequest, frozen=True, kw_only=True):
    """A chunk is posted for the first time."""

    events: Count
    bytes: Count
    places: tuple[Place, ...]


class Retried(_OfRequest, frozen=True, kw_only=True):
    """Attempt `number` took `seconds` and failed; another one follows after `delay` seconds."""

    number: Count
    outcome: str
    seconds: Seconds
    delay: Seconds


class Split(_OfRequest, frozen=True, kw_only=True):
    """A chunk goes again in parts."""

    cause: str


class Succeeded(_OfRequest, frozen=True, kw_only=True):
    """Events were delivered; the attempt that did it took `seconds`."""

    seconds: Seconds | None
    records: tuple[RecordEntry, ...]


class Failed(_OfRequest, frozen=True, kw_only=True):
    """Events were refused for good, or are pending, after so many attempts."""

    outcome: Literal["refused", "pending"]
    attempts: Count
    status: Status | None
    cause: str = ""
    records: tuple[RecordEntry, ...]


class CountsEntry(Struct, frozen=True):
    """The account, as a run drew it."""

    read: Count
    delivered: Count
    duplicate: Count
    rejected: Count
    refused: Count
    pending: Count


class LatencyEntry(Struct, frozen=True):
    """Request latencies in seconds, over all requests of a run."""

    p50: Seconds
    p90: Seconds
    p99: Seconds
    max: Seconds


class Finished(Entry, frozen=True, kw_only=True):
    """A run ended, in order, with its own account."""

    counts: CountsEntry
    read_to_end: bool = True
    exit_code: Annotated[int, Meta(ge=0, le=255)]
    stopped: str | None
    requests: Count
    retries: Count
    bytes_sent: Count
    seconds: Seconds
    latency: LatencyEntry
    replay_of: dict[str, Count] = {}


KINDS: dict[str, type[Entry]] = {
    "RUN_STARTED": Started,
    "INGESTION_REJECTED": Rejected,
    "DUPLICATE_DROPPED": Dropped,
    "BATCH_SUBMITTED": Submitted,
    "BATCH_RETRIED": Retried,
    "BATCH_SPLIT": Split,
    "INGESTION_SUCCEEDED": Succeeded,
    "INGESTION_FAILED": Failed,
    "RUN_FINISHED": Finished,
}
"""The lines that a run is drawn from, by their `event`. Of others it is known what every line has."""


class _Kind(Struct):
    event: str


_kind_of = Decoder(_Kind).decode
_readers = {event: Decoder(kind).decode for event, kind in KINDS.items()}
_read_other = Decoder(Entry).decode


def entry_of(line: bytes) -> Entry | None:
    """A line as a fact, or None if it is no line of an audit file, or lacks what a line of its kind has."""
    if line.isascii():  # in fields that it passes over msgspec takes any bytes for text
        with suppress(ValueError, RecursionError):
            return _readers.get(_kind_of(line).event, _read_other)(line)
    return _carefully(line)


def _carefully(line: bytes) -> Entry | None:
    """The same for lines with what msgspec does not read, as half a surrogate in a name; it takes thrice as long."""
    try:
        document = json.loads(line)
        return convert(document, KINDS.get(document["event"], Entry))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def became(entry: Entry) -> tuple[str, int]:
    """What a line says that became of how many records, by its name in the account; empty and 0 if it says nothing."""
    match entry:
        case Rejected():
            return "rejected", 1
        case Dropped():
            return "duplicate", 1
        case Succeeded():
            return "delivered", len(entry.records)
        case Failed():
            return entry.outcome, len(entry.records)
        case _:
            return "", 0
