"""JSON that is safe to show."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge_cli.ascii_json import ascii_json, ascii_json_each

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


class Pair(msgspec.Struct):
    """Something that only msgspec knows."""

    one: str
    two: int | None


@given(st.recursive(st.none() | st.booleans() | st.integers() | ANY_TEXT, lambda v: st.lists(v) | st.tuples(v)))
def test_it_says_what_json_says(value: object) -> None:
    """Whatever characters there are, half surrogates among them; none that a terminal could act on is left."""
    text = ascii_json(value)
    assert json.loads(text) == json.loads(json.dumps(value))
    assert all(0x20 <= byte < 0x7F for byte in text)


@pytest.mark.parametrize("text", ["plain", "é", "\ud800", "\x7f", "\x1b[1m", "\x9b"])
def test_structs(text: str) -> None:
    """A struct is an object, on the quick way and on the other."""
    assert json.loads(ascii_json([Pair(text, None)])) == [{"one": text, "two": None}]


@pytest.mark.parametrize("text", ["plain", "two\nlines\r\x0b", "é", "\ud800", "\x7f"])
def test_several_at_once(text: str) -> None:
    """Each is what it would be alone, whatever characters the others have."""
    pairs = [Pair("first", 1), Pair(text, None), Pair("last", 3)]
    assert ascii_json_each(pairs) == list(map(ascii_json, pairs))
    assert ascii_json_each([]) == []
