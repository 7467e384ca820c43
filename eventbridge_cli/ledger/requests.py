"""When requests were on the way and when they waited, drawn from the lines that say how each attempt ended."""

from collections import OrderedDict, deque

from msgspec import Struct

_OPEN = 10_000  # requests followed at once: a run has as many as its concurrency, a forged file may have more
_GAPS = 100  # spans that a late interval may still join

Interval = tuple[float, float]
"""From and to, in seconds of the run."""


class Passed(Struct, frozen=True):
    """What a line says of the time before it: for how long its request waited, and then was on the way.

    `seconds` is how long the attempt took where that was measured.
    """

    waiting: Interval | None = None
    in_flight: Interval | None = None
    seconds: float | None = None


class _Request(Struct):
    """`since` is when the attempt under way may have begun; `waits_from` is when the one before it failed."""

    place: str = ""
    events: int = 0
    size: int = 0
    attempts: int = 0
    posted: bool = False
    since: float = 0.0
    waits_from: float | None = None


class Coverage:
    """The time that intervals cover together. They come in the order in which they end."""

    def __init__(self) -> None:
        self._closed = 0.0
        self._spans: deque[Interval] = deque()

    @property
    def seconds(self) -> float:
        """How much is covered."""
        return self._closed + sum(end - begin for begin, end in self._spans)

    def add(self, begin: float, end: float) -> None:
        """Cover an interval more."""
        while self._spans and self._spans[-1][1] >= begin:
            earlier = self._spans.pop()
            begin, end = min(begin, earlier[0]), max(end, earlier[1])
        self._spans.append((begin, end))
        if len(self._spans) > _GAPS:
            first = self._spans.popleft()
            self._closed += first[1] - first[0]


class Requests:
    """Follows the requests of a run from line to line. All times are seconds of the run."""

    def __init__(self) -> None:
        self.answered = 0
        self.retried = 0
        self.bytes_sent = 0
        self._open: OrderedDict[str, _Request] = OrderedDict()

    @property
    def unsettled(self) -> list[tuple[str, int]]:
        """The first place, and the number of events, of each request that was posted and has no outcome."""
        return [(request.place, request.events) for request in self._open.values() if request.posted]

    def submit(self, request_id: str, now: float, *, events: int, size: int, place: str) -> Passed:
        """A chunk is posted for the first time; if it is what another one left over, it has waited before."""
        request = self._open.get(request_id) or self._follow(request_id)
        waiting = None if request.waits_from is None else (request.waits_from, now)
        request.place, request.events, request.size, request.posted = place, events, size, True
        request.since, request.waits_from = now, None
        return Passed(waiting)

    def retry(self, request_id: str, now: float, *, number: int, seconds: float, delay: float) -> Passed:
        """Attempt `number` has failed after `seconds`, and the next one comes after `delay`.

        A request that was never posted is what another one left over: its attempt stands in that one's line.
        """
        request = self._open.get(request_id) or self._follow(request_id)
        passed = self._attempt(request, now, seconds) if request.posted else Passed()
        self.retried += 1
        request.attempts, request.waits_from, request.since = number, now, now + delay
        return passed

    def settle(
        self, request_id: str, now: float, *, seconds: float | None = None, attempts: int | None = None
    ) -> Passed:
        """There is an outcome. `attempts` tells one that an answer brought from one that came while it waited."""
        request = self._open.pop(request_id, None)
        if request is None:
            return Passed()
        if not request.posted or (attempts is not None and attempts <= request.attempts):
            return Passed(None if request.waits_from is None else (request.waits_from, now))
        return self._attempt(request, now, seconds)

    def end(self) -> None:
        """The run has ended in order: nothing is on the way any more."""
        self._open.clear()

    def _follow(self, request_id: str) -> _Request:
        request = self._open[request_id] = _Request()
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)
        return request

    def _attempt(self, request: _Request, now: float, seconds: float | None) -> Passed:
        self.answered += 1
        self.bytes_sent += request.size
        begin = min(request.since, now) if seconds is None else max(0.0, now - seconds)
        waiting = None if request.waits_from is None else (request.waits_from, max(request.waits_from, begin))
        return Passed(waiting, (begin, now), seconds)
