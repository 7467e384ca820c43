"""The members of a JSON object, each with its own text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError

from eventbridge_cli.members import members_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


def texts(document: str) -> dict[str, str]:
    return {name: bytes(text).decode() for name, text in members_of(document.encode()).items()}


@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_a_member_is_cut_out_as_it_stands(document: dict[str, object], indent: int | None, ensure_ascii: bool) -> None:  # noqa: FBT001
    """Of any JSON object, however it is laid out, all members are found, and nothing else."""
    found = texts(json.dumps(document, indent=indent, ensure_ascii=ensure_ascii))
    assert {name: json.loads(text) for name, text in found.items()} == document
    assert all(text == text.strip() for text in found.values())


@pytest.mark.parametrize(
    "text",
    [
        "1.10",
        "-0",
        "1E+400",
        "9" * 6000,
        "[1e3 ,\t{ } ]",
        '{\n"a" : 1, "a":2}',
        '"\\u00fc\\/ü\\ud83d\\ude00"',
        "[" * 190 + "]" * 190,
    ],
)
def test_a_value_keeps_its_text(text: str) -> None:
    """Digits, spaces, escapes and repeated names below it stay; the space around it is not its own."""
    assert texts(f'\n{{ "a"\t:\r\n {text} \n, "b":{text}}}\n') == {"a": text, "b": text}


def test_the_last_of_two_members_counts() -> None:
    """As it does for every parser that an event goes through, however the names are written."""
    assert texts('{"a": 1, "b": 2, "\\u0061": 3.0}') == {"a": "3.0", "b": "2"}


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '"\\udcff"', '{"\\ud83d": 1}', "01", "'a'", '"\t"'])
def test_what_is_no_json_is_an_error(text: str) -> None:
    """So are lone surrogates, which no event has."""
    with pytest.raises(DecodeError):
        texts(f'{{"a": 1, "b": {text}}}')
