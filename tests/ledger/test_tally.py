"""The account, the budget of errors, and the histogram of latencies."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge_cli.chunks import Chunk, Events
from eventbridge_cli.errors import AccountError, TooManyErrorsError, UsageError
from eventbridge_cli.facts import Answered, Attempt, Submitted
from eventbridge_cli.ledger.account import Counts, ErrorBudget
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.summary import summarize
from eventbridge_cli.ledger.tally import Tally


def test_an_account_that_does_not_balance_is_a_bug() -> None:
    """The law is checked at the end; a mismatch is exit 70."""
    tally = Tally()
    tally.counts = Counts(read=3, delivered=1, pending=1)
    with pytest.raises(AccountError) as caught:
        summarize(tally, run="r", error=None, files={})
    assert caught.value.exit_code == 70


@pytest.mark.parametrize(
    ("text", "bad", "read", "over"),
    [
        ("0", 0, 10, False),
        ("0", 1, 10, True),
        ("5", 5, 10, False),
        ("5", 6, 10, True),
        ("10%", 9, 99, False),  # too few to judge
        ("10%", 11, 100, True),
        ("10%", 10, 100, False),
        ("0.5%", 6, 1000, True),
    ],
)
def test_the_error_budget(text: str, bad: int, read: int, over: bool) -> None:  # noqa: FBT001 - a table
    """A number, or a share that is judged from the hundredth record on; without one there is no limit."""
    budget, counts = ErrorBudget.parse(text), Counts(read=read, rejected=bad)
    if over:
        with pytest.raises(TooManyErrorsError):
            budget.check(counts)
    else:
        budget.check(counts)
    ErrorBudget.parse(None).check(counts, at_end=True)


@pytest.mark.parametrize("text", ["", "x", "-1", "5.5", "%", "nan%", "inf%"])
def test_a_budget_that_is_none(text: str) -> None:
    """What is no number is a usage error that names it."""
    with pytest.raises(UsageError, match="--max-errors"):
        ErrorBudget.parse(text)


def test_throughput_counts_busy_time_alone() -> None:
    """Time in which nothing was in flight does not count."""
    now = [0.0]
    tally = Tally(clock=lambda: now[0])
    chunk = Chunk(Events(), b"")

    def post(begin: float, end: float) -> None:
        now[0] = begin
        tally.note(Submitted(chunk, "x"))
        now[0] = end
        tally.note(Answered("x", 100, Attempt(1, "delivered", end - begin)))

    post(1, 2)
    post(10, 13)
    assert (tally.busy_seconds, tally.in_flight, tally.requests, tally.bytes_sent) == (4.0, 0, 2, 200)


@given(st.lists(st.floats(1e-5, 1000), min_size=1, max_size=300), st.floats(0.01, 1))
def test_quantiles_are_exact_to_one_percent(seconds: list[float], share: float) -> None:
    """A quantile is within 1 % of the true one; the histogram has every request once."""
    latency = Latency()
    for each in seconds:
        latency.add(each)
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    assert latency.quantile(share) == pytest.approx(exact, rel=0.0101)
    assert sum(count for _, count in latency.histogram()) == len(seconds)
    assert latency.longest == max(seconds)


def test_no_request_no_latency() -> None:
    """Without a request all is zero."""
    assert Latency().quantile(0.5) == 0.0
