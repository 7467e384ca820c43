"""What happened when, in a fixed amount of memory: time buckets whose width doubles when there would be too many."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from eventbridge_cli.ledger.latency import Latency

LIMIT = 120
"""Buckets at most: about what a chart as wide as a page can show."""

_FIRST_WIDTH = 0.1  # seconds


class Bucket(Struct):
    """A span of time.

    `in_flight` and `waiting` are the seconds that requests spent on the way, and between two attempts: more than the
    span is long where there were several at once.
    """

    delivered: int = 0
    in_flight: float = 0.0
    waiting: float = 0.0
    latency: Latency = field(default_factory=Latency)
    retries: Counter[str] = field(default_factory=Counter)

    def absorb(self, other: "Bucket") -> None:
        """Take in what another bucket holds."""
        self.delivered += other.delivered
        self.in_flight += other.in_flight
        self.waiting += other.waiting
        self.latency.absorb(other.latency)
        self.retries.update(other.retries)


class Buckets:
    """Buckets of equal `width` in seconds, from time 0 on; iterating gives them in order, empty ones too."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.width = _FIRST_WIDTH
        self._limit = limit
        self._buckets: list[Bucket] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[Bucket]:
        return iter(self._buckets)

    def at(self, seconds: float) -> Bucket:
        """The bucket of a point in time. What a clock that was set back puts before time 0 goes to the first one."""
        index = self._reach(seconds)  # first of all: it may put other buckets in place
        return self._buckets[index]

    def over(self, begin: float, end: float) -> Iterator[tuple[Bucket, float]]:
        """The buckets between two points in time, each with the seconds of it that lie between them."""
        last = self._reach(end)
        for index in range(self._reach(begin), last + 1):
            low, high = index * self.width, (index + 1) * self.width
            yield self._buckets[index], max(0.0, min(end, high) - max(begin, low))

    def _reach(self, seconds: float) -> int:
        while (index := max(0, int(seconds // self.width))) >= self._limit:
            self._double()
        while len(self._buckets) <= index:
            self._buckets.append(Bucket())
        return index

    def _double(self) -> None:
        self.width *= 2
        odd = self._buckets[1::2]
        self._buckets = self._buckets[::2]
        for bucket, neighbour in zip(self._buckets, odd, strict=False):
            bucket.absorb(neighbour)
