"""`ebingest ingest --strict`: read everything first, and send nothing unless every record is good."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec.structs import replace

from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.errors import StorageError
from eventbridge_cli.facts import gathered
from eventbridge_cli.flow import Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import BLOCK, Meter, Source, open_packed
from eventbridge_cli.ledger.account import ErrorBudget
from eventbridge_cli.ledger.book import Ledger
from eventbridge_cli.signals import Deadline, ends_at_once


@contextmanager
def read_before(intake: Intake, deadline: Deadline) -> Iterator[tuple[Intake, bool]]:
    """Read everything. Gives an intake that reads the same once more, and whether all of it is good.

    What can be read but once is copied, to a folder that goes away. The processes that would share the work are not
    made: the ledger is open. If all is good, the meter's total is how much has been read.

    Raises:
        EbingestError: a signal came, or the deadline has passed.
        StorageError: the copies can't be written.
    """
    with ExitStack() as around:
        if not all(map(_stays, intake.sources)):
            folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="ebingest-")))
        with ends_at_once(deadline):
            sources = [
                source if _stays(source) else _copied(source, folder / str(number))
                for number, source in enumerate(intake.sources)
            ]
            again = replace(intake, sources=tuple(sources), jobs=1)
            is_good = not any(isinstance(item, Rejection) for item in again.chunks())
        if is_good:
            again.meter.total = again.meter.read
        again.meter.read = 0
        yield again, is_good


def _stays(source: Source) -> bool:
    return source.path is not None and source.path.is_file()


def _copied(source: Source, copy: Path) -> Source:
    with open_packed(source, Meter()) as stream:
        try:
            with copy.open("wb") as file:
                while block := stream.read(BLOCK):
                    file.write(block)
        except OSError as error:
            raise StorageError(
                f"{source.name} can't be copied to {copy.parent}, as --strict needs it: {error.strerror}.",
                "Free some space, set TMPDIR to another folder, or name files instead.",
            ) from error
    return Source(source.name, copy)


def account_only(items: Iterator[Item], ledger: Ledger, budget: ErrorBudget, may_go_on: Callable[[], None]) -> None:
    """Account for an input of which `--strict` lets nothing be sent.

    Args:
        items: the input.
        ledger: takes it.
        budget: how many bad records there may be.
        may_go_on: is called between records, and raises what ends the run.

    Raises:
        TooManyErrorsError: more records are bad than the budget allows.
    """
    ledger.tally.withheld = True
    counts = ledger.tally.counts
    for item in gathered(items):
        may_go_on()
        if isinstance(item, Chunk):
            ledger.tally.came_in(item.events)
            ledger.tally.pending(len(item.events), "--strict: nothing is sent while a record is bad")
        else:
            ledger.note(item)
            budget.check(counts)
    ledger.tally.read_to_end = True
    budget.check(counts, at_end=True)
