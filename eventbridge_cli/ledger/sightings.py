"""How often something was seen, and where first, in a fixed amount of memory whatever the data says."""

from msgspec import Struct, field

OTHER = "other"

_LIMIT = 500  # things counted one by one; what is new after that is counted as one
_PLACES = 3
_LONGEST = 200  # characters kept of a text


class Sighting(Struct):
    """How often, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)


class Sightings:
    """Counts by a key of a few words. Keys that are new after the first 500 are counted under `OTHER`."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._seen: dict[tuple[str, ...], Sighting] = {}

    def add(self, *key: str, place: str = "", count: int = 1) -> None:
        """Count `key` at a place."""
        short = tuple(word[:_LONGEST] for word in key)
        if short not in self._seen and len(self._seen) >= self._limit:
            short = (OTHER, *[""] * (len(key) - 1))
        sighting = self._seen.setdefault(short, Sighting())
        sighting.count += count
        if place and len(sighting.places) < _PLACES:
            sighting.places.append(place[:_LONGEST])

    def most(self) -> list[tuple[tuple[str, ...], Sighting]]:
        """All of them, the most frequent first; of equals the one that was seen first."""
        return sorted(self._seen.items(), key=lambda item: -item[1].count)
