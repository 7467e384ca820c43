"""Read records from sources, one source after the other; a damaged one ends in a rejection, never in a crash."""

from collections.abc import Iterator, Sequence

from eventbridge_cli.flow import Lines, Origin, Part, RawRecord, Rejection
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter, unreadable
from eventbridge_cli.intake.parts import parts
from eventbridge_cli.intake.sources import DAMAGED, Meter, Source, open_source


def read(
    sources: Sequence[Source], *, meter: Meter, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Lines | RawRecord | Rejection]:
    """Read all records of all sources, in order and lazily; plain lines of NDJSON come many at a time.

    Args:
        sources: where to read.
        meter: counts the bytes that were read, for progress.
        max_record_bytes: a longer record is rejected without being held in memory.
    """
    for source in sources:
        try:
            with open_source(source, meter) as read_block:
                yield from Cutter(source.name, read_block, max_record_bytes).records()
        except DAMAGED as error:
            yield unreadable(Origin(source.name, 1), error, None)


def read_parts(
    sources: Sequence[Source], *, meter: Meter, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Part | Lines | RawRecord | Rejection]:
    """As `read`, with NDJSON in parts that are still to be cut."""
    for source in sources:
        try:
            with open_source(source, meter) as read_block:
                yield from parts(source.name, read_block, max_record_bytes)
        except DAMAGED as error:
            yield unreadable(Origin(source.name, 1), error, None)


def one_by_one(batches: Iterator[Lines | RawRecord | Rejection]) -> Iterator[RawRecord | Rejection]:
    """The same records, each for itself."""
    for batch in batches:
        if isinstance(batch, Lines):
            yield from batch.records()
        else:
            yield batch
