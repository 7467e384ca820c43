"""What an event must be, how a record that is none is explained, and that a valid one keeps its own text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import both_ways, validate
from support import event, line

from eventbridge_cli.flow import Event, Origin, Problem, RawRecord, Reason, Rejection, Stage


def check(data: bytes, *, strict: bool = False) -> Event | Rejection:
    """What becomes of one record."""
    [item] = validate(iter([RawRecord(Origin("x", 1), data)]), strict=strict)
    return item


def taken(data: bytes, *, strict: bool = False) -> Event:
    item = check(data, strict=strict)
    assert isinstance(item, Event), item
    return item


def problems(data: bytes, *, strict: bool = False) -> tuple[Problem, ...]:
    """What is wrong with a record that breaks the schema."""
    item = check(data, strict=strict)
    assert isinstance(item, Rejection)
    assert (item.stage, item.reason, item.data) == (Stage.VALIDATE, Reason.SCHEMA_VIOLATION, data)
    return item.problems


def from_file(data: bytes) -> list[Event | Rejection]:
    return both_ways(data)


def found(data: bytes, *, strict: bool = False) -> dict[str, str]:
    return {problem.path: problem.code for problem in problems(data, strict=strict)}


def routed(**changes: Any) -> bytes:
    return line(routingMetadata={"queueId": "q", "skill": "s", "actionType": "ANSWER", **changes})


def test_a_valid_event_keeps_its_bytes() -> None:
    """A valid event is sent as it was read, and knows the three fields of its key."""
    item = taken(line(7))
    assert item.raw == item.body == line(7)
    assert (item.interaction_id, item.event_type) == ("interaction-7", "conversation.answered")
    assert (item.event_time, item.dropped, item.key) == ("2026-03-02T09:15:03.123Z", (), b"")


def test_rejections_pass() -> None:
    """What was rejected before passes through untouched."""
    rejection = Rejection(Origin("x", 1), Stage.READ, Reason.OVERSIZED, (), None)
    assert list(validate(iter([rejection]))) == [rejection]


@pytest.mark.parametrize(
    ("data", "path", "code"),
    [
        pytest.param(line(eventType=value), "eventType", code, id=f"eventType-{value!r}")
        for value, code in [("", "empty_string"), (1, "wrong_type"), (None, "wrong_type"), ([], "wrong_type")]
    ]
    + [
        pytest.param(line(interactionId=value), "interactionId", code, id=f"interactionId-{value!r}")
        for value, code in [("", "empty_string"), (17, "wrong_type"), (True, "wrong_type"), ({}, "wrong_type")]
    ]
    + [
        pytest.param(line(eventTime=value), "eventTime", code, id=f"eventTime-{value!r}")
        for value, code in [
            ("", "empty_string"),
            ("soon", "bad_time"),
            (1772442903, "wrong_type"),
            (None, "wrong_type"),
        ]
    ]
    + [
        pytest.param(line(schemaVersion=value), "schemaVersion", code, id=f"schemaVersion-{value!r}")
        for value, code in [
            *((0, "out_of_range"), (4, "out_of_range"), (-1, "out_of_range"), (10**40, "out_of_range")),
            *(
                ("2", "wrong_type"),
                (2.0, "wrong_type"),
                (2.5, "wrong_type"),
                (True, "wrong_type"),
                (None, "wrong_type"),
            ),
        ]
    ]
    + [
        pytest.param(line(attributes=value), "attributes", "wrong_type", id=f"attributes-{value!r}")
        for value in list[Any](([], "{}", None, 1, True, [{}]))
    ]
    + [
        pytest.param(line(routingMetadata=value), "routingMetadata", "wrong_type", id=f"routingMetadata-{value!r}")
        for value in list[Any](([], "{}", None, 1))
    ]
    + [
        pytest.param(routed(actionType=value), "routingMetadata.actionType", "not_allowed", id=f"actionType-{value!r}")
        for value in ("answer", "ANSWERED", "", " ANSWER")
    ]
    + [
        pytest.param(routed(queueId=1), "routingMetadata.queueId", "wrong_type", id="queueId"),
        pytest.param(routed(skill=None), "routingMetadata.skill", "wrong_type", id="skill"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_types_are_exact(data: bytes, path: str, code: str, *, strict: bool) -> None:
    """A field of another type or out of its range is one problem that names the field; nothing is converted."""
    assert found(data, strict=strict) == {path: code}


@pytest.mark.parametrize("value", [1, None, [], {}])
def test_an_action_of_another_type(value: object) -> None:
    """An action that is no string is a problem of that field too."""
    assert list(found(routed(actionType=value))) == ["routingMetadata.actionType"]


@pytest.mark.parametrize(
    "changes", [{"queueId": ""}, {"skill": ""}, *({"actionType": a} for a in ("TRANSFER", "DISCONNECT", "REQUEUE"))]
)
def test_routing_that_is_allowed(changes: dict[str, str]) -> None:
    """Queue and skill may be empty, and the action is one of five."""
    assert taken(routed(**changes), strict=True).body == routed(**changes)


@pytest.mark.parametrize("version", [b"1", b"2", b"3"])
def test_versions(version: bytes) -> None:
    """The schema's version is an integer from 1 to 3."""
    data = line().replace(b'"schemaVersion":2', b'"schemaVersion":' + version)
    assert taken(data, strict=True).body == data


@pytest.mark.parametrize("name", list(event()))
def test_missing_fields(name: str) -> None:
    """Every field but `attributes` must be there."""
    data = json.dumps({key: value for key, value in event().items() if key != name}).encode()
    if name == "attributes":
        assert taken(data, strict=True).body == data
    else:
        assert found(data) == {name: "missing_field"}


@pytest.mark.parametrize(
    "text",
    [b"null", b"true", b"12", b'"text"', b"[]", b"[1,2]", b'[{"eventType":"x"}]'],
    ids=lambda text: text.decode(),
)
def test_not_an_object(text: bytes) -> None:
    """JSON that is no object says what it is instead."""
    [problem] = problems(text)
    assert (problem.code, problem.path, problem.allowed) == ("not_an_object", "", "an object")
    assert problem.found


def test_all_problems_at_once() -> None:
    """Everything that is wrong with a record is told, not only the first."""
    data = json.dumps(
        {
            "eventType": "",
            "eventTime": "soon",
            "routingMetadata": {"queueId": 1, "actionType": "answer"},
            "attributes": [],
            "schemaVersion": "2",
            "colour": "red",
        }
    ).encode()
    expected = {
        "eventType": "empty_string",
        "eventTime": "bad_time",
        "interactionId": "missing_field",
        "routingMetadata.queueId": "wrong_type",
        "routingMetadata.skill": "missing_field",
        "routingMetadata.actionType": "not_allowed",
        "attributes": "wrong_type",
        "schemaVersion": "wrong_type",
    }
    assert found(data) == expected
    assert found(data, strict=True) == {**expected, "colour": "unknown_field"}


@pytest.mark.parametrize(
    ("data", "seen", "allowed"),
    [
        pytest.param(line(schemaVersion="2"), '"2"', "1 to 3", id="version"),
        pytest.param(line(schemaVersion=4), "4", "1 to 3", id="range"),
        pytest.param(line(eventTime="yesterday"), '"yesterday"', "RFC 3339", id="time"),
        pytest.param(routed(actionType="answer"), '"answer"', "REQUEUE", id="action"),
        pytest.param(line(interactionId=None), "null", "string", id="null"),
        pytest.param(line(eventType=""), '""', "not empty", id="empty"),
        pytest.param(line(routingMetadata=[]), "an array", "queueId", id="array"),
        pytest.param(line(attributes="a"), "a string", "an object", id="attributes"),
    ],
)
def test_found_and_allowed(data: bytes, seen: str, allowed: str) -> None:
    """A problem says what was found, what is allowed and what to do."""
    [problem] = problems(data)
    assert problem.found == seen
    assert allowed in problem.allowed
    assert problem.remedy
    assert str(problem) == f"{problem.path}: found {seen}, allowed: {problem.allowed}; {problem.remedy}"


def test_a_long_value_is_shortened() -> None:
    """What was found is shown in short."""
    [problem] = problems(line(eventTime="x" * 10_000))
    assert len(problem.found) <= 40


CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(line(attributes=CANARY), id="a string"),
        pytest.param(line(attributes=[{"card": CANARY}]), id="an array"),
        pytest.param(line(attributes={"card": CANARY}, schemaVersion=9), id="beside an error"),
        pytest.param(line(attributes={"card": CANARY}, colour=CANARY), id="in an unknown field"),
        pytest.param(line(attributes={"card": CANARY}).replace(b"voice", b"\xff"), id="beside bad encoding"),
        pytest.param(line(attributes={"card": CANARY})[:-1] + b",}", id="beside bad syntax"),
        pytest.param(
            line(attributes={"card": CANARY}).replace(CANARY.encode(), CANARY.encode() + b"\t"), id="in bad syntax"
        ),
        pytest.param(json.dumps([event(attributes={"card": CANARY})]).encode(), id="in no object"),
        pytest.param(line(routingMetadata={"attributes": CANARY}), id="in another object"),
        pytest.param(line(routingMetadata=[CANARY]), id="in another array"),
    ],
)
def test_customer_data_is_never_shown(data: bytes) -> None:
    """The values of attributes, and of fields that nobody knows, never appear in a problem."""
    item = check(data, strict=True)
    if isinstance(item, Rejection):
        assert item.problems
        assert CANARY not in "".join(str(problem) for problem in item.problems)


# Unknown fields

ODD = (
    b'{ "colour":"red" ,"eventType" : "conversation.answered",\t"eventTime":"2026-03-02T09:15:03.10Z",'
    b'"interactionId":"caf\\u00e9 \xf0\x9f\x98\x80 \\/","size":[{"}":"]"},1],"routingMetadata": {"queueId":"q",'
    b'"agent":{"name":"x"}, "skill":"s","actionType":"ANSWER"} , "attributes":{"price":1.10,"id":'
    + b"1234567890" * 4
    + b',"e":1E+2,"z":-0.0,"a\\"b": [ 1 , 2 ],"colour":"kept"},"schemaVersion":2 , "last":null }'
)
ODD_WITHOUT = (
    b'{"eventType":"conversation.answered","eventTime":"2026-03-02T09:15:03.10Z",'
    b'"interactionId":"caf\\u00e9 \xf0\x9f\x98\x80 \\/","routingMetadata":{"queueId":"q",'
    b'"skill":"s","actionType":"ANSWER"},"attributes":{"price":1.10,"id":'
    + b"1234567890" * 4
    + b',"e":1E+2,"z":-0.0,"a\\"b": [ 1 , 2 ],"colour":"kept"},"schemaVersion":2}'
)


def test_unknown_fields_are_left_out() -> None:
    """Unknown fields are left out and named; every other value keeps its own digits, escapes and spacing."""
    item = taken(ODD)
    assert item.raw == ODD
    assert item.body == ODD_WITHOUT
    assert sorted(item.dropped) == ["colour", "last", "routingMetadata.agent", "size"]
    assert item.interaction_id == "café \U0001f600 /"


def test_unknown_fields_under_strict() -> None:
    """Under --strict an unknown field is a problem that names it."""
    assert set(found(ODD, strict=True).items()) == {
        ("colour", "unknown_field"),
        ("last", "unknown_field"),
        ("routingMetadata.agent", "unknown_field"),
        ("size", "unknown_field"),
    }


@pytest.mark.parametrize(
    "name", ["", "a.b", "attributes.x", "é", 'quo"te', "back\\slash", "routingMetadata.queueId", "\n", "\u0000"]
)
def test_any_name_may_be_unknown(name: str) -> None:
    """An unknown field is left out whatever it is called, written with escapes or without."""
    for data in (json.dumps(event(**{name: 1})).encode(), json.dumps(event(**{name: 1}), ensure_ascii=False).encode()):
        item = taken(data)
        assert json.loads(item.body) == event()
        assert item.dropped == (name,)


def test_an_unknown_field_twice() -> None:
    """An unknown field that stands there twice is left out twice."""
    assert json.loads(taken(line()[:-1] + b',"x":1,"x":{"y":2}}').body) == event()


def test_fields_of_attributes_are_free() -> None:
    """Below attributes any field goes, even one that the schema has elsewhere."""
    data = line(attributes={"schemaVersion": "x", "attributes": {"eventType": 1}, "": None})
    assert taken(data, strict=True).body == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.text(), json_values, max_size=3), st.dictionaries(st.text(), json_values, max_size=3), st.data()
)
def test_what_is_kept_is_equal(attributes: dict[str, Any], extra: dict[str, Any], data: st.DataObject) -> None:
    """Whatever the extra fields and their order, spacing and escapes, the event without them is equal JSON."""
    fields = event(attributes=attributes)
    extra = {name: value for name, value in extra.items() if name not in fields}
    order = data.draw(st.permutations([*fields.items(), *extra.items()]))
    indent, ascii_only = data.draw(st.sampled_from([(None, True), (None, False), (2, True), ("\t", False)]))
    text = json.dumps(dict(order), indent=indent, ensure_ascii=ascii_only).encode()
    item = taken(text)
    assert json.loads(item.body) == fields
    assert b"\n" not in item.body
    assert sorted(item.dropped) == sorted(extra)


# Text that stays what it is


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"1.10",
            b"1234567890" * 4,
            b"1E400",
            b"-0",
            b"0.1e-7",
            b'"\\u00e9\\/"',
            b'"NaN"',
            b'"-Infinity"',
            b"[ 1 ,2 ]",
        ),
        *(b'{"a":1,"a":2}', b'{"NaN":0}', b'"Infinity, and NaN"', '"日本 \U0001f600"'.encode()),
    ],
    ids=lambda text: text[:20].decode(),
)
@pytest.mark.parametrize("strict", [False, True])
def test_attributes_keep_their_text(text: bytes, *, strict: bool) -> None:
    """Numbers, escapes and words in strings are sent as they were written."""
    data = line(attributes={"x": "HERE"}).replace(b'"HERE"', text)
    assert taken(data, strict=strict).body == data


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"NaN":NaN}'])
@pytest.mark.parametrize("extra", [b"", b',"unknown":1', b',"unknown":NaN'])
def test_not_a_number(text: bytes, extra: bytes) -> None:
    """NaN and Infinity are no JSON, anywhere, beside unknown fields too."""
    item = check(line(attributes={"x": "HERE"}).replace(b'"HERE"', text)[:-1] + extra + b"}")
    assert isinstance(item, Rejection)
    assert item.reason is Reason.INVALID_JSON


@pytest.mark.parametrize("indent", [1, 2, "\t"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_a_pretty_event_becomes_one_line(indent: int | str, newline: bytes) -> None:
    """A pretty-printed event is sent on one line, with equal content; the record stays as it was read."""
    data = json.dumps(event(attributes={"note": "a\nb  c", "list": [1, {"x": []}]}), indent=indent).encode()
    data = data.replace(b"\n", newline)
    item = taken(data)
    assert item.raw == data
    assert not {b"\n", b"\r"} & {bytes([byte]) for byte in item.body}
    assert json.loads(item.body) == json.loads(data)


# Places


def places(data: bytes) -> list[str]:
    """Where the text of each rejection says that the fault is."""
    rejections = [item for item in from_file(data) if isinstance(item, Rejection)]
    return [str(rejection.problems[0]).partition(" at ")[2].partition(";")[0] for rejection in rejections]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"a":x}', "line 1 column 6", id="line"),
        pytest.param(b'{}\n\n  {"a":x}', "line 3 column 8", id="indented line"),
        pytest.param(b'\xef\xbb\xbf{"a":x}', "line 1 column 6", id="bom"),
        pytest.param(b'{"a":1}{"a":x}', "line 1 column 13", id="glued"),
        pytest.param(b'{"a":1}\r\n{"a":x}\r\n', "line 2 column 6", id="crlf"),
        pytest.param(b'[{"a":x}]', "line 1 column 7", id="array item"),
        pytest.param(b'[{"a":1},{"a":x}]', "line 1 column 15", id="second item"),
        pytest.param(b'[\n  {"a":1},\n  {"a":x}\n]', "line 3 column 8", id="item on a line"),
        pytest.param(b'{\n  "a": 1,\n  "b": x\n}', "line 3 column 8", id="pretty"),
        pytest.param(b'[\n  {\n    "a": 1,\n    "b": x\n  }\n]', "line 4 column 10", id="pretty item"),
        pytest.param(b'{"events":[\n{"a":x}]}', "line 2 column 6", id="envelope item"),
        pytest.param('{"é":"日本","a":x}'.encode(), "line 1 column 15", id="columns count characters"),
        pytest.param(b'{"a":"b\xff"}', "line 1 column 8", id="encoding"),
        pytest.param(b'{"a":1,}', "line 1 column 8", id="trailing comma"),
    ],
)
def test_places_of_syntax_errors(data: bytes, expected: str) -> None:
    """A fault in the syntax is told with its line in the file and its column in characters."""
    assert expected in places(data)


def test_the_place_after_other_text_on_the_line() -> None:
    """The column counts characters for what stands before the record on its line, too."""
    assert places('[{"a":"日本"},{"a":x}]'.encode())[-1] == "line 1 column 18"


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(line(5)) - 1), st.binary(min_size=0, max_size=2), st.booleans())
def test_any_damage_has_an_outcome(place: int, patch: bytes, strict: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever byte of an event is replaced, it is one event that is sent as read, or one explained rejection."""
    data = line(5)[:place] + patch + line(5)[place + 1 :]
    item = check(data, strict=strict)
    if isinstance(item, Rejection):
        assert item.problems
        assert all(problem.code and problem.remedy and str(problem) for problem in item.problems)
    else:
        json.loads(item.body)
        assert item.dropped or item.body == data.replace(b"\n", b"").replace(b"\r", b"")


# Envelopes


@pytest.mark.parametrize(
    ("data", "taken_ids", "said"),
    [
        (b'{"events":[%b],"page":{"n":1}}' % line(1), ["interaction-1"], ""),
        (b'{"events":[%b],"events":[%b]}' % (line(1), line(2)), ["interaction-1"], "a second list of events"),
        (b'{"events":[%b] oops, "a": NaN }' % line(1), ["interaction-1"], "not JSON behind a list"),
        (b'{"events":[%b],"s":nope}' % line(1), ["interaction-1"], "not JSON behind a list"),
        (b'{"events":[],"s":"\xff"}', [], "not JSON behind a list"),
        (b'{"events":[],\n' + line(1)[1:], [], "fields of an event behind a list"),
        (b'{"events":[],' + line(1)[1:] + b"\n", [], "fields of an event behind a list"),
        (line(1)[:-1] + b',"events":[]}\n', ["interaction-1"], ""),
        (b'{"source":"x","events":[%b]}' % line(1), [], 'put "events" first'),
        (b'[{"events":[%b]}]' % line(1), [], "take it out of what it stands in"),
    ],
)
def test_what_stands_around_a_list_of_events(data: bytes, taken_ids: list[str], said: str) -> None:
    """Other fields are passed over; what may hold an event, or is no JSON, is a rejection that says so."""
    items = from_file(data)
    assert [item.interaction_id for item in items if isinstance(item, Event)] == taken_ids
    problems = [str(problem) for item in items if isinstance(item, Rejection) for problem in item.problems]
    assert len(problems) == bool(said)
    assert said in "".join(problems)
