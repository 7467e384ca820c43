"""Read dead letters: each gives back the record that it holds, under the place where that was first read."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from eventbridge_cli.flow import Origin, Problem, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.cut import Glance
from eventbridge_cli.intake.read import read_records
from eventbridge_cli.intake.sources import Meter, Source

_ENVELOPE = 20_000  # bytes that a letter holds beside its record
_GROWTH = 6  # a byte of a record is at most six in a letter (\\u0000)

_decode = json.JSONDecoder().raw_decode


class Letters:
    """A reader of dead letters.

    Args:
        reasons: take letters with these reasons alone; empty: all.
    """

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        self._reasons = tuple(reasons)
        self.runs = Counter[str]()

    def __call__(
        self,
        sources: Sequence[Source],
        *,
        meter: Meter,
        max_record_bytes: int,
        glance: Glance,  # noqa: ARG002 - a letter is no event
    ) -> Iterator[RawRecord | Rejection]:
        """Read the records of all letters, lazily. `runs` counts the letters by the run that wrote them."""
        limit = _GROWTH * max_record_bytes + _ENVELOPE
        for item in read_records(sources, meter=meter, max_record_bytes=limit):
            if isinstance(item, Rejection):
                yield item
                continue
            try:
                text = item.data.decode()
                letter = json.loads(text)
            except (ValueError, RecursionError):
                letter = None
            if not isinstance(letter, dict) or "record" not in letter or "reason" not in letter:
                yield _rejection(
                    item, item.origin, "no_letter", "text that is no dead letter", "give a dead-letter file"
                )
            elif not self._reasons or letter["reason"] in self._reasons:
                self.runs[str(letter.get("run", ""))] += 1
                yield _open(item, letter, text)


def _open(item: RawRecord, letter: dict[str, Any], text: str) -> RawRecord | Rejection:
    source, line, index = letter.get("source"), letter.get("line"), letter.get("index")
    origin = item.origin
    if isinstance(source, str) and isinstance(line, int):
        origin = Origin(source, line, 1, index if isinstance(index, int) else None)
    record = letter["record"]
    try:
        if isinstance(record, str):
            return RawRecord(origin, record.encode())
        if record is not None:
            return RawRecord(origin, _own_text(text).encode())
        if "record_base64" in letter:
            return RawRecord(origin, base64.b64decode(str(letter["record_base64"]), validate=True))
    except ValueError:
        return _rejection(item, origin, "no_record", "a letter whose record can't be read", "mend its record")
    return _rejection(item, origin, "no_record", "a letter without its record", "load it from where it was read")


def _own_text(letter: str) -> str:
    """The record as a letter, which is known to be JSON, has it: decoded, it would lose digits.

    `members_of` would not do: the name of a source that is no UTF-8 stands there with lone surrogates.
    """
    found, at = "", _past("{", letter, 0)
    while letter[at] != "}":
        field, at = _decode(letter, at)
        start = _past(":", letter, at)
        _, at = _decode(letter, start)
        if field == "record":
            found = letter[start:at]
        at = _past(",", letter, at)
    return found


def _past(mark: str, text: str, at: int) -> int:
    """The place behind a mark, if it stands there, and the white space around it."""
    while text[at].isspace() or text[at] == mark:
        at += 1
    return at


def _rejection(item: RawRecord, origin: Origin, code: str, found: str, remedy: str) -> Rejection:
    return Rejection(origin, Stage.READ, Reason.UNREADABLE, (Problem(code, "", found, "", remedy),), item.data)
