"""A short version of `python tests/chaos.py`, and the proof that it notices a broken tool."""

import pytest
from chaos import fly


@pytest.mark.parametrize("seed", range(1, 9))
def test_nothing_is_lost_whatever_goes_wrong(seed: int) -> None:
    """A seeded campaign of faults and kill -9: the server's ledger and the tool's account agree, event by event."""
    assert fly(seed).complaints == []


def test_the_rehearsal_notices_a_ledger_that_forgets() -> None:
    """With the commit of delivered keys taken out the campaign fails."""
    assert fly(1, "no-commit").complaints


def test_the_rehearsal_notices_a_lost_answer_taken_for_success() -> None:
    """With lost answers taken for success some campaign of a few fails."""
    assert any(fly(seed, "no-second-post").complaints for seed in range(1, 9))
