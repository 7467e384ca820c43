"""The nouns of the intake, in the order in which they travel: record, event, rejection or duplicate.

Chunks (`chunks.py`) and receipts (`facts.py`) follow on them.

Each says where it came from, so that every message can say `calls.ndjson:17`. All are immutable. What is made for
every single record is a named tuple, which Python makes in a third of the time; neighbouring lines travel together.
Printed or logged, none of them shows what a record says.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace


class Stage(StrEnum):
    """Where in the flow a record's way ended."""

    READ = "read"
    VALIDATE = "validate"
    DEDUPE = "dedupe"
    CHUNK = "chunk"
    DELIVER = "deliver"


class Reason(StrEnum):
    """Why a record was rejected here or refused by the server; the detail stands beside it."""

    UNREADABLE = "unreadable"
    OVERSIZED = "oversized"
    INVALID_ENCODING = "invalid_encoding"
    INVALID_JSON = "invalid_json"
    SCHEMA_VIOLATION = "schema_violation"
    MISSING_KEY = "missing_key"
    REFUSED = "refused"


class Origin(NamedTuple):
    """Where a record stands: a source, the line and the column, in characters, at which it begins (from 1).

    `index` counts from 0 and is set for a record that is an item of an array.
    """

    source: str
    line: int
    column: int = 1
    index: int | None = None  # type: ignore[assignment]  # tuple.index is not missed

    def moved(self, lines: int) -> "Origin":
        """The same, so many lines further down."""
        return self._replace(line=self.line + lines)

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}"
        return place if self.index is None else f"{place}[{self.index}]"


def source_name(path: str | Path) -> str:
    r"""How a file is called in origins: as it was named, with `\xff` for a byte that is no UTF-8, nor text of JSON."""
    return os.fsencode(Path(path)).decode(errors="backslashreplace")


class RawRecord(NamedTuple):
    """One record as it was read: its own bytes, not yet known to be JSON."""

    origin: Origin
    data: bytes

    def __repr__(self) -> str:
        return f"RawRecord({self.origin}, {len(self.data):,} bytes)"


class Problem(Struct, frozen=True):
    """One thing that is wrong with a record, and what to do about it.

    `path` names the field (empty: the record as a whole). `found` is shown to people only; it never goes to
    the audit file. `line` and `column` say where in the file it is, if it is no value of a field.
    """

    code: str
    path: str
    found: str
    allowed: str
    remedy: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        found = f"found {self.found}" if self.found else ""
        if self.line is not None:
            found += f" at line {self.line} column {self.column}"
        allowed = f"allowed: {self.allowed}" if self.allowed else ""
        facts = ", ".join(part for part in (found, allowed) if part)
        return f"{where}{facts}; {self.remedy}" if facts else f"{where}{self.remedy}"


class Rejection(Struct, frozen=True):
    """A record whose way ends here: a value in the stream, never an exception.

    `data` is the record as it was read, or None where it was too large to hold.
    """

    origin: Origin
    stage: Stage
    reason: Reason
    problems: tuple[Problem, ...]
    data: bytes | None

    def __repr__(self) -> str:
        return f"Rejection({self.origin}, {self.reason}: {', '.join(problem.code for problem in self.problems)})"

    def moved(self, lines: int) -> "Rejection":
        """The same, so many lines further down."""
        problems = (
            problem if problem.line is None else replace(problem, line=problem.line + lines)
            for problem in self.problems
        )
        return replace(self, origin=self.origin.moved(lines), problems=tuple(problems))


class Event(NamedTuple):
    """A valid event. `body` is what is sent, byte for byte; `raw` is the record as it was read.

    `dropped` names the fields that the schema does not have and that `body` therefore leaves out.
    `key` is the 128-bit deduplication digest, `content` a checksum of the body; both are empty where nobody wants them.
    """

    origin: Origin
    raw: bytes
    body: bytes
    interaction_id: str
    event_type: str
    event_time: str
    dropped: tuple[str, ...] = ()
    key: bytes = b""
    content: int = 0

    def __repr__(self) -> str:
        return f"Event({self.origin}, {len(self.body):,} bytes)"

    def moved(self, lines: int) -> "Event":
        """The same, so many lines further down."""
        return self._replace(origin=self.origin.moved(lines))


class Duplicate(NamedTuple):
    """A copy that is left out.

    `first` is the place of the first one, or None where an earlier run delivered it: `run` then names that run.
    `conflict` tells a copy whose text differs from the first, spacing aside, apart from a true copy.
    """

    event: Event
    first: Origin | None
    run: str = ""
    conflict: bool = False


Outcome = Event | Rejection | Duplicate
"""What becomes of a record before it is sent."""


class DeliveredKeys(Protocol):
    """The one question that the flow asks of what earlier runs delivered."""

    def find(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The keys among `keys` that were delivered, each with the run that did."""
        ...
