"""Events as Parquet: the wire schema in typed columns, one file for each UTC date."""

import io
import json
import re
from collections import defaultdict
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.payload import LakeObject, microseconds, path, records, utc_date
from eventbridge_cli.lake.target import Content
from eventbridge_cli.schema import bulk_validator

SCHEMA = pa.schema(
    [
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("event_time", pa.timestamp("us", tz="UTC"), nullable=False),
        # A timestamp has no offset and no digits below the microsecond.
        pa.field("event_time_text", pa.string(), nullable=False),
        pa.field("interaction_id", pa.string(), nullable=False),
        pa.field("queue_id", pa.string(), nullable=False),
        pa.field("skill", pa.string(), nullable=False),
        pa.field("action_type", pa.string(), nullable=False),
        # JSON text: attributes have no schema, and no type of Parquet keeps the digits of every JSON number.
        pa.field("attributes", pa.string()),
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
    ]
)
"""The columns; `request_id` leads to the receipt and the audit file."""

_VALIDATOR = bulk_validator(strict=False)
# Numbers are only passed over, so their digits are left alone.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BEFORE_A_NAME = re.compile(r"[{,\s]*")
_BEFORE_A_VALUE = re.compile(r"\s*:\s*")


def event_tables(batch: Batch) -> list[LakeObject]:
    """The events as Parquet, partitioned by the date of their `eventTime`. Same batch, same pyarrow: same bytes."""
    days = defaultdict(list)
    for entry, body in records(batch, Content.EVENTS):
        row = _row(body, entry.request_id)
        days[utc_date(row["event_time"])].append(row)
    return [LakeObject(path(batch, day, "parquet"), [_file(rows)]) for day, rows in sorted(days.items())]


def _row(body: bytes, request_id: str) -> dict[str, Any]:
    event = _VALIDATOR.validate_json(body)
    routing = event["routingMetadata"]
    return {
        "event_type": event["eventType"],
        "event_time": microseconds(event["eventTime"]),
        "event_time_text": event["eventTime"],
        "interaction_id": event["interactionId"],
        "queue_id": routing["queueId"],
        "skill": routing["skill"],
        "action_type": routing["actionType"],
        "attributes": member(body.decode(), "attributes") if "attributes" in event else None,
        "schema_version": event["schemaVersion"],
        "request_id": request_id,
    }


def _file(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, compression="zstd")
    return file.getvalue()


def member(text: str, name: str) -> str:
    """The value of a member of the JSON object `text`, as its author wrote it; the last one of that name counts.

    Raises:
        KeyError: there is no such member.
    """
    found = None
    position = _skip(_BEFORE_A_NAME, text, 0)
    while text[position] != "}":
        here, position = _DECODER.raw_decode(text, position)
        start = _skip(_BEFORE_A_VALUE, text, position)
        _, position = _DECODER.raw_decode(text, start)
        if here == name:
            found = text[start:position]
        position = _skip(_BEFORE_A_NAME, text, position)
    if found is None:
        raise KeyError(name)
    return found


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    assert match  # noqa: S101 - valid JSON has one there
    return match.end()
