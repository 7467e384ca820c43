"""The wire schema of an interaction event, and the times it may carry."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import PydanticCustomError, SchemaValidator
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

ActionType = Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-5][0-9])"
)
_LEAP_SECOND = "60"
_LEAP_DAYS = {(6, 30), (12, 31)}


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 date-time; it always has an offset.

    A leap second (`:60`) is taken where RFC 3339, section 5.7, allows it: at 23:59:60 UTC on 30 June or
    31 December. It comes back as the first instant after it.

    Raises:
        ValueError: `text` is no RFC 3339 date-time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("no RFC 3339 date-time")
    date, minute, second, fraction, offset = match.groups(default="")
    if second != _LEAP_SECOND:
        return datetime.fromisoformat(f"{date}T{minute}:{second}{fraction}{offset.upper()}")
    last = datetime.fromisoformat(f"{date}T{minute}:59{offset.upper()}")
    try:
        last = last.astimezone(UTC)
        after = last + timedelta(seconds=1)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None
    if (last.hour, last.minute) != (23, 59) or (last.month, last.day) not in _LEAP_DAYS:
        raise ValueError("no leap second can be there")
    return after


def parse_event_time(text: str) -> datetime:
    """Read what `eventTime` may be: all that `datetime.fromisoformat` reads, or an RFC 3339 date-time.

    A time without an offset is taken as UTC.

    Raises:
        ValueError: `text` is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return parse_rfc3339(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lenient(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return _strict(text)
    return text


def _strict(text: str) -> str:
    try:
        parse_rfc3339(text)
    except ValueError:
        try:
            without_offset = datetime.fromisoformat(text).tzinfo is None
        except ValueError:
            without_offset = False
        raise PydanticCustomError("no_offset" if without_offset else "bad_time", "no date-time") from None
    return text


NonEmpty = Annotated[str, Field(min_length=1)]


class RoutingMetadata(BaseModel):
    """How the interaction was routed when the event happened."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    queueId: str
    skill: str
    actionType: ActionType


class EventBridgeEvent(BaseModel):
    """One interaction event, as the ingestion endpoint takes it. Types are exact: `"2"` is no `2`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    eventType: NonEmpty
    eventTime: Annotated[NonEmpty, AfterValidator(_lenient)]
    interactionId: NonEmpty
    routingMetadata: RoutingMetadata
    attributes: dict[str, Any] = Field(default_factory=dict)
    schemaVersion: Annotated[int, Field(ge=1, le=3)]


class EventBatch(BaseModel):
    """The body of one request: what the endpoint takes at most 100 of."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    events: list[EventBridgeEvent]


# The same schema for bulk: as typed dictionaries, which pydantic checks about twice as fast as models, and with
# `attributes` checked as JSON but never built as Python objects. A test holds the two schemas equal.

_BULK = ConfigDict(strict=True, extra="forbid", cache_strings="none")


@with_config(ConfigDict(extra="ignore"))
class _AnyObject(TypedDict):
    pass


@with_config(_BULK)
class _BulkRouting(TypedDict):
    queueId: str
    skill: str
    actionType: ActionType


@with_config(_BULK)
class _BulkEvent(TypedDict):
    eventType: NonEmpty
    eventTime: Annotated[NonEmpty, AfterValidator(_lenient)]
    interactionId: NonEmpty
    routingMetadata: _BulkRouting
    attributes: NotRequired[_AnyObject]
    schemaVersion: Annotated[int, Field(ge=1, le=3)]


class _StrictBulkEvent(_BulkEvent):
    eventTime: Annotated[NonEmpty, AfterValidator(_strict)]


def bulk_validator(*, strict: bool) -> SchemaValidator:
    """The validator for JSON in bulk; `strict` takes RFC 3339 times alone.

    It forbids unknown fields in either mode: the validate stage tells them apart.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(_StrictBulkEvent if strict else _BulkEvent)
    validator = adapter.validator
    assert isinstance(validator, SchemaValidator)  # noqa: S101 - no plugin is asked for
    return validator
