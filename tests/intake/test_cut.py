"""Where records begin and end, told by content: every layout, and every way in which one can be broken."""

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import records, validate
from support import event, line

from eventbridge_cli.flow import Event, Origin, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.cut import Cutter
from eventbridge_cli.intake.values import Record

LIMIT = 100_000
A, B, C = line(1), line(2), line(3)
PRETTY = [json.dumps(event(number), indent=2).encode() for number in (1, 2, 3)]


def cut(data: bytes, limit: int = LIMIT, size: int | None = None) -> list[Record]:
    """The records of `data`; with a `size`, the source never gives more bytes than that at once."""
    stream = io.BytesIO(data)
    read: Callable[[int], bytes] = stream.read if size is None else lambda count: stream.read(min(count, size))
    return list(records(Cutter("x", read, limit).records()))


def texts(data: bytes) -> list[bytes]:
    """The records' own bytes; fails if anything was rejected."""
    records = cut(data)
    assert not [record for record in records if isinstance(record, Rejection)]
    return [record.data for record in records if isinstance(record, RawRecord)]


def survivors(data: bytes, limit: int = LIMIT) -> list[str]:
    """The ids of the events that are valid in the end."""
    return [item.interaction_id for item in validate(iter(cut(data, limit))) if isinstance(item, Event)]


def reasons(data: bytes, limit: int = LIMIT) -> list[Reason]:
    """Why records are rejected in the end."""
    return [item.reason for item in validate(iter(cut(data, limit))) if isinstance(item, Rejection)]


def ids(*numbers: int) -> list[str]:
    return [f"interaction-{number}" for number in numbers]


def indented(text: bytes, by: bytes = b"  ") -> bytes:
    return b"\n".join(by + each for each in text.split(b"\n"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(A + b"\n" + B + b"\n", [A, B], id="ndjson"),
        pytest.param(A + b"\n" + B, [A, B], id="no newline at the end"),
        pytest.param(A + b"\r\n" + B + b"\r\n", [A, B], id="crlf"),
        pytest.param(A + b"\r\n" + B, [A, B], id="crlf without the last"),
        pytest.param(b"\xef\xbb\xbf" + A + b"\n" + B, [A, B], id="bom"),
        pytest.param(b"\xef\xbb\xbf\r\n" + A + b"\r\n", [A], id="bom, crlf, blank first line"),
        pytest.param(b"\n\n" + A + b"\n \t\n\r\n\n" + B + b"\n\n\n", [A, B], id="blank lines"),
        pytest.param(b"  " + A + b"  \n\t" + B + b"\t\n", [A, B], id="space around the lines"),
        pytest.param(b"", [], id="empty"),
        pytest.param(b" \n\t\r\n", [], id="white space alone"),
        pytest.param(b"\xef\xbb\xbf", [], id="bom alone"),
        pytest.param(A, [A], id="one object"),
        pytest.param(PRETTY[0], [PRETTY[0]], id="one pretty object"),
        pytest.param(PRETTY[0] + b"\n" + PRETTY[1] + b"\n", PRETTY[:2], id="pretty objects in a row"),
        pytest.param(b"".join(PRETTY), PRETTY, id="pretty objects glued"),
        pytest.param(PRETTY[0].replace(b"\n", b"\r\n"), [PRETTY[0].replace(b"\n", b"\r\n")], id="pretty with crlf"),
        pytest.param(A + B + C, [A, B, C], id="glued"),
        pytest.param(A + b" " + B + b"\t" + C, [A, B, C], id="glued with space"),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b"[\n]\n", [], id="empty array over lines"),
        pytest.param(b"[" + A + b"," + B + b"]", [A, B], id="array"),
        pytest.param(b"\xef\xbb\xbf[" + A + b"]", [A], id="array behind a bom"),
        pytest.param(b" [ " + A + b" ,\n " + B + b" ] \n", [A, B], id="array with space"),
        pytest.param(b"[\n" + A + b",\n" + B + b"\n]\n", [A, B], id="array, one item a line"),
        pytest.param(b"[\n" + A + b"\n," + B + b"\n]\n", [A, B], id="array, comma first"),
        pytest.param(b"[" + A + b"][" + B + b"," + C + b"]", [A, B, C], id="arrays glued"),
        pytest.param(b"[" + A + b"]\n[" + B + b"]\n", [A, B], id="arrays in a row"),
        pytest.param(b'{"events":[' + A + b"," + B + b"]}", [A, B], id="envelope"),
        pytest.param(b'{"events":[]}', [], id="empty envelope"),
        pytest.param(b'{\n  "events" : [\n' + A + b"\n]\n}\n", [A], id="envelope over lines"),
        pytest.param(b'{"events":[' + A + b'],"next":{"a":["]}"]}}\n' + B, [A, B], id="envelope with members behind"),
        pytest.param((b'{"events":[' + A + b"]}") * 2, [A, A], id="envelopes glued"),
        pytest.param(b'{"events":[' + A + b']}\n{"events":[' + B + b"]}\n", [A, B], id="envelopes in a row"),
        pytest.param(A + b"\n[" + B + b"]\n" + C + b"\n", [A, B, C], id="an array among lines"),
        pytest.param(A + b'\n{"events":[' + B + b"]}\n" + C, [A, B, C], id="an envelope among lines"),
        pytest.param(b"[" + A + b"]" + B + b"\n" + C, [A, B, C], id="lines behind an array"),
        pytest.param(PRETTY[0] + b"\n" + B + b"\n" + C + b"\n", [PRETTY[0], B, C], id="lines behind a pretty object"),
        pytest.param(A + b"\n" + B + C + b"\n" + A, [A, B, C, A], id="two values on one of the lines"),
    ],
)
def test_layouts(data: bytes, expected: list[bytes]) -> None:
    """Every layout gives the records' own bytes, in order, without what stands between them."""
    assert texts(data) == expected


def test_a_pretty_printed_array() -> None:
    """The items of a pretty-printed array are taken with their own line breaks."""
    data = json.dumps([event(1), event(2)], indent=2).encode()
    assert [json.loads(text) for text in texts(data)] == [event(1), event(2)]
    assert survivors(data) == ids(1, 2)


@pytest.mark.parametrize("indent", [None, 1, 4, "\t"])
def test_a_pretty_printed_envelope(indent: int | str | None) -> None:
    """The envelope is known in any spacing, and what follows its array is no record."""
    data = json.dumps({"events": [event(1), event(2)], "cursor": {"next": None}}, indent=indent).encode()
    assert survivors(data + b"\n" + data) == ids(1, 2, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("} {", id="brackets"),
        pytest.param('a "quoted" }{ word', id="quotes"),
        pytest.param("back\\slash\\", id="backslash at the end"),
        pytest.param('"events":[', id="the envelope's own words"),
        pytest.param("a\nb\r\n", id="escaped line breaks"),
    ],
)
@pytest.mark.parametrize("layout", [b"%s\n%s\n", b"[%s,%s]", b'{"events":[%s,%s]}', b"%s%s", b"[\n%s,\n%s\n]"])
def test_structure_within_strings_is_text(text: str, layout: bytes) -> None:
    """Brackets, quotes and the envelope's words within a string never cut a record."""
    first, second = line(1, attributes={"note": text}), line(2, attributes={text: text})
    assert texts(layout % (first, second)) == [first, second]


BROKEN_LINES = {
    "unterminated string": b'{"eventType":"conversation.ans',
    "unterminated name": b'{"eventTy',
    "escape at the end": b'{"a":"b\\',
    "after a colon": b'{"eventType":',
    "after a comma": b'{"eventType":"a",',
    "after a bracket": b'{"a":[1,{"b":2',
    "after a brace": b"{",
    "an array": b"[1, 2",
    "extra closing brace": b'{"a":1}}',
    "extra closing bracket": b'{"a":1}]',
    "brackets crossed": b'{"a":[1}]',
    "closing brace": b"}",
    "closing bracket": b"]",
    "garbage": b"not json at all",
    "a quote": b'"',
    "text behind": b'{"a":1} trailing',
    "a comma behind": b'{"a":1},',
    "a log line": b"2026-03-02 09:15:03 INFO {started}",
    "a csv line": b"a,b,c",
    "a zero byte": b"\0\0\0",
    "no utf-8": b"\xff\xfe\xfd",
    "a bare word in an object": b"{a:1}",
    "a comment": b"// {",
    "deep": b"[" * 300,
}


@pytest.mark.parametrize("broken", BROKEN_LINES.values(), ids=BROKEN_LINES)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_broken_line_is_one_rejection(broken: bytes, ending: bytes) -> None:
    """A broken line among lines is rejected by itself, with its own bytes; its neighbours survive."""
    data = ending.join([A, broken, B, C])
    assert survivors(data) == ids(1, 2, 3)
    rejected = [item for item in validate(iter(cut(data))) if isinstance(item, Rejection)]
    assert [(item.data, item.origin) for item in rejected] == [(broken, Origin("x", 2))]


@pytest.mark.parametrize("broken", BROKEN_LINES.values(), ids=BROKEN_LINES)
def test_a_broken_last_line(broken: bytes) -> None:
    """A file that ends in a broken line, as a process that was killed leaves it, gives all lines before it."""
    assert survivors(A + b"\n" + B + b"\n" + broken) == ids(1, 2)
    assert len(reasons(A + b"\n" + B + b"\n" + broken)) == 1


@pytest.mark.parametrize("name", [name for name in BROKEN_LINES if name != "deep"])
def test_a_broken_first_line(name: str) -> None:
    """A broken first line, by which the layout can't be told yet, does not take the next lines with it.

    Open brackets alone are the exception: a pretty-printed array begins like that.
    """
    broken = BROKEN_LINES[name]
    assert survivors(broken + b"\n" + A + b"\n" + B + b"\n") == ids(1, 2)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.none() | st.sampled_from([text for text in BROKEN_LINES.values() if text != b"{"]), max_size=12))
def test_all_good_lines_survive(layout: list[bytes | None]) -> None:
    """In NDJSON all good lines survive among broken ones of every kind, and each broken one is one rejection.

    (But for a lone brace: with a closing one on the next line it is one value.)
    """
    rows = [A, *(line(number) if row is None else row for number, row in enumerate(layout, 10))]
    expected = [f"interaction-{number}" for number, row in enumerate(layout, 10) if row is None]
    assert survivors(b"\n".join(rows)) == ["interaction-1", *expected]
    assert len(reasons(b"\n".join(rows))) == len(layout) - len(expected)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(PRETTY[1][: PRETTY[1].index(b'"eventTime"') - 3], id="cut off after a member"),
        pytest.param(PRETTY[1].replace(b'"billing"', b'"billing'), id="unterminated string"),
        pytest.param(PRETTY[1].removesuffix(b"\n}"), id="no closing brace"),
        pytest.param(PRETTY[1].replace(b'"queue-1",', b'"queue-1"'), id="missing comma"),
        pytest.param(PRETTY[1].replace(b"2\n}", b"2,\n}"), id="trailing comma"),
        pytest.param(PRETTY[1].replace(b'"ANSWER"', b"ANSWER"), id="missing quotes"),
        pytest.param(b"garbage", id="garbage"),
    ],
)
def test_a_broken_pretty_object_leaves_the_next(broken: bytes) -> None:
    """Among pretty-printed values, a broken one costs no other."""
    data = PRETTY[0] + b"\n" + broken + b"\n" + PRETTY[2] + b"\n"
    assert survivors(data) == ids(1, 3)
    assert set(reasons(data)) == {Reason.INVALID_JSON}


@pytest.mark.parametrize(
    ("data", "good", "found"),
    [
        pytest.param(b"[%s %s]", [1, 2], "no comma between two values", id="missing comma"),
        pytest.param(b"[\n%s\n%s\n]", [1, 2], "no comma between two values", id="missing comma between lines"),
        pytest.param(b"[%s,,%s]", [1, 2], "a comma where a value belongs", id="double comma"),
        pytest.param(b"[,%s,%s]", [1, 2], "a comma where a value belongs", id="leading comma"),
        pytest.param(b"[%s,%s,]", [1, 2], "a comma before the closing bracket", id="trailing comma"),
        pytest.param(b"[%s,%s", [1, 2], "the end of the file inside an array", id="unclosed"),
        pytest.param(b"[%s,%s,", [1, 2], "the end of the file inside an array", id="unclosed after a comma"),
        pytest.param(b'{"events":[%s,%s]', [1, 2], "the end of the file inside an object", id="unclosed envelope"),
        pytest.param(b'{"events":[%s,%s', [1, 2], "the end of the file inside an array", id="unclosed in an envelope"),
    ],
)
def test_array_faults(data: bytes, good: list[int], found: str) -> None:
    """A fault of the array itself is one rejection that says what it is, and costs no item."""
    data %= (A, B)
    assert survivors(data) == ids(*good)
    [rejection] = [record for record in cut(data) if isinstance(record, Rejection)]
    assert (rejection.stage, rejection.reason, rejection.problems[0].code) == (
        Stage.READ,
        Reason.INVALID_JSON,
        "array",
    )
    assert rejection.problems[0].found == found


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: text.replace(b'"billing"', b'"billing'), id="unterminated string"),
        pytest.param(lambda text: text[: text.rindex(b"}")], id="no closing brace"),
        pytest.param(lambda text: text + b"]", id="extra bracket"),
        pytest.param(lambda text: text + b"}", id="extra brace"),
        pytest.param(lambda _: b"garbage", id="garbage"),
        pytest.param(lambda text: text.replace(b'"ANSWER"', b"NaN"), id="not a number"),
    ],
)
def test_a_broken_item_leaves_the_lines_after_it(indent: int | None, spoil: Callable[[bytes], bytes]) -> None:
    """A broken item of an array with its items on lines of their own costs no other item."""
    items = [json.dumps(event(number), indent=indent).encode() for number in (1, 2, 3)]
    items[1] = spoil(items[1])
    data = b"[\n" + b",\n".join(indented(item) for item in items) + b"\n]\n"
    assert [name for name in survivors(data) if name != "interaction-2"] == ids(1, 3)
    assert set(reasons(data)) == {Reason.INVALID_JSON}


def big(number: int, size: int) -> bytes:
    return line(number, attributes={"pad": "x" * size})


@pytest.mark.parametrize("size", [None, 7, 1000])
@pytest.mark.parametrize(
    ("data", "good"),
    [
        pytest.param(A + b"\n" + big(2, 5000) + b"\n" + C, [1, 3], id="line"),
        pytest.param(big(2, 5000) + b"\n" + C, [3], id="first line"),
        pytest.param(A + b"\n" + big(2, 5000), [1], id="last line"),
        pytest.param(big(2, 5000), [], id="alone"),
        pytest.param(A + big(2, 5000) + C, [1, 3], id="glued"),
        pytest.param(b"[" + A + b"," + big(2, 5000) + b"," + C + b"]", [1, 3], id="array item"),
        pytest.param(b'{"events":[' + A + b"," + big(2, 5000) + b"," + C + b"]}", [1, 3], id="envelope item"),
        pytest.param(b"[" + A + b',"' + b"x" * 5000 + b'",' + C + b"]", [1, 3], id="string item"),
        pytest.param(b"[" + A + b"," + b"1" * 5000 + b"," + C + b"]", [1, 3], id="number item"),
        pytest.param(A + b"\n" + b"[" * 5000 + b"]" * 5000 + b"\n" + C, [1, 3], id="5,000 brackets"),
        pytest.param(A + b"\n" + b"x" * 5000 + b"\n" + C, [1, 3], id="garbage"),
        pytest.param(A + b"\n" + json.dumps({"a": ["x"] * 2000}, indent=1).encode() + b"\n", [1], id="many lines"),
    ],
)
def test_an_oversized_record_is_let_go(data: bytes, good: list[int], size: int | None) -> None:
    """A record over the limit is rejected without being held, and the next one follows."""
    records = cut(data, limit=1000, size=size)
    assert [item.interaction_id for item in validate(iter(records)) if isinstance(item, Event)] == ids(*good)
    oversized = [item for item in records if isinstance(item, Rejection) and item.reason == Reason.OVERSIZED]
    assert [(item.stage, item.data) for item in oversized] == [(Stage.READ, None)]
    assert "at most 1,000" in str(oversized[0].problems[0])


@pytest.mark.parametrize("layout", [b"%s\n", b"%s", b"[%s]", b'{"events":[%s]}', b"%s \r\n"])
def test_the_limit_is_exact(layout: bytes) -> None:
    """A record of exactly the limit is taken; one byte more is too much."""
    assert [type(record) for record in cut(layout % A, limit=len(A))] == [RawRecord]
    assert [type(record) for record in cut(layout % A, limit=len(A) - 1)] == [Rejection]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"{}\n\n  {}\r\n{} {}", [(1, 1), (3, 3), (4, 1), (4, 4)], id="lines"),
        pytest.param(b"\xef\xbb\xbf{}\n{}", [(1, 1), (2, 1)], id="a bom has no column"),
        pytest.param(b"[{},{},\n {}]", [(1, 2, 0), (1, 5, 1), (2, 2, 2)], id="array"),
        pytest.param(b'{"events":[{},\n{}]}\n{}', [(1, 12, 0), (2, 1, 1), (3, 1)], id="envelope"),
        pytest.param(b'{\n"a":1\n}\n{\n}{}', [(1, 1), (4, 1), (5, 2)], id="pretty"),
        pytest.param(b"[{}]\n[\n{}]", [(1, 2, 0), (3, 1, 0)], id="an array counts anew"),
        pytest.param(b'{"a":"\xc3\xa9\xc3\xa9"}{}', [(1, 1), (1, 11)], id="columns count characters"),
        pytest.param(b"[{} {}]", [(1, 2, 0), (1, 5), (1, 5, 1)], id="a fault stands where the value does"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 2, 5])
def test_origins(data: bytes, expected: list[tuple[int, ...]], size: int | None) -> None:
    """Each record knows its line, its column and, in an array, its index."""
    assert [record.origin for record in cut(data, size=size)] == [Origin("x", *place) for place in expected]


def test_utf16_is_one_rejection() -> None:
    """A file in UTF-16 is told by its mark and its zero bytes, and rejected once with the way to convert it."""
    for encoding in ("utf-16-le", "utf-16-be"):
        [rejection] = cut(("\ufeff" + A.decode() + "\n" + B.decode()).encode(encoding))
        assert isinstance(rejection, Rejection)
        assert rejection.reason is Reason.INVALID_ENCODING
        assert "iconv" in rejection.problems[0].remedy


def test_reading_is_lazy() -> None:
    """The first record comes before the second block is asked for."""
    blocks = iter([A + b"\n" + B + b"\n"])
    found = records(Cutter("x", lambda count: next(blocks), LIMIT).records())
    assert [next(found).data, next(found).data] == [A, B]


def test_damage_in_the_middle_of_a_record() -> None:
    """When reading fails, the half record is the rejection's data, and all before it was given."""
    blocks = iter([A + b"\n" + B[:20]])

    def read(count: int) -> bytes:
        for block in blocks:
            return block
        raise EOFError("cut off")

    first, second = records(Cutter("x", read, LIMIT).records())
    assert first.data == A
    assert isinstance(second, Rejection)
    assert (second.reason, second.data) == (Reason.UNREADABLE, B[:20])


FRAGMENTS = [
    *(A, B, PRETTY[0], b"[", b"]", b",", b"{", b"}", b'"', b"\\", b"\n", b"\r\n", b" ", b'{"events":[', b"]}", b":"),
    *(
        b'"events"',
        b'{"a":1}',
        b"[1,2]",
        b"null",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
        b'{"a":"',
        b'"}',
        b"  ",
        b"-1",
        b"tru",
    ),
]
fragments = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join)


@settings(deadline=None, max_examples=250)
@given(fragments, st.sampled_from([1, 2, 3, 7]), st.sampled_from([30, LIMIT]))
def test_blocks_make_no_difference(data: bytes, size: int, limit: int) -> None:
    """The records do not depend on how the stream is cut into blocks."""
    assert cut(data, limit, size) == cut(data, limit)


@settings(deadline=None, max_examples=250)
@given(fragments | st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    """No input crashes; what a record holds is found in the input, in order and only once."""
    position = 0
    for record in cut(data):
        assert 1 <= record.origin.line <= data.count(b"\n") + 1
        if record.data is not None:
            found = data.find(record.data, position)
            assert found >= 0
            position = found + len(record.data)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(["lines", "array", "rows", "pretty", "envelope", "glued"]), max_size=5))
def test_files_joined_together(layouts: list[str]) -> None:
    """Whatever layouts are joined in one stream, every event arrives once, in order."""
    data, expected = b"", 0
    for layout in layouts:
        numbers = range(expected, expected + 3)
        expected += 3
        events = [event(number) for number in numbers]
        rows = [line(number) for number in numbers]
        data += {
            "lines": b"\n".join(rows),
            "array": b"[" + b",".join(rows) + b"]",
            "rows": b"[\n" + b",\n".join(rows) + b"\n]",
            "pretty": json.dumps(events, indent=2).encode(),
            "envelope": json.dumps({"events": events, "more": [1]}).encode(),
            "glued": b"".join(rows),
        }[layout] + b"\n"
    assert survivors(data) == [f"interaction-{number}" for number in range(expected)]
    assert not reasons(data)
