"""Read records from sources, one source after the other; a damaged one ends in a rejection, never in a crash."""

from collections.abc import Iterator, Sequence

from eventbridge_cli.bulk import Checked
from eventbridge_cli.flow import Origin, RawRecord, Rejection
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter, Glance
from eventbridge_cli.intake.sources import DAMAGED, Meter, Source, open_source
from eventbridge_cli.intake.values import unreadable


def read(
    sources: Sequence[Source], *, meter: Meter, max_record_bytes: int = MAX_RECORD_BYTES, glance: Glance | None = None
) -> Iterator[Checked | RawRecord | Rejection]:
    """Read all records of all sources, in order and lazily.

    Args:
        sources: where to read.
        meter: counts the bytes that were read, for progress.
        max_record_bytes: a longer record is rejected without being held in memory.
        glance: knows which records are plainly valid; those come many at a time, and checked.
    """
    for source in sources:
        try:
            with open_source(source, meter) as read_block:
                yield from Cutter(source.name, read_block, max_record_bytes, glance=glance).records()
        except DAMAGED as error:
            yield unreadable(Origin(source.name, 1), error, None)


def read_records(
    sources: Sequence[Source], *, meter: Meter, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[RawRecord | Rejection]:
    """As `read`, each record for itself and not checked."""
    for item in read(sources, meter=meter, max_record_bytes=max_record_bytes):
        assert not isinstance(item, Checked)  # noqa: S101 - there is nobody to check it
        yield item
