"""`ebingest ingest --strict`: read everything first, and send nothing unless every record is good."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.flow import Duplicate, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import Meter, Source, open_packed
from eventbridge_cli.ledger.account import ErrorBudget
from eventbridge_cli.ledger.book import Ledger
from eventbridge_cli.signals import sigterm_raises


@contextmanager
def readable_twice(intake: Intake) -> Iterator[Intake]:
    """The intake; where it is strict, with copies of what can be read but once."""
    if not intake.strict or all(map(_stays, intake.sources)):
        yield intake
        return
    with sigterm_raises(), tempfile.TemporaryDirectory(prefix="ebingest-") as folder:
        copies = {source: Path(folder) / str(number) for number, source in enumerate(intake.sources)}
        yield replace(intake, sources=tuple(_twice(source, copy) for source, copy in copies.items()))


def _stays(source: Source) -> bool:
    return source.path is not None and source.path.is_file()


def _twice(source: Source, copy: Path) -> Source:
    """A source that can be read twice: itself, or a copy that is made now."""
    if _stays(source):
        return source
    with open_packed(source, Meter()) as stream, copy.open("wb") as file:
        shutil.copyfileobj(stream, file)
    return Source(source.name, copy)


def has_rejections(intake: Intake) -> bool:
    """Read everything, and say whether a record is bad."""
    return any(isinstance(item, Rejection) for item in replace(intake, meter=Meter()).chunks())


def account_only(items: Iterator[Chunk | Rejection | Duplicate], ledger: Ledger, budget: ErrorBudget) -> None:
    """Account for an input of which `--strict` lets nothing be sent.

    Raises:
        TooManyErrorsError: more records are bad than the budget allows.
    """
    ledger.tally.withheld = True
    counts = ledger.tally.counts
    for item in items:
        if isinstance(item, Chunk):
            ledger.tally.came_in(item.events)
            ledger.tally.pending(len(item.events), "--strict: nothing is sent while a record is bad")
        else:
            ledger.note(item)
            budget.check(counts)
    ledger.tally.read_to_end = True
    budget.check(counts, at_end=True)
