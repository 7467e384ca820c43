"""Know at a glance the events that are plainly valid: msgspec reads one in a quarter of the time that pydantic takes.

Those that merely have fields too many are among them, unless that is forbidden. Nothing is taken here that the schema
(`schema.py`) would not take; a test holds the two against each other. What is not taken may be valid all the same, and
is looked at with all care.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, NamedTuple

from msgspec import DecodeError, Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder

from eventbridge_cli.fields import RFC3339, ActionType
from eventbridge_cli.intake.trimming import Trimmed, trimmed

_OPEN, _CLOSE = b"{}"
_SHORT = 550  # bytes in which no event can be more deeply nested than `_MOST_BRACKETS`
_MOST_BRACKETS = 190
_MOST_DIGITS = 4000
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % _MOST_DIGITS)
_RFC3339_LINES = re.compile(rf"(?:{RFC3339.pattern}\n)*+")

_NonEmpty = Annotated[str, Meta(min_length=1)]


class _Routing(Struct, forbid_unknown_fields=True, gc=False):
    queueId: str  # noqa: N815 - the wire's own names, as below
    skill: str
    actionType: ActionType  # noqa: N815


class _Attributes(Struct, frozen=True, gc=False):
    """Any object. msgspec checks the members that a struct does not have as JSON, and builds nothing."""


class PlainEvent(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What is looked at of an event, in the order in which msgspec finds it fastest."""

    eventType: _NonEmpty  # noqa: N815
    eventTime: _NonEmpty  # noqa: N815
    interactionId: _NonEmpty  # noqa: N815
    routingMetadata: _Routing  # noqa: N815
    attributes: _Attributes = _Attributes()
    schemaVersion: Annotated[int, Meta(ge=1, le=3)]  # noqa: N815


class PlainEvents(NamedTuple):
    """The events on some records, in order, and for those that have fields too many, by index, the text without."""

    events: list[PlainEvent]
    trimmed: dict[int, Trimmed]


_decode = Decoder(PlainEvent).decode
_decode_items = Decoder(list[Raw]).decode
_NOT_PLAIN = (MsgspecError, UnicodeDecodeError, RecursionError)


def plain_events(records: Sequence[bytes], *, strict: bool) -> PlainEvents:
    """The events on the first of `records`, up to one that is not plainly valid.

    Args:
        records: JSON, as it was read.
        strict: whether `eventTime` has to be an RFC 3339 date-time, and no field may be unknown.
    """
    events: list[PlainEvent] = []
    without: dict[int, Trimmed] = {}
    rest = iter(records)
    while True:
        with suppress(*_NOT_PLAIN):
            events.extend(map(_decode, rest))
            break
        odd = None if strict else _without_unknown(records[len(events)])
        if odd is None:
            break
        event, without[len(events)] = odd
        events.append(event)
    times = [event.eventTime for event in events[: _plain_texts(records[: len(events)])]]
    size = _good_times(times, strict=strict)
    return PlainEvents(events[:size], {index: each for index, each in without.items() if index < size})


def _without_unknown(record: bytes) -> tuple[PlainEvent, Trimmed] | None:
    """The event on a record that merely has fields too many, and is no envelope."""
    with suppress(*_NOT_PLAIN):
        without = trimmed(record)
        if without.dropped and "events" not in without.dropped:
            return _decode(without.body), without
    return None


def items_of(text: bytes) -> list[bytes] | None:
    """The items of a JSON array whose brackets are left out; None if it is none."""
    try:
        return list(map(bytes, _decode_items(b"[%b]" % text)))
    except (DecodeError, RecursionError):
        return None


def _plain_texts(records: Sequence[bytes]) -> int:
    """How many of the first `records` are objects from end to end, in UTF-8, and not too much for pydantic's parser.

    That is what msgspec does not look at in what it passes over.
    """
    for index, record in enumerate(records):
        if record[0] != _OPEN or record[-1] != _CLOSE or (len(record) > _SHORT and _may_be_too_much(record)):
            return index
        if not record.isascii():
            try:
                record.decode()
            except UnicodeDecodeError:
                return index
    return len(records)


def _may_be_too_much(record: bytes) -> bool:
    """Whether pydantic's parser may find a record too deep (200 levels), or a number too long (4,300 digits)."""
    too_deep = record.count(b"{") + record.count(b"[") > _MOST_BRACKETS
    return too_deep or (len(record) > _MOST_DIGITS and _LONG_NUMBER.search(record) is not None)


def _good_times(times: Sequence[str], *, strict: bool) -> int:
    """How many of the first `times` may be an `eventTime`."""
    moments: list[datetime] = []
    with suppress(ValueError):
        moments.extend(map(datetime.fromisoformat, times))
    if strict and not _RFC3339_LINES.fullmatch("".join([f"{time}\n" for time in times[: len(moments)]])):
        return next(index for index, time in enumerate(times) if not _RFC3339_LINES.fullmatch(f"{time}\n"))
    return len(moments)
