"""Faults to order: what goes wrong, how often, and the dice."""

import random

from msgspec import Struct

LOST, DROPPED = "lost", "drop"
"""The connection is cut with no answer: after the events are recorded, or before anything is."""

RETRYABLE, REFUSED = "retryable", "refused"
"""One event of the request is not taken, and the answer names it: to be sent again, or refused for good."""

NAMED = (LOST, DROPPED, RETRYABLE, REFUSED)

_ERRORS = range(300, 600)


class Fault(Struct, frozen=True):
    """What goes wrong: a status or one of the names above, with a probability from 0 to 1 for each request."""

    what: str
    probability: float

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read `503:0.1`.

        Raises:
            ValueError: it is no such thing. A success is no fault: it would claim events that nobody recorded.
        """
        what, _, share = text.partition(":")
        probability = float(share)
        status = what.isascii() and what.isdecimal() and int(what) in _ERRORS
        if not (what in NAMED or status) or not 0 <= probability <= 1:
            raise ValueError(text)
        return cls(what, probability)


class Dice:
    """Draws faults; the same seed and requests give the same ones."""

    def __init__(self, faults: tuple[Fault, ...], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng

    def draw(self) -> str:
        """The fault of this request, or nothing. The first one that comes up wins."""
        for fault in self._faults:
            if self._rng.random() < fault.probability:
                return fault.what
        return ""

    def pick(self, count: int) -> int:
        """One of `count` events."""
        return self._rng.randrange(count)
