"""Events as Parquet, read back with pyarrow."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
from lake_support import batch, entry
from pyarrow import parquet
from support import SAMPLES, line

from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.parquet import SCHEMA, event_tables


def read(whole: Batch) -> pa.Table:
    return pa.concat_tables(parquet.read_table(io.BytesIO(each.data)) for each in event_tables(whole))


def test_all_samples_come_back() -> None:
    """Every sample event is one row, with the schema's types; times are instants, attributes are theirs."""
    events = [text.encode() for text in (SAMPLES / "interactions.ndjson").read_text(encoding="utf-8").splitlines()]
    table = read(batch(entry(0, *events[:100]), entry(1, *events[100:])))
    assert table.schema.equals(SCHEMA)
    rows = {(row["interaction_id"], row["event_type"], row["event_time_text"]): row for row in table.to_pylist()}
    assert table.num_rows == len(events)
    for event in map(json.loads, events):
        row = rows[event["interactionId"], event["eventType"], event["eventTime"]]
        moment = datetime.fromisoformat(event["eventTime"])
        assert row["event_time"] == (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        assert {"queueId": row["queue_id"], "skill": row["skill"], "actionType": row["action_type"]} == event[
            "routingMetadata"
        ]
        assert row["schema_version"] == event["schemaVersion"]
        assert json.loads(row["attributes"] or "null") == event.get("attributes")


def test_attributes_keep_their_own_text() -> None:
    """Digits, spaces, escapes and the order of members stay; an event without attributes has none."""
    text = '{"rate": 1.10, "id":' + "9" * 40 + ', "long":' + "7" * 4000 + ', "b":"\\u00fc", "a":[1e3 , {}]}'
    with_them = line(0).replace(b'{"mediaType":"voice","number":0}', text.encode())
    without = line(1).replace(b'"attributes":{"mediaType":"voice","number":1},', b"")
    rows = read(batch(entry(7, with_them, without))).to_pylist()
    assert [row["attributes"] for row in rows] == [text, None]
    assert {row["request_id"] for row in rows} == {entry(7).request_id}


def test_the_same_batch_gives_the_same_bytes() -> None:
    """A file that is written again is the same file."""
    whole = batch(entry(0, line(0), line(1, eventTime="2026-03-05T00:00:00Z")))
    first, second = event_tables(whole)
    assert [first.path, second.path] == [f"date=2026-03-0{day}/{whole.name}.parquet" for day in (2, 5)]
    assert event_tables(whole) == [first, second]
