"""Tell whether two texts of an event say the same, although of the first one only a checksum is left.

The second text is written anew in the ways in which JSON is usually written: members in the order of the schema or of
the alphabet, dense or spaced, in ASCII or not. If one of them has the first one's checksum, it says the same.
"""

import json
from itertools import product
from typing import Any
from zlib import crc32

from eventbridge_cli.fields import FIELDS, ROUTING_FIELDS

_ORDER = {name: number for number, name in enumerate((*FIELDS, *ROUTING_FIELDS))}
DENSE, _SPACED = (",", ":"), (", ", ": ")


class Number(str):
    """A number in its own digits."""

    __slots__ = ()


def checksums(body: bytes) -> set[int]:
    """The CRC-32 of an event as it is, and of the same event in the usual spellings.

    One in some hundred million other events has one of these, too.
    """
    event = json.loads(body, parse_int=Number, parse_float=Number)
    texts = {
        written(variant, ascii_only=ascii_only, marks=marks)
        for variant in _orders(event)
        for ascii_only, marks in product((False, True), (DENSE, _SPACED))
    }
    return {crc32(body), *(crc32(text.encode()) for text in texts)}


def _orders(event: dict[str, Any]) -> list[dict[str, Any]]:
    tidy = {name: in_order(value) if name == "attributes" else value for name, value in event.items()}
    return [event, *(_in_schema_order(each) for each in (event, tidy)), in_order(event)]


def _in_schema_order(event: dict[str, Any]) -> dict[str, Any]:
    ordered = {name: event[name] for name in sorted(event, key=lambda name: _ORDER[name])}
    routing = ordered["routingMetadata"]
    return ordered | {"routingMetadata": {name: routing[name] for name in ROUTING_FIELDS}}


def in_order(value: Any) -> Any:
    """A value with the members of all its objects in the order of the alphabet."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [in_order(each) for each in value] if isinstance(value, list) else value


def written(value: Any, *, ascii_only: bool, marks: tuple[str, str]) -> str:
    """A value as JSON, each `Number` in its own digits; `marks` are what stands for comma and colon."""
    comma, colon = marks
    match value:
        case Number():
            return str(value)
        case dict():
            members = (
                json.dumps(name, ensure_ascii=ascii_only) + colon + written(each, ascii_only=ascii_only, marks=marks)
                for name, each in value.items()
            )
            return f"{{{comma.join(members)}}}"
        case list():
            return f"[{comma.join(written(each, ascii_only=ascii_only, marks=marks) for each in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=ascii_only)
