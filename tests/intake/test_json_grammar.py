"""JSON is RFC 8259 in UTF-8, no more and no less: a table by the grammar's productions."""

import pytest
from stages import both_ways
from support import line

from eventbridge_cli.flow import Event, Reason, Rejection

VALID: dict[str, list[bytes]] = {
    "literals": [b"true", b"false", b"null", b" true", b"true\t", b"[true,false,null]"],
    "numbers": [
        *(b"0", b"-0", b"1", b"-1", b"10", b"123456789", b"0.5", b"-0.0", b"1.10", b"0e1", b"0E1", b"0e+1", b"0e-1"),
        *(b"1e2", b"1E22", b"1E+2", b"1E-2", b"123e65", b"123.456e78", b"123.456789", b"1e400", b"-1e-400"),
        *(b"-123123123123123123123123123123", b"9" * 40, b"0." + b"1" * 60, b"20e1", b"100000000000000000000"),
        b"-0.000000000000000000000000000000000000000000000000000000000000000000000000000001",
    ],
    "strings": [
        *(b'""', b'" "', b'"a"', b'"\\""', b'"\\\\"', b'"\\/"', b'"/"', b'"\\b\\f\\n\\r\\t"', b'"\\\\n"', b'"\\\\a"'),
        *(b'"\\u0000"', b'"\\u0060\\u012a\\u12AB"', b'"\\uD801\\udc37"', b'"\\ud83d\\ude39\\ud83d\\udc8d"'),
        *(
            b'"\\u0012"',
            b'"\\uFFFF"',
            b'"\\uFFFE"',
            b'"\\uFDD0"',
            b'"\\u2064"',
            b'"\\u200B"',
            b'"\\u005C"',
            b'"\\u0022"',
        ),
        *(b'"\\uDBFF\\uDFFF"', b'"\\uD834\\uDd1e"', b'"\\u0821"', b'"\\u00A0"', b'"\x7f"', b'"a/*b*/c"', b'"asd"'),
        '"é ж 日本 ع 😀 \u2028\u2029 \ufdd0 \uffff \U0010ffff"'.encode(),
    ],
    "arrays": [b"[]", b"[ ]", b"[1]", b"[1,2]", b"[[]]", b'[[[]],{},""]', b"[ 1 ,\t2\n,\r3 ]", b"[1,null,null,null,2]"],
    "objects": [
        *(b"{}", b"{ }", b'{"a":1}', b'{"":0}', b'{"a":{"b":{}}}', b'{ "a" : [ ] , "b" : {} }', b'{"a":"b","a":"c"}'),
        *(b'{"a\\u0000b":1}', b'{"a":[]}', b'{\n"a":\r\n1\t}', '{"ключ":"значение"}'.encode(), b'{"a":"b","a":"b"}'),
    ],
    "nesting": [b"[" * 100 + b"]" * 100, b'{"a":' * 100 + b"1" + b"}" * 100],
}
INVALID: dict[str, list[bytes]] = {
    "literals": [
        *(
            b"True",
            b"TRUE",
            b"nul",
            b"fals",
            b"tru",
            b"nulll",
            b"undefined",
            b"NaN",
            b"-NaN",
            b"Infinity",
            b"-Infinity",
        ),
        *(b"+Infinity", b"Inf", b"nan", b"[NaN]", b'{"a":Infinity}', b"a", b"\xe2\x82\xac", b"*", b"<null>", b"[nul]"),
    ],
    "numbers": [
        *(
            b"01",
            b"-01",
            b"00",
            b"-012",
            b"+1",
            b"++1",
            b"-",
            b"- 1",
            b"--1",
            b".5",
            b"-.5",
            b"1.",
            b"-2.",
            b"0.",
            b"2.e3",
        ),
        *(
            b"1e",
            b"1e+",
            b"1eE2",
            b"0e",
            b"0E+",
            b"0.3e",
            b"0.3e+",
            b"1.0e-",
            b"9.e+",
            b"1+2",
            b"0x42",
            b"0x1",
            b"1_000",
        ),
        *(
            b"1 000",
            b"1,5",
            b"1.2.3",
            b"-1.0.",
            b"1ea",
            b"1a",
            b"-a",
            b"-foo",
            b"1.2a-3",
            b"1.8011670033376514H-308",
            b"0e+-1",
        ),
        *("\uff11".encode(), b".-1", b".2e-3", b"0.1.2", b"1e1.5", b"0.e1", b"\xef\xbc\x91", b"1" * 5000),
    ],
    "strings": [
        *(
            b"'a'",
            b'"a',
            b'a"',
            b'"',
            b'"\\"',
            b'"\\a"',
            b'"\\x00"',
            b'"\\u"',
            b'"\\u1"',
            b'"\\u00A"',
            b'"\\u00G0"',
            b'"\\"x',
        ),
        *(
            b'"\\uD800"',
            b'"\\uDC00"',
            b'"\\uD800\\uD800\\n"',
            b'"\\uD800\\u"',
            b'"\\uD800\\u1"',
            b'"\\uD834\\uDd"',
            b'"\\ud800abc"',
        ),
        *(
            b'"\x00"',
            b'"\x01"',
            b'"\t"',
            b'"a\x1fb"',
            b'"\n"',
            b'"\\\n"',
            b'"\\ "',
            b'"\\8"',
            b'"\\U0041"',
            b'"\\\t"',
            b"\\u0041",
        ),
        *(
            b"`a`",
            b"\xe2\x80\x9ca\xe2\x80\x9d",
            b'"\\\xe5"',
            b'"x""y"',
            b'"\\uqqqq"',
            b'"\\\\\\"',
            b'"\\\xf0\x9f\x8c\x80"',
        ),
    ],
    "arrays": [
        *(
            b"[",
            b"]",
            b"[1",
            b"[1,",
            b"[,",
            b"[,1]",
            b"[1,]",
            b"[1,,2]",
            b"[1,,]",
            b"[1 2]",
            b"[1;2]",
            b"[1:2]",
            b"[[1]",
            b"[1]]",
        ),
        *(
            b"(1)",
            b"[1}",
            b'["a"',
            b'["a",',
            b"[3[4]]",
            b"['a']",
            b"[\x0b]",
            b"[\x0c]",
            b"[1\n1]",
            b"[x",
            b"[*]",
            b"[-]",
        ),
    ],
    "objects": [
        *(
            b"{",
            b"}",
            b'{"a"',
            b'{"a":',
            b'{"a":1',
            b'{"a":1,',
            b'{"a":1,}',
            b'{"a":1,,"b":2}',
            b'{"a" 1}',
            b'{"a":1 "b":2}',
        ),
        *(
            b"{a:1}",
            b"{'a':1}",
            b"{1:1}",
            b"{null:1}",
            b"{:1}",
            b'{"a"::1}',
            b'{"a":}',
            b'{"a","b"}',
            b'{"a":1]',
            b'{"a"=1}',
        ),
        *(
            b'{,"a":1}',
            b'{"a":1}}',
            b"{[]:1}",
            b'{"a":1/*c*/}',
            b'{"a":1//c\n}',
            b'{"a":1#}',
            b"{{}}",
            b'{"x":"b":1}',
            b"{9999E9999:1}",
        ),
    ],
    "white space and comments": [
        b"",
        b"1\x0c2",
        b"[1]\x0c",
        b"\xc2\xa01",
        b"\xe2\x81\xa0",
        b"/**/1",
        b"1/**/",
        b"//\n1",
        b"#1",
        b"1;",
    ],
    "encoding": [
        *(
            b'"\xff"',
            b'"\x80"',
            b'"\xe9"',
            b'"\xc0\xaf"',
            b'"\xe0\xff"',
            b'"\xed\xa0\x80"',
            b'"\xf4\xbf\xbf\xbf"',
            b'"\xf8\x88"',
        ),
        *(
            b'"\xfc\x80\x80\x80\x80\x80"',
            b'"\xc3"',
            b'{"\xb9":1}',
            b"\xff",
            b'["\xe6',
            b"\xef\xbb\xbf1",
            b"1\x00",
            b'"\xf0\x9f"',
        ),
    ],
    "nesting": [b"[" * 100_000 + b"]" * 100_000, b'{"":' * 50_000 + b"1" + b"}" * 50_000, b"[" * 100_000],
}


def cases(table: dict[str, list[bytes]]) -> list[object]:
    return [pytest.param(text, id=f"{name}-{text[:24]!r}") for name, texts in table.items() for text in texts]


def read(data: bytes) -> list[Event | Rejection]:
    return both_ways(data)


def with_value(text: bytes) -> bytes:
    """An event that has `text` as the value of an attribute."""
    return line(1, attributes={"x": "HERE"}).replace(b'"HERE"', text)


@pytest.mark.parametrize("text", cases(VALID))
def test_valid_as_a_value(text: bytes) -> None:
    """Valid JSON is taken as an attribute's value, and goes on as it is but for line breaks."""
    [event] = read(with_value(text))
    assert isinstance(event, Event)
    assert event.body == with_value(text) or b"\n" in text or b"\r" in text


@pytest.mark.parametrize("text", cases(INVALID))
def test_invalid_as_a_value(text: bytes) -> None:
    """Anything else is rejected as JSON or as UTF-8, and the events before and after it are not touched."""
    items = read(line(0) + b"\n" + with_value(text) + b"\n" + line(2))
    found = [item.interaction_id for item in items if isinstance(item, Event)]
    assert found == ["interaction-0", "interaction-2"]
    bad = [item for item in items if isinstance(item, Rejection)]
    assert bad
    assert {item.reason for item in bad} <= {Reason.INVALID_JSON, Reason.INVALID_ENCODING}


@pytest.mark.parametrize("text", cases(VALID))
def test_valid_as_a_file(text: bytes) -> None:
    """Valid JSON that is no event is rejected for the schema, never as JSON."""
    items = read(text)
    assert (
        all(isinstance(item, Rejection) and item.reason == Reason.SCHEMA_VIOLATION for item in items) or b"[[" in text
    )


LEGAL_AS_A_FILE = {b"", b"\xef\xbb\xbf1"}
"""An empty file has no record; a byte order mark before the first value is let pass."""


@pytest.mark.parametrize("text", cases(INVALID))
def test_invalid_as_a_file(text: bytes) -> None:
    """A file of anything else has a record that is rejected as JSON or as UTF-8."""
    reasons = {item.reason for item in read(text) if isinstance(item, Rejection)}
    assert bool(reasons & {Reason.INVALID_JSON, Reason.INVALID_ENCODING}) == (text not in LEGAL_AS_A_FILE)
