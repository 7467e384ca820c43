"""What the fields of an event are called, and which times they may carry."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

FIELDS = ("eventType", "eventTime", "interactionId", "routingMetadata", "attributes", "schemaVersion")
ROUTING_FIELDS = ("queueId", "skill", "actionType")
ActionType = Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]

RFC3339 = re.compile(
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
    match = RFC3339.fullmatch(text)
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
