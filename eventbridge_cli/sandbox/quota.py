"""The stand-in's limit on requests: a sliding minute for each token, as its headers tell."""

import math
from collections import deque

from msgspec import Struct

_WINDOW = 60.0  # seconds over which the platform counts requests


class Standing(Struct, frozen=True):
    """Where a token stands: requests allowed and counted, seconds until the oldest no longer counts."""

    allowed: int
    count: int
    reset: int
    over: bool

    @property
    def headers(self) -> dict[str, str]:
        """The platform's quota headers."""
        return {
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-count": str(self.count),
            "inin-ratelimit-reset": str(self.reset),
        }


class Quota:
    """Counts requests; one that is over the limit does not count."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._recent: dict[str, deque[float]] = {}

    def count(self, token: str, now: float) -> Standing:
        """Count a request of a token at `now`, in seconds."""
        recent = self._recent.setdefault(token, deque())
        while recent and recent[0] <= now - _WINDOW:
            recent.popleft()
        over = len(recent) >= self._allowed
        if not over:
            recent.append(now)
        return Standing(self._allowed, len(recent), max(1, math.ceil(recent[0] + _WINDOW - now)), over)
