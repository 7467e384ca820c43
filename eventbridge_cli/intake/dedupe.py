"""Tell copies from events: within the run by the digest of the key, and against what was delivered before."""

import heapq
from array import array
from bisect import bisect
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from eventbridge_cli.bulk import Checked, Copies, Lines
from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.fields import parse_event_time
from eventbridge_cli.flow import DeliveredKeys, Duplicate, Event, Origin, Outcome
from eventbridge_cli.intake.spelling import checksums

_MOST_FOR_A_FIRST = 16  # lines, of which each takes 4 bytes while any of them is the first of its key
_MOST_STALE = 64  # entries of forgotten keys that are not worth tidying up


class _First(NamedTuple):
    """The first event with a key: its place and the checksum of its content."""

    origin: Origin
    content: int


class DeduplicationCache:
    """The keys of this run. Exact and unbounded by default; `window` and `size` bound it.

    A key costs some 120 bytes: its digest as an integer, the number of the first event that had it, and the checksum
    of that event's content.

    Args:
        window: forget a key once the newest event time is more than so many seconds past its own.
        size: remember the last so many keys.
    """

    def __init__(self, *, window: float | None = None, size: int | None = None) -> None:
        self._window = window
        self._size = size
        self._firsts: dict[int, int | _First] = {}  # where the first is a plain line, its number
        self._contents = array("I")  # of the plain lines, in the order of their numbers
        self._begun: list[int] = []  # the numbers with which neighbouring lines begin, and where those stand
        self._places: list[Origin] = []
        self._times: dict[int, float] = {}
        # What to forget next, by age and by event time. An entry whose first is no longer its key's is stale.
        self._by_age: deque[tuple[int, _First]] = deque()
        self._by_time: list[tuple[float, int, _First]] = []
        self._newest = float("-inf")

    def __len__(self) -> int:
        return len(self._firsts)

    def sift(self, checked: Checked) -> Checked:
        """Remember the events and turn copies into duplicates."""
        bounded = self._window is not None or self._size is not None
        if bounded or checked.outcomes or not isinstance(checked.plain, Lines):
            return Checked.of([self._outcome(item) for item in checked.all()])
        numbers = range(len(self._contents), len(self._contents) + checked.size)
        self._contents.extend(checked.contents)
        keys = list(map(int.from_bytes, checked.keys))
        firsts = list(map(self._firsts.setdefault, keys, numbers))
        if firsts == list(numbers):
            self._begin(numbers.start, checked.plain)
            return checked
        copies = [index for index, number in enumerate(numbers) if firsts[index] != number]
        if checked.size > _MOST_FOR_A_FIRST * (checked.size - len(copies)):
            self._keep_firsts_alone(numbers, keys, checked)
            firsts = [self._firsts[key] for key in keys]
        else:
            self._begin(numbers.start, checked.plain)
        return checked._replace(outcomes=_Copies(checked, {index: firsts[index] for index in copies}, self))

    def _keep_firsts_alone(self, numbers: range, keys: list[int], checked: Checked) -> None:
        """Let copies take no memory, where they are nearly all: the few others are remembered one by one."""
        for number, key in zip(numbers, keys, strict=True):
            if self._firsts[key] == number:
                event = checked.event(number - numbers.start)
                self._firsts[key] = _First(event.origin, event.content)
        del self._contents[numbers.start :]

    def _begin(self, number: int, lines: Lines) -> None:
        """Remember where lines stand; those that follow on the last ones go without saying."""
        if self._begun:
            source, line, *_ = self._places[-1]
            if source == lines.source and line + number - self._begun[-1] == lines.first:
                return
        self._begun.append(number)
        self._places.append(Origin(lines.source, lines.first))

    def duplicate(self, event: Event, first: int | _First) -> Duplicate:
        """The copy that `event` is of the first one with its key."""
        if isinstance(first, int):
            begin = bisect(self._begun, first) - 1
            source, line, *_ = self._places[begin]
            first = _First(Origin(source, line + first - self._begun[begin]), self._contents[first])
        same = first.content == event.content or first.content in checksums(event.body)
        return Duplicate(event, first.origin, conflict=not same)

    def content(self, first: int | _First) -> int:
        """The checksum of the first event's content."""
        return self._contents[first] if isinstance(first, int) else first.content

    def _outcome(self, item: Outcome) -> Outcome:
        if not isinstance(item, Event):
            return item
        key, mine = int.from_bytes(item.key, "big"), _First(item.origin, item.content)
        seconds = 0.0
        if self._window is not None:
            seconds = parse_event_time(item.event_time).timestamp()
            self._forget_before(seconds, self._window)
        first = self._firsts.get(key)
        if first is not None and (self._window is None or abs(seconds - self._times[key]) <= self._window):
            return self.duplicate(item, first)
        self._firsts.pop(key, None)
        if self._size is not None:
            self._make_room(self._size)
            self._by_age.append((key, mine))
        if self._window is not None:
            self._times[key] = seconds
            heapq.heappush(self._by_time, (seconds, key, mine))
        self._firsts[key] = mine
        self._tidy()
        return item

    def _forget_before(self, seconds: float, window: float) -> None:
        self._newest = max(self._newest, seconds)
        while self._by_time and self._by_time[0][0] < self._newest - window:
            _, key, first = heapq.heappop(self._by_time)
            self._forget(key, first)

    def _make_room(self, size: int) -> None:
        while len(self._firsts) >= size:
            self._forget(*self._by_age.popleft())

    def _forget(self, key: int, first: _First) -> None:
        if self._firsts.get(key) is first:
            del self._firsts[key]
            self._times.pop(key, None)

    def _tidy(self) -> None:
        """Drop stale entries once they are the greater part, so that what is forgotten holds no memory."""
        most = 2 * len(self._firsts) + _MOST_STALE
        if len(self._by_age) > most:
            self._by_age = deque(entry for entry in self._by_age if self._firsts.get(entry[0]) is entry[1])
        if len(self._by_time) > most:
            self._by_time = [entry for entry in self._by_time if self._firsts.get(entry[1]) is entry[2]]
            heapq.heapify(self._by_time)


class _Copies(Copies):
    """The copies among lines, by index, each with what `cache` remembers of the first event with its key."""

    def __init__(self, checked: Checked, firsts: dict[int, int | _First], cache: DeduplicationCache) -> None:
        self._checked = checked
        self._firsts = firsts
        self._cache = cache

    def __getitem__(self, index: int) -> Duplicate:
        return self._cache.duplicate(self._checked.event(index), self._firsts[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self._firsts)

    def __len__(self) -> int:
        return len(self._firsts)

    @property
    def conflicts(self) -> int:
        contents, content = self._checked.contents, self._cache.content
        differing = [index for index, first in self._firsts.items() if content(first) != contents[index]]
        return sum(self[index].conflict for index in differing)


def skip_delivered(items: Iterator[Item], delivered: DeliveredKeys) -> Iterator[Item]:
    """Turn events that an earlier run delivered into duplicates; what is left of their chunk stays together.

    It comes after cutting, not before, so that a run that resumes another cuts the same chunks: a body whose fate is
    unknown goes again as it was, under the same request id, and a server that honours the id takes it once.
    """
    for item in items:
        runs = delivered.find(item.events.keys) if isinstance(item, Chunk) else {}
        if not isinstance(item, Chunk) or not runs:
            yield item
            continue
        yield from (Duplicate(event, None, runs[event.key]) for event in item.events if event.key in runs)
        if rest := [event for event in item.events if event.key not in runs]:
            yield Chunk.of(rest)
