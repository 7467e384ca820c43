"""Events as Parquet: the wire schema in typed columns, one file for each UTC date."""

import io
from collections import defaultdict
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.payload import LakeObject, microseconds, path, records, utc_date
from eventbridge_cli.lake.target import Content
from eventbridge_cli.members import members_of
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
        "attributes": bytes(members_of(body)["attributes"]).decode() if "attributes" in event else None,
        "schema_version": event["schemaVersion"],
        "request_id": request_id,
    }


def _file(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, compression="zstd")
    return file.getvalue()
