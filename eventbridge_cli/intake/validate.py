"""Records in, events out; a record that breaks JSON or the schema becomes a rejection that explains itself."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import repeat
from operator import contains
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from eventbridge_cli.bulk import Checked, Items, Lines, Original, Rows
from eventbridge_cli.flow import Event, Outcome, RawRecord, Rejection
from eventbridge_cli.intake.cut import Glance
from eventbridge_cli.intake.key import Key, missing_key
from eventbridge_cli.intake.plain import items_of, plain_events
from eventbridge_cli.intake.spacing import dense, one_line, pretty_values
from eventbridge_cli.intake.trimming import Trimmed

if TYPE_CHECKING:
    from eventbridge_cli.intake.careful import CarefulValidator

Plain = TypeVar("Plain", Lines, Items)

MOST_TOGETHER = 200
"""How many records that were cut one by one are given at once."""


class Validator(Glance):
    """Checks records against RFC 8259 and the wire schema.

    Whoever cuts a source asks first what is plainly valid, many lines at a time (`lines`, `items`): that needs no
    cutting. Whatever is not goes through the cutter and is looked at on its own (`record`); both ways come to the
    same end.

    Args:
        strict: take RFC 3339 times alone, and reject fields that the schema does not have. Otherwise such
            fields are left out of the event's body and named in `Event.dropped`.
        key: if it is given, events get their digests.
    """

    def __init__(self, *, strict: bool = False, key: Key | None = None) -> None:
        self._strict = strict
        self._key = key

    def check(
        self, items: Iterable[Checked | RawRecord | Rejection], *, most: int = MOST_TOGETHER
    ) -> Iterator[Checked]:
        """Check what is not checked yet; `most` neighbouring records are given at once."""
        outcomes: list[Outcome] = []
        for item in items:
            if not isinstance(item, Checked):
                outcomes.append(item if isinstance(item, Rejection) else self.record(item))
                if len(outcomes) < most:
                    continue
            if outcomes:
                yield Checked.of(outcomes)
                outcomes = []
            if isinstance(item, Checked):
                yield item
        if outcomes:
            yield Checked.of(outcomes)

    def record(self, record: RawRecord) -> Event | Rejection:
        """Check a single record."""
        return self._careful.check(record)

    def lines(self, lines: Lines) -> Checked:
        """The first of some lines, as far as they are plainly valid."""
        return self._plain(lines)

    def items(self, source: str, first: int | None, text: bytes, line: int, column: int) -> Checked | None:
        """The first items that `text` holds, as far as they are plainly valid; None if its end is none of an item."""
        records = pretty_values(text) if first is None else items_of(text)
        return None if records is None else self._plain(Items(source, first, records, text, line, column))

    def _plain(self, plain: Plain) -> Checked:
        events, trimmed = plain_events(plain.records, strict=self._strict)
        if trimmed or len(events) < len(plain.records) or _has_breaks(plain):
            plain = _as_sent(plain, len(events), trimmed)
        if self._key is None:
            return Checked(plain, len(events), {})
        outcomes: dict[int, Outcome] = {}
        keys = self._key.of_events(events) if self._key.is_default else self._keys(self._key, plain, outcomes)
        contents = array("I", map(crc32, plain.records))
        for index in plain.originals:
            contents[index] = crc32(dense(plain.records[index]))
        return Checked(plain, len(events), outcomes, Rows(events), keys, contents)

    @staticmethod
    def _keys(key: Key, plain: Lines | Items, outcomes: dict[int, Outcome]) -> list[bytes]:
        """The digests of records. One without the key goes to the outcomes."""
        keys, raws = [b""] * len(plain.records), plain.raws
        for index, (origin, body) in enumerate(zip(plain.origins(), plain.records, strict=False)):
            try:
                keys[index] = key.of_body(body)
            except KeyError as missing:
                outcomes[index] = missing_key(origin, raws[index], missing)
        return keys

    @cached_property
    def _careful(self) -> "CarefulValidator":
        from eventbridge_cli.intake.careful import CarefulValidator  # noqa: PLC0415 - pydantic takes its time to import

        return CarefulValidator(strict=self._strict, key=self._key)


def _has_breaks(plain: Lines | Items) -> bool:
    """Whether any record goes over several lines; those of an array are likely to have breaks between them alone."""
    breaks = [each for each in (b"\n", b"\r") if isinstance(plain, Items) and each in plain.text]
    return any(any(map(contains, plain.records, repeat(each))) for each in breaks)


def _as_sent(plain: Plain, size: int, trimmed: Mapping[int, Trimmed]) -> Plain:
    """The first `size` records as they are sent: on one line, and without unknown fields."""
    bodies, originals = [], {}
    for index, raw in enumerate(plain.records[:size]):
        text, dropped = trimmed.get(index) or (raw, ())
        body = one_line(text)
        bodies.append(body)
        if body is not raw:
            originals[index] = Original(raw, dropped)
    return plain._replace(records=bodies, originals=originals)
