"""Tell copies from events: within the run by a 128-bit digest of the key, and against what was delivered before."""

import heapq
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pydantic_core import from_json

from eventbridge_cli.errors import UsageError
from eventbridge_cli.flow import (
    Chunk,
    DeliveredKeys,
    Duplicate,
    Event,
    Origin,
    Problem,
    Reason,
    Rejection,
    Stage,
)
from eventbridge_cli.schema import EventBridgeEvent, RoutingMetadata, parse_event_time

DEFAULT_KEY = ("interactionId", "eventType", "eventTime")
_FREE_FORM = "attributes"
_MOST_STALE = 64  # entries of forgotten keys that are not worth tidying up


class Key:
    """What makes two events copies of each other: the values at some field paths.

    Args:
        paths: field paths with dots, as in `attributes.call.id`.

    Raises:
        UsageError: a path that no event can have.
    """

    def __init__(self, paths: Sequence[str] = DEFAULT_KEY) -> None:
        for path in paths:
            _check_path(path)
        self.paths = tuple(paths)
        self._split = [path.split(".") for path in paths]
        self._is_default = self.paths == DEFAULT_KEY
        # Keys made of other fields must never meet in the store of delivered keys.
        self._salt = blake2b(",".join(paths).encode(), digest_size=16).digest()

    def digest(self, event: Event) -> bytes:
        """The 16-byte digest of the event's key.

        Raises:
            KeyError: the event lacks the path that the error names.
        """
        if self._is_default:
            parts = [event.interaction_id, event.event_type, event.event_time]
        else:
            value = from_json(event.body)
            parts = [_text_at(value, path) for path in self._split]
        text = "".join([f"{len(part)}:{part}" for part in parts])
        return blake2b(text.encode(), digest_size=16, person=self._salt).digest()


def _check_path(path: str) -> None:
    first, _, rest = path.partition(".")
    known = set(EventBridgeEvent.model_fields)
    below = set(RoutingMetadata.model_fields)
    if first not in known or (first == "routingMetadata" and rest and rest not in below):
        raise UsageError(
            f"--key: events have no field {path}.",
            f"The fields are {', '.join(EventBridgeEvent.model_fields)}; "
            f"routingMetadata has {', '.join(RoutingMetadata.model_fields)}; "
            "below attributes any path goes, as in attributes.call.id.",
        )
    if path.endswith(".") or (rest and first not in {_FREE_FORM, "routingMetadata"}):
        raise UsageError(f"--key: {first} has nothing below it that {path} could mean.", f"Use {first}.")


def _text_at(value: object, path: list[str]) -> str:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            raise KeyError(".".join(path))
        value = value[part]
    return "s" + value if isinstance(value, str) else "j" + _canonical(value)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def content_digest(body: bytes) -> int:
    """A number that is the same for the same content, however it is spaced or its fields are ordered."""
    return _fingerprint(from_json(body))


def _fingerprint(value: object) -> int:
    """A hash that does not depend on the order of an object's members, and tells 1, 1.0 and true apart."""
    if isinstance(value, dict):
        members = [(name, each if type(each) is str else _fingerprint(each)) for name, each in value.items()]
        return hash(frozenset(members))
    if isinstance(value, list):
        return hash(tuple([_fingerprint(each) for each in value]))
    return hash((type(value), repr(value)))  # not of the number itself: Python has hash(-1) == hash(-2)


@dataclass(frozen=True, slots=True)
class _First:
    """The first event with a key: where it stood, what it held, and which in the row of firsts it was."""

    origin: Origin
    content: int
    seconds: float
    number: int


class DeduplicationCache:
    """The keys of this run. Exact and unbounded by default; `window` and `size` bound it.

    Args:
        window: forget a key once the newest event time is more than so many seconds past its own.
        size: remember the last so many keys.
    """

    def __init__(self, *, window: float | None = None, size: int | None = None) -> None:
        self._window = window
        self._size = size
        self._firsts: dict[bytes, _First] = {}
        # What to forget next, by age and by event time. An entry whose number is no longer its key's is stale.
        self._by_age: deque[tuple[int, bytes]] = deque()
        self._by_time: list[tuple[float, int, bytes]] = []
        self._newest = float("-inf")
        self._number = 0

    def __len__(self) -> int:
        return len(self._firsts)

    def first(self, key: bytes, event: Event, content: int) -> _First | None:
        """The first event with this key, if it is remembered; otherwise `event` becomes it."""
        seconds = 0.0
        if self._window is not None:
            seconds = parse_event_time(event.event_time).timestamp()
            self._forget_before(seconds, self._window)
        first = self._firsts.get(key)
        if first is not None and (self._window is None or abs(seconds - first.seconds) <= self._window):
            return first
        self._firsts.pop(key, None)
        if self._size is not None:
            self._make_room(self._size)
        self._number += 1
        self._firsts[key] = _First(event.origin, content, seconds, self._number)
        if self._size is not None:
            self._by_age.append((self._number, key))
        if self._window is not None:
            heapq.heappush(self._by_time, (seconds, self._number, key))
        self._tidy()
        return None

    def _forget_before(self, seconds: float, window: float) -> None:
        self._newest = max(self._newest, seconds)
        while self._by_time and self._by_time[0][0] < self._newest - window:
            _, number, key = heapq.heappop(self._by_time)
            self._forget(number, key)

    def _make_room(self, size: int) -> None:
        while len(self._firsts) >= size:
            self._forget(*self._by_age.popleft())

    def _forget(self, number: int, key: bytes) -> None:
        if self._is_current(number, key):
            del self._firsts[key]

    def _is_current(self, number: int, key: bytes) -> bool:
        first = self._firsts.get(key)
        return first is not None and first.number == number

    def _tidy(self) -> None:
        """Drop stale entries once they are the greater part, so that what is forgotten holds no memory."""
        most = 2 * len(self._firsts) + _MOST_STALE
        if len(self._by_age) > most:
            self._by_age = deque(entry for entry in self._by_age if self._is_current(*entry))
        if len(self._by_time) > most:
            self._by_time = [entry for entry in self._by_time if self._is_current(*entry[1:])]
            heapq.heapify(self._by_time)


def dedupe(
    items: Iterator[Event | Rejection], key: Key, cache: DeduplicationCache
) -> Iterator[Event | Rejection | Duplicate]:
    """Give each event its key and turn copies into duplicates. An event without the key becomes a rejection."""
    for item in items:
        if isinstance(item, Rejection):
            yield item
            continue
        try:
            digest = key.digest(item)
        except KeyError as missing:
            yield _without_key(item, str(missing.args[0]))
            continue
        event = item._replace(key=digest)
        content = content_digest(event.body)
        first = cache.first(digest, event, content)
        if first is None:
            yield event
        else:
            yield Duplicate(event, first.origin, conflict=first.content != content)


def _without_key(event: Event, path: str) -> Rejection:
    remedy = "add the field, or choose another --key"
    problem = Problem("missing_key", path, "nothing", "a value: it is part of --key", remedy)
    return Rejection(event.origin, Stage.DEDUPE, Reason.MISSING_KEY, (problem,), event.raw)


def skip_delivered(
    items: Iterator[Chunk | Rejection | Duplicate], delivered: DeliveredKeys
) -> Iterator[Chunk | Rejection | Duplicate]:
    """Turn events that an earlier run delivered into duplicates; what is left of their chunk stays together.

    It comes after cutting, not before, so that a run that resumes another cuts the same chunks: a body whose fate is
    unknown goes again as it was, under the same request id, and a server that honours the id takes it once.
    """
    for item in items:
        runs = delivered.find([event.key for event in item.events]) if isinstance(item, Chunk) else {}
        if not isinstance(item, Chunk) or not runs:
            yield item
            continue
        yield from (Duplicate(event, runs[event.key]) for event in item.events if event.key in runs)
        if rest := [event for event in item.events if event.key not in runs]:
            yield Chunk.of(rest)
