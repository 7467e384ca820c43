"""The lines of the audit file, read again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge_cli.ledger.entries import _carefully, entry_of

LINES = (Path(__file__).parents[1] / "pictures" / "audit.jsonl").read_bytes().splitlines()
DAMAGE = [b"NaN", b"1e400", b"1.0", b"-1", b"9" * 30, b'"\\ud800"', b"null", b"[" * 2000, b'"event":"RUN_STARTED",']


def test_a_line_is_the_same_fact_read_quickly_and_with_care() -> None:
    """All kinds of lines; none of them needs the careful way."""
    entries = [entry_of(line) for line in LINES]
    assert None not in entries
    assert entries == [_carefully(line) for line in LINES]


@given(st.sampled_from(LINES), st.data())
def test_a_damaged_line_is_the_same_fact_or_none(line: bytes, data: st.DataObject) -> None:
    """Whatever bytes are put in place of some."""
    start = data.draw(st.integers(0, len(line)))
    size = data.draw(st.integers(0, 20))
    damaged = line[:start] + data.draw(st.binary(max_size=5) | st.sampled_from(DAMAGE)) + line[start + size :]
    assert entry_of(damaged) == _carefully(damaged)


@pytest.mark.parametrize("name", [r"caf\u00e9.ndjson", r"\ud800.ndjson"])
def test_a_name_that_few_can_read(name: str) -> None:
    """Half a surrogate is no text for msgspec; the line is a fact all the same."""
    line = next(line for line in LINES if b'"event":"INGESTION_REJECTED"' in line)
    source = line.split(b'"source":"')[1].split(b'"')[0]
    assert entry_of(line.replace(source, name.encode())) is not None
