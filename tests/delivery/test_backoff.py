"""How long to wait: properties of the pure function."""

from hypothesis import given
from hypothesis import strategies as st

from eventbridge_cli.delivery.backoff import GiveUp, Policy, backoff

policies = st.builds(
    Policy,
    base=st.floats(0.01, 5),
    cap=st.floats(1, 60),
    max_attempts=st.integers(1, 50),
    max_elapsed=st.floats(1, 1000),
    max_wait=st.floats(0, 500),
)
waits = st.none() | st.floats(0, 10_000)


@given(policies, st.integers(1, 100), st.floats(0, 2000), waits, st.floats(0, 1, exclude_max=True))
def test_a_delay_keeps_all_bounds(
    policy: Policy, attempts: int, elapsed: float, wait: float | None, draw: float
) -> None:
    """At least Retry-After, at most the jitter's bound or Retry-After, within attempts and time; else none at all."""
    delay = backoff(policy, attempts=attempts, elapsed=elapsed, retry_after=wait, random=lambda: draw)
    if isinstance(delay, GiveUp):
        over_wait = wait is not None and wait > policy.max_wait
        assert delay.ends_run == over_wait
        longest = max(policy.cap, wait or 0)
        assert over_wait or attempts >= policy.max_attempts or elapsed + longest > policy.max_elapsed
        return
    assert (wait or 0) <= delay <= max(policy.cap, policy.base * 2 ** (attempts - 1), wait or 0)
    assert delay <= max(policy.cap, wait or 0)
    assert attempts < policy.max_attempts
    assert elapsed + delay <= policy.max_elapsed


def test_the_bound_doubles_up_to_the_cap() -> None:
    """With the highest draw the delays are 0.5, 1, 2, 4 ... 30 seconds."""
    policy = Policy(max_attempts=100, max_elapsed=10_000)
    delays = [backoff(policy, attempts=n, elapsed=0, retry_after=None, random=lambda: 1.0) for n in range(1, 10)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
