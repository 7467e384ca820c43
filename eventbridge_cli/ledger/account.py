"""The account of what came in: how many records, and what was wrong with them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct, field
from msgspec.structs import asdict

from eventbridge_cli.bulk import Checked, Copies
from eventbridge_cli.chunks import Events
from eventbridge_cli.errors import AccountError, TooManyErrorsError, UsageError
from eventbridge_cli.flow import Duplicate, Event, Outcome, Rejection

_PERCENT_SAMPLE = 100  # records before a share of errors says anything


class Counts(Struct):
    """Conservation: `read` is the sum of all the others, for every run, however it ends."""

    read: int = 0
    delivered: int = 0
    duplicate: int = 0
    rejected: int = 0
    refused: int = 0
    pending: int = 0

    @property
    def unsettled(self) -> int:
        """Records of which it is not said what became of them."""
        return self.read - (self.delivered + self.duplicate + self.rejected + self.refused + self.pending)

    @property
    def balanced(self) -> bool:
        """Whether the law holds."""
        return not self.unsettled

    def check(self) -> None:
        """Hold the account against the law.

        Raises:
            AccountError: it does not balance.
        """
        if not self.balanced:
            raise AccountError(
                f"The account does not balance: {asdict(self)}.",
                "This is a bug of ebingest. Please report it, with the audit file.",
            )


class Trouble(Struct):
    """One reason why records did not arrive: how many, in which field, a place to look at, and what was said there."""

    reason: str
    code: str
    path: str
    count: int
    example: str
    said: str = ""


class ErrorBudget(Struct, frozen=True):
    """How many bad records a run may have: a number, or a share of what was read in per cent; any number by default."""

    limit: float = float("inf")
    percent: bool = False

    @classmethod
    def parse(cls, text: str | None) -> "ErrorBudget":
        """Read `20` or `5%`; None sets no limit.

        Raises:
            UsageError: it is neither.
        """
        if text is None:
            return cls()
        number = text.strip().removesuffix("%")
        percent = text.strip().endswith("%")
        try:
            limit = float(number) if percent else int(number)
        except ValueError:
            limit = -1
        if not 0 <= limit < float("inf"):
            raise UsageError(f"--max-errors: {text} is no number.", "Write a number, as in 20, or a share, as in 5%.")
        return cls(limit, percent)

    def check(self, counts: Counts, *, at_end: bool = False) -> None:
        """Hold the errors so far against the budget. A share is judged from the hundredth record on, or at the end.

        Raises:
            TooManyErrorsError: it is overdrawn.
        """
        bad, read = counts.rejected + counts.refused, counts.read
        if self.percent:
            over = (at_end or read >= _PERCENT_SAMPLE) and bad * 100 > self.limit * read
        else:
            over = bad > self.limit
        if over:
            raise TooManyErrorsError(
                f"{bad:,} of {read:,} records are bad, more than --max-errors allows.",
                "Mend them, or raise --max-errors.",
            )


class Account(Struct):
    """Counts every record once. `clock` gives monotonic seconds; chunks are none where nothing is sent."""

    clock: Callable[[], float] = time.monotonic
    counts: Counts = field(default_factory=Counts)
    troubles: dict[tuple[str, str, str], Trouble] = field(default_factory=dict)
    dropped_fields: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    chunks: int = 0
    in_flight: int = 0
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    def read(self, item: Event | Rejection | Duplicate) -> None:
        """A record has come in. An event is not settled by that; a rejection or a duplicate is."""
        self.counts.read += 1
        if isinstance(item, Rejection):
            self.counts.rejected += 1
            for problem in item.problems:
                self.trouble(item.reason.value, problem.code, problem.path, str(item.origin))
            return
        event = item.event if isinstance(item, Duplicate) else item
        if event.dropped:
            self.dropped_fields.update(event.dropped)
        if isinstance(item, Duplicate):
            self.counts.duplicate += 1
            self.conflicts += item.conflict
            if item.run:
                self.skipped[item.run] += 1

    def outcomes(self, checked: Checked, *, copies: bool = True) -> Iterator[tuple[int, Outcome]]:
        """Records have come in. Gives, with its index, each of which there is more to say than that it is valid.

        Without `copies`, plain records that are some may be counted alone.
        """
        done, originals = 0, checked.plain.originals if checked.plain else {}
        if isinstance(checked.outcomes, Copies) and not copies:
            self.counts.duplicate += len(checked.outcomes)
            self.conflicts += checked.outcomes.conflicts
        else:
            for index, outcome in checked.in_order():
                self.counts.read += index - done
                self.read(outcome)
                done = index + 1
                yield index, outcome
            originals = {index: each for index, each in originals.items() if index not in checked.outcomes}
        self.counts.read += checked.size - done
        for original in originals.values():
            self.dropped_fields.update(original.dropped)

    def came_in(self, events: Events) -> None:
        """Events have come in. That settles nothing yet."""
        self.counts.read += len(events)
        if events.dropped:
            self.dropped_fields.update(events.dropped)

    def trouble(self, reason: str, code: str, path: str, place: str) -> Trouble:
        """Something is wrong with a record."""
        trouble = self.troubles.setdefault((reason, code, path), Trouble(reason, code, path, 0, place))
        trouble.count += 1
        return trouble
