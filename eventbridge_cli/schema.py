"""The wire schema of an interaction event for bulk, and the times it may carry.

It is written for pydantic's core, without its models: importing those takes longer than checking ten thousand events.
`models.py` has the same schema for people; a test holds the two equal.
"""

import re
from datetime import UTC, datetime, timedelta

from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

FIELDS = ("eventType", "eventTime", "interactionId", "routingMetadata", "attributes", "schemaVersion")
ROUTING_FIELDS = ("queueId", "skill", "actionType")
ACTIONS = ("ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE")

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


def lenient_time(text: str) -> str:
    """`text`, if it may be an `eventTime`.

    Raises:
        PydanticCustomError: it may not.
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return strict_time(text)
    return text


def strict_time(text: str) -> str:
    """`text`, if it may be an `eventTime` under --strict.

    Raises:
        PydanticCustomError: it may not.
    """
    try:
        parse_rfc3339(text)
    except ValueError:
        try:
            without_offset = datetime.fromisoformat(text).tzinfo is None
        except ValueError:
            without_offset = False
        raise PydanticCustomError("no_offset" if without_offset else "bad_time", "no date-time") from None
    return text


_YEAR = "[1-9][0-9]{3}"
_PLAIN_TIME = (
    f"^(?:{_YEAR}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    f"|{_YEAR}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|{_YEAR}-02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)


def bulk_validator(*, strict: bool) -> SchemaValidator:
    """The validator for JSON in bulk; `strict` takes RFC 3339 times alone.

    It forbids unknown fields in either mode: the validate stage tells them apart. `attributes` are checked as JSON but
    never built as Python objects.
    """
    check = strict_time if strict else lenient_time
    return _validator(core_schema.no_info_after_validator_function(check, _text(1)))


def plain_validator() -> SchemaValidator:
    """A faster validator that takes nothing that either mode of `bulk_validator` would not take.

    What it does not take may be valid all the same: of the times it knows the usual form alone, and no leap days.
    """
    return _validator(core_schema.str_schema(strict=True, pattern=_PLAIN_TIME))


def _validator(time: core_schema.CoreSchema) -> SchemaValidator:
    routing: dict[str, core_schema.CoreSchema] = {
        "queueId": _text(),
        "skill": _text(),
        "actionType": core_schema.literal_schema(list(ACTIONS)),
    }
    fields: dict[str, core_schema.CoreSchema] = {
        "eventType": _text(1),
        "eventTime": time,
        "interactionId": _text(1),
        "routingMetadata": _object(routing),
        "attributes": core_schema.typed_dict_schema({}, strict=True, extra_behavior="ignore"),
        "schemaVersion": core_schema.int_schema(strict=True, ge=1, le=3),
    }
    return SchemaValidator(_object(fields), core_schema.CoreConfig(cache_strings="none"))


def _object(fields: dict[str, core_schema.CoreSchema]) -> core_schema.TypedDictSchema:
    members = {
        name: core_schema.typed_dict_field(schema, required=name != "attributes") for name, schema in fields.items()
    }
    return core_schema.typed_dict_schema(members, strict=True, extra_behavior="forbid")


def _text(min_length: int | None = None) -> core_schema.StringSchema:
    return core_schema.str_schema(strict=True, min_length=min_length)
