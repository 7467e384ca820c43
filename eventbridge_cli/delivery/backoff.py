"""How long to wait before the next attempt, or that there is none: one pure function."""

from collections.abc import Callable

from msgspec import Struct

from eventbridge_cli.wording import counted


class Policy(Struct, frozen=True, kw_only=True):
    """The bounds of retrying one chunk; all times in seconds.

    Full jitter (a delay drawn evenly from 0 to the bound) spreads senders best; see "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015.
    """

    base: float = 0.5
    cap: float = 30.0
    max_attempts: int = 8
    max_elapsed: float = 300.0
    max_wait: float = 180.0


class GiveUp(Struct, frozen=True):
    """No further attempt. `ends_run` if none of any chunk makes sense for now."""

    cause: str
    ends_run: bool = False


def backoff(
    policy: Policy, *, attempts: int, elapsed: float, retry_after: float | None, random: Callable[[], float]
) -> float | GiveUp:
    """Seconds until the next attempt: full jitter over `base * 2^n` up to `cap`, and at least `retry_after`.

    A delay that would pass one of the bounds gives up at once instead of waiting in vain.

    Args:
        policy: the bounds.
        attempts: how many there were so far, at least 1.
        elapsed: seconds since the first one began.
        retry_after: what the server asked for.
        random: draws from 0 (included) to 1.
    """
    if retry_after is not None and retry_after > policy.max_wait:
        return GiveUp(f"the platform asks to wait {retry_after:,.0f} s", ends_run=True)
    if attempts >= policy.max_attempts:
        return GiveUp(f"{counted(attempts, 'attempt')} failed")
    jittered = random() * min(policy.cap, policy.base * 2.0 ** min(attempts - 1, 32))
    delay = max(jittered, retry_after or 0.0)
    if elapsed + delay > policy.max_elapsed:
        return GiveUp(f"no success within {policy.max_elapsed:,.0f} s")
    return delay
