"""From a batch to what is written: records, and the objects that hold them, partitioned by UTC date.

All of it depends on the batch alone. The same batch always gives the same names with the same bytes in them, which is
why handing it over twice does no harm.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import BytesIO

from msgspec import Struct, field

from eventbridge_cli.bulk import Rows
from eventbridge_cli.errors import TargetError
from eventbridge_cli.facts import Batch, OutboxEntry
from eventbridge_cli.fields import parse_event_time
from eventbridge_cli.lake.target import Content, Format

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LakeObject(Struct, frozen=True):
    """One file or object. `path` is relative, with slashes; the pieces, which can be gone through again, are its data.

    They may be made one by one, so that whoever writes them as they come holds one at a time.
    """

    path: str
    pieces: Iterable[bytes]

    @property
    def data(self) -> bytes:
        """All pieces."""
        return b"".join(self.pieces)


Encoder = Callable[[Batch], list[LakeObject]]


def encoder(content: Content, form: Format) -> Encoder:
    """What turns a batch into objects."""
    if form is Format.PARQUET:
        from eventbridge_cli.lake.parquet import event_tables  # noqa: PLC0415 - loads pyarrow

        return event_tables
    return event_lines if content is Content.EVENTS else receipt_lines


def records(batch: Batch, content: Content) -> Iterator[tuple[OutboxEntry, bytes]]:
    """What is handed over, one by one, each with the entry that it comes from.

    Raises:
        TargetError: events are wanted, and an entry has none, because it was written when only receipts were.
    """
    for entry in batch.entries:
        if content is Content.RECEIPTS:
            yield entry, entry.receipt
            continue
        bodies = entry.bodies
        if not bodies:
            raise TargetError(
                f"The outbox holds the receipt of request {entry.request_id}, and not its events.",
                "It was kept when only receipts were asked for: ask for receipts once more.",
                permanent=True,
            )
        for body in bodies:
            yield entry, body


def ndjson(batch: Batch, content: Content) -> bytes:
    """The whole batch, a record on each line."""
    lines = BytesIO()  # no second copy of it all is made on the way
    for _, data in records(batch, content):
        lines.write(data)
        lines.write(b"\n")
    return lines.getvalue()


class _ReceiptLines(Struct):
    entries: list[OutboxEntry] = field(default_factory=list)

    def __iter__(self) -> Iterator[bytes]:
        for entry in self.entries:
            yield entry.receipt
            yield b"\n"


def receipt_lines(batch: Batch) -> list[LakeObject]:
    """The receipts as NDJSON, partitioned by the date of their delivery."""
    days: dict[date, _ReceiptLines] = defaultdict(_ReceiptLines)
    for entry in batch.entries:
        days[entry.delivered_at.astimezone(UTC).date()].entries.append(entry)
    return [LakeObject(path(batch, day, "ndjson"), lines) for day, lines in sorted(days.items())]


def event_lines(batch: Batch) -> list[LakeObject]:
    """The events' own bytes as NDJSON, partitioned by the date of their `eventTime`."""
    days = defaultdict(list)
    bodies = [body for _, body in records(batch, Content.EVENTS)]
    for body, names in zip(bodies, Rows.read(bodies), strict=True):
        days[utc_date(microseconds(names.eventTime))].append(body)
    return [LakeObject(path(batch, day, "ndjson"), [_lines(lines)]) for day, lines in sorted(days.items())]


def path(batch: Batch, day: date, suffix: str) -> str:
    """Where the part of `batch` that belongs to `day` is written."""
    return f"date={day.isoformat()}/{batch.name}.{suffix}"


def microseconds(event_time: str) -> int:
    """An `eventTime` in microseconds since 1970.

    A number, since the first and last hours of `datetime`'s years, with an offset, are no UTC time that it can hold.
    """
    return (parse_event_time(event_time) - _EPOCH) // timedelta(microseconds=1)


def utc_date(since_epoch: int) -> date:
    """The UTC date of a time in microseconds since 1970; the nearest there is outside of the years 1 to 9999."""
    days = _EPOCH.toordinal() + since_epoch // (86_400 * 1_000_000)
    return date.fromordinal(min(max(days, date.min.toordinal()), date.max.toordinal()))


def _lines(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""])
