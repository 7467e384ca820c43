"""The lines of an audit file as typed facts: what `audit` writes, checked on the way back in."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

# Far beyond what a run can be, and near enough that nothing which is computed from them overflows.
Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Time = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
Status = Annotated[int, Field(ge=0, le=999)]

Place = str
"""Where a record stands, as in `calls.ndjson:17`."""


class RecordEntry(NamedTuple):
    """A record that a line speaks of."""

    place: Place
    interaction_id: str
    key: str


class Entry(BaseModel):
    """What every line has. Fields that are not known here are passed over."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    time: Time
    run: str


class Started(Entry):
    """A run began."""

    event: Literal["RUN_STARTED"]
    version: str = ""
    inputs: tuple[str, ...] = ()
    ingest_url: str = ""
    strict: bool = False
    resend: bool = False
    replay: bool = False


class _OfRecord(Entry):
    source: str
    line: Count
    index: Count | None = None

    @property
    def place(self) -> Place:
        """Where the record stands."""
        place = f"{self.source}:{self.line}"
        return place if self.index is None else f"{place}[{self.index}]"


class ProblemEntry(BaseModel):
    """One thing that is wrong with a rejected record."""

    code: str
    path: str


class Rejected(_OfRecord):
    """A record failed here."""

    event: Literal["INGESTION_REJECTED"]
    reason: str
    problems: tuple[ProblemEntry, ...]


class Dropped(_OfRecord):
    """A copy was left out; `delivered_by_run` names the earlier run that delivered the event, if one did."""

    event: Literal["DUPLICATE_DROPPED"]
    conflict: bool
    delivered_by_run: str = ""


class OfRequest(Entry):
    """A line about a request."""

    request_id: str


class Submitted(OfRequest):
    """A chunk is posted for the first time."""

    event: Literal["BATCH_SUBMITTED"]
    events: Count
    bytes: Count
    places: tuple[Place, ...]


class Retried(OfRequest):
    """Attempt `number` took `seconds` and failed; another one follows after `delay` seconds."""

    event: Literal["BATCH_RETRIED"]
    number: Count
    outcome: str
    seconds: Seconds
    delay: Seconds


class Split(OfRequest):
    """A chunk goes again in parts."""

    event: Literal["BATCH_SPLIT"]
    cause: str


class Succeeded(OfRequest):
    """Events were delivered; the attempt that did it took `seconds`."""

    event: Literal["INGESTION_SUCCEEDED"]
    seconds: Seconds | None
    records: tuple[RecordEntry, ...]


class Failed(OfRequest):
    """Events were refused for good, or are pending, after so many attempts."""

    event: Literal["INGESTION_FAILED"]
    outcome: Literal["refused", "pending"]
    attempts: Count
    status: Status | None
    cause: str = ""
    records: tuple[RecordEntry, ...]


class CountsEntry(BaseModel):
    """The account, as a run drew it."""

    read: Count
    delivered: Count
    duplicate: Count
    rejected: Count
    refused: Count
    pending: Count


class LatencyEntry(BaseModel):
    """Request latencies in seconds, over all requests of a run."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    p50: Seconds
    p90: Seconds
    p99: Seconds
    max: Seconds


class Finished(Entry):
    """A run ended, in order, with its own account."""

    event: Literal["RUN_FINISHED"]
    counts: CountsEntry
    exit_code: Annotated[int, Field(ge=0, le=255)]
    stopped: str | None
    requests: Count
    retries: Count
    bytes_sent: Count
    seconds: Seconds
    latency: LatencyEntry
    replay_of: dict[str, Count] = {}


Known = Annotated[
    Started | Rejected | Dropped | Submitted | Retried | Split | Succeeded | Failed | Finished,
    Field(discriminator="event"),
]
_KNOWN: TypeAdapter[Known] = TypeAdapter(Known)
_NAMES = {
    kind.model_fields["event"].annotation.__args__[0]  # type: ignore[union-attr]
    for kind in (Started, Rejected, Dropped, Submitted, Retried, Split, Succeeded, Failed, Finished)
}


def typed(entry: dict[str, Any]) -> Known | None:
    """A line as a fact; None for a kind of line that nothing is drawn from.

    Raises:
        ValueError: it lacks what a line of its kind has.
    """
    return _KNOWN.validate_python(entry) if entry["event"] in _NAMES else None
