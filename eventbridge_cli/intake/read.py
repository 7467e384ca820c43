"""Read records from sources, one source after the other; a damaged one ends in a rejection, never in a crash."""

from collections.abc import Iterator, Sequence

from eventbridge_cli.flow import Origin, RawRecord, Rejection
from eventbridge_cli.intake.cut import Cutter, unreadable
from eventbridge_cli.intake.sources import DAMAGED, Meter, Source, open_source

MAX_RECORD_BYTES = 1_000_000


def read(
    sources: Sequence[Source], *, meter: Meter, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[RawRecord | Rejection]:
    """Read all records of all sources, in order and lazily.

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
