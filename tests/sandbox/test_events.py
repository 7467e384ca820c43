"""What the sandbox takes for a request, without a server."""

import json

import pytest
from support import event, line

from eventbridge_cli.sandbox.events import EnvelopeError, MalformedError, Posted, read_events, schema_error

GOOD = line(1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"events":[' + GOOD,
        b'{"events":[' + GOOD + b",]}",
        b'{"events":[' + GOOD + b"]} x",
        b'{"events":[NaN]}',
        b'{"events":[{"a":-Infinity}]}',
        rb'{"events":["\ud800"]}',
        b'{"events":["\xff"]}',
        b'{"events":["\xed\xa0\x80"]}',
        b'{"events":["\x01"]}',
        b"\xef\xbb\xbf" + b'{"events":[' + GOOD + b"]}",
        (b'{"events":[' + GOOD + b"]}").decode().encode("utf-16"),
        b'{"events":' + b"[" * 200_000,
        b'{"events":[' + b"[" * 200_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_json(body: bytes) -> None:
    """JSON is RFC 8259 in UTF-8: no constants, no lone surrogates, no byte order mark, no other encoding."""
    with pytest.raises(MalformedError):
        read_events(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"7",
        b'{"event":[]}',
        b'{"events":[]}',
        b'{"events":{}}',
        b'{"events":[' + GOOD + b'],"more":1}',
        b'{"events":[' + GOOD + b'],"events":[' + GOOD + b"]}",
    ],
)
def test_what_is_no_envelope(body: bytes) -> None:
    """The envelope has one name, once, and at least one event: nothing in it may be passed over in silence."""
    with pytest.raises(EnvelopeError):
        read_events(body)


def test_each_event_keeps_its_own_bytes() -> None:
    """White space, digits and escapes stay; only line breaks become spaces, so that each event is one line."""
    first, second = rb'{"a" : 1.10, "b":"\u00e9\n"}', b'{"c":\r\n' + b"9" * 6000 + b"}"
    found = read_events(b' {"events" : [ ' + first + b" ,\n" + second + b"] }\n")
    assert [each.raw for each in found] == [first, second.replace(b"\r\n", b"  ")]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"eventType": ""}, "eventType"),
        ({"eventTime": None}, "eventTime"),
        ({"interactionId": 7}, "interactionId"),
        ({"schemaVersion": True}, "schemaVersion"),
        ({"schemaVersion": 4}, "schemaVersion"),
        ({"schemaVersion": "2"}, "schemaVersion"),
        ({"schemaVersion": 2.0}, "schemaVersion"),
        ({"attributes": []}, "attributes"),
        ({"stranger": 1}, "stranger"),
        ({"event_type": "x"}, "event_type"),
        ({"routingMetadata": {"queueId": "q", "skill": "s", "actionType": "answer"}}, "routingMetadata.actionType"),
        ({"routingMetadata": {"queueId": "q", "skill": "s"}}, "routingMetadata.actionType"),
        (
            {"routingMetadata": {"queueId": "q", "skill": "s", "actionType": "QUEUE", "more": 1}},
            "routingMetadata.more",
        ),
    ],
)
def test_what_breaks_the_schema(changes: dict[str, object], place: str) -> None:
    """Types are exact, unknown fields are refused, and the message names the field as the wire does."""
    changed = event(3, **changes)
    found = schema_error(5, Posted(changed, b""))
    assert found is not None
    assert found["message"].partition(":")[0] == place
    assert (found["index"], found["retryable"]) == (5, False)
    assert found["eventId"] == (None if place == "interactionId" else "interaction-3")


def test_what_keeps_the_schema() -> None:
    """Attributes may be left out; without them or with them the event is good."""
    bare = {name: value for name, value in event(1).items() if name != "attributes"}
    assert schema_error(0, Posted(bare, b"")) is None
    assert schema_error(0, Posted(json.loads(GOOD), GOOD)) is None
