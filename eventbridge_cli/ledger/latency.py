"""Latencies in a fixed amount of memory: a histogram with geometric buckets, exact to one per cent."""

import math
from collections import Counter

from msgspec import Struct, field

_GROWTH = math.log(1.02)  # the middle of a bucket is within 1 % of all that is in it
_FLOOR = 1e-6  # seconds
_BOUNDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, math.inf)


class Latency(Struct):
    """Request latencies in seconds."""

    count: int = 0
    longest: float = 0.0
    total: float = 0.0
    _buckets: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Take one latency in."""
        self.count += 1
        self.longest = max(self.longest, seconds)
        self.total += seconds
        self._buckets[round(math.log(max(seconds, _FLOOR)) / _GROWTH)] += 1

    def absorb(self, other: "Latency") -> None:
        """Take in the latencies of another."""
        self.count += other.count
        self.longest = max(self.longest, other.longest)
        self.total += other.total
        self._buckets.update(other._buckets)  # noqa: SLF001 - one of its own kind

    def quantile(self, share: float) -> float:
        """The latency that `share` (0 to 1) of all requests do not exceed; 0 if there was none."""
        rank = math.ceil(share * self.count)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(math.exp(bucket * _GROWTH), self.longest)
        return 0.0

    def histogram(self) -> list[tuple[float, int]]:
        """How many requests took up to each bound, and longer than the bound before, in seconds."""
        counts = [0] * len(_BOUNDS)
        for bucket, count in tuple(self._buckets.items()):  # a copy: another thread may ask while the run goes on
            seconds = math.exp(bucket * _GROWTH)
            counts[next(i for i, bound in enumerate(_BOUNDS) if seconds <= bound)] += count
        return list(zip(_BOUNDS, counts, strict=True))

    def bars(self, most: int) -> list[tuple[float, float, int]]:
        """How many requests took from, and up to, so many seconds, in at most `most` spans of equal ratio."""
        if not self._buckets:
            return []
        first, last = min(self._buckets), max(self._buckets)
        step = (last - first) // most + 1
        counts = [0] * ((last - first) // step + 1)
        for bucket, count in self._buckets.items():
            counts[(bucket - first) // step] += count
        edges = [math.exp((first + index * step - 0.5) * _GROWTH) for index in range(len(counts) + 1)]
        return list(zip(edges[:-1], edges[1:], counts, strict=True))
