"""The account of a run: how many records were read, and what became of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from eventbridge_cli.errors import AccountError, TooManyErrorsError, UsageError
from eventbridge_cli.flow import (
    Answered,
    Checked,
    Duplicate,
    Event,
    Events,
    Fact,
    HandOver,
    Outcome,
    Receipt,
    Rejection,
    Retried,
    Split,
    Submitted,
    SyncState,
    TokenIssued,
)
from eventbridge_cli.ledger.latency import Latency

_PERCENT_SAMPLE = 100  # records before a share of errors says anything


@dataclass(slots=True)
class Counts:
    """Conservation: `read` is the sum of all the others, for every run, however it ends."""

    read: int = 0
    delivered: int = 0
    duplicate: int = 0
    rejected: int = 0
    refused: int = 0
    pending: int = 0

    @property
    def balanced(self) -> bool:
        """Whether the law holds."""
        return self.read == self.delivered + self.duplicate + self.rejected + self.refused + self.pending

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


@dataclass(slots=True)
class Trouble:
    """One reason why records did not arrive: how many, in which field, and one place to look at."""

    reason: str
    code: str
    path: str
    count: int
    example: str


@dataclass(slots=True)
class SyncCounts:
    """Entries of the outbox by how far they are on their way to a target; `message` says why not all are synced."""

    target: str
    synced: int = 0
    pending: int = 0
    failed: int = 0
    message: str = ""

    def take(self, fact: HandOver) -> None:
        """Count a fact."""
        match fact.state:
            case SyncState.SYNCED:
                self.synced += fact.entries
            case SyncState.PENDING:
                self.pending += fact.entries
            case SyncState.FAILED:
                self.failed += fact.entries
        self.message = fact.message


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """How many bad records a run may have: a number, or a share of what was read in per cent."""

    limit: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "ErrorBudget":
        """Read `20` or `5%`.

        Raises:
            UsageError: it is neither.
        """
        number = text.strip().removesuffix("%")
        percent = text.strip().endswith("%")
        try:
            limit = float(number) if percent else int(number)
        except ValueError:
            limit = -1
        if not 0 <= limit < float("inf"):
            raise UsageError(f"--max-errors: {text} is no number.", "Write a number, as in 20, or a share, as in 5%.")
        return cls(limit, percent)

    def check(self, bad: int, read: int, *, at_end: bool = False) -> None:
        """Hold the errors so far against the budget. A share is judged from the hundredth record on, or at the end.

        Raises:
            TooManyErrorsError: it is overdrawn.
        """
        if self.percent:
            over = (at_end or read >= _PERCENT_SAMPLE) and bad * 100 > self.limit * read
        else:
            over = bad > self.limit
        if over:
            raise TooManyErrorsError(
                f"{bad:,} of {read:,} records are bad, more than --max-errors allows.",
                "Mend them, or raise --max-errors.",
            )


@dataclass(slots=True)
class Tally:
    """Counts every fact once. `clock` gives monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    counts: Counts = field(default_factory=Counts)
    latency: Latency = field(default_factory=Latency)
    troubles: dict[tuple[str, str, str], Trouble] = field(default_factory=dict)
    dropped_fields: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    syncs: dict[str, SyncCounts] = field(default_factory=dict)
    withheld: bool = False  # --strict kept everything back, since a record was bad
    conflicts: int = 0
    requests: int = 0
    chunks: int = 0
    retries: int = 0
    unknown: int = 0
    splits: int = 0
    bytes_sent: int = 0
    in_flight: int = 0
    busy_seconds: float = 0.0
    started: float = field(init=False)
    _busy_since: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    def read(self, item: Event | Rejection | Duplicate) -> None:
        """A record has come in. An event is not settled by that; a rejection or a duplicate is."""
        self.counts.read += 1
        if isinstance(item, Rejection):
            self.counts.rejected += 1
            for problem in item.problems:
                self._trouble(item.reason.value, problem.code, problem.path, str(item.origin))
            return
        event = item.event if isinstance(item, Duplicate) else item
        if event.dropped:
            self.dropped_fields.update(event.dropped)
        if isinstance(item, Duplicate):
            self.counts.duplicate += 1
            self.conflicts += item.conflict
            if item.run:
                self.skipped[item.run] += 1

    def outcomes(self, checked: Checked) -> Iterator[tuple[int, Outcome]]:
        """Records have come in. Gives, with its index, each of which there is more to say than that it is valid."""
        done = 0
        for index, outcome in checked.in_order():
            self.counts.read += index - done
            self.read(outcome)
            done = index + 1
            yield index, outcome
        self.counts.read += checked.size - done

    def came_in(self, events: Events) -> None:
        """Events have come in. That settles nothing yet."""
        self.counts.read += len(events)
        if events.dropped:
            self.dropped_fields.update(events.dropped)

    def note(self, fact: Fact) -> None:
        """Something happened: a record came in, or something on the way to the platform."""
        match fact:
            case Submitted():
                self.chunks += not fact.again
                self._busy_since = self._busy_since if self.in_flight else self.clock()
                self.in_flight += 1
            case Answered():
                self._answered(fact)
            case Retried():
                self.retries += 1
            case Split():
                self.splits += 1
            case Receipt():
                self._receipt(fact)
            case HandOver(target):
                self.syncs.setdefault(target, SyncCounts(target)).take(fact)
            case TokenIssued():
                pass
            case _:
                self.read(fact)

    def pending(self, count: int, cause: str) -> None:
        """Events that were read and never got as far as a chunk."""
        if count:
            self.counts.pending += count
            self.causes[cause] += count

    def _answered(self, answered: Answered) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self.busy_seconds += self.clock() - self._busy_since
        self.requests += 1
        self.bytes_sent += answered.size
        self.latency.add(answered.attempt.seconds)
        self.unknown += answered.attempt.unknown

    def _receipt(self, receipt: Receipt) -> None:
        self.counts.delivered += len(receipt.delivered)
        self.counts.refused += len(receipt.refused)
        self.pending(len(receipt.pending), receipt.cause)
        for refusal in receipt.refused:
            self._trouble("refused", f"http_{refusal.status}", "", str(refusal.event.origin))
        if receipt.warning:
            self.warnings[receipt.warning] += 1

    def _trouble(self, reason: str, code: str, path: str, place: str) -> None:
        trouble = self.troubles.setdefault((reason, code, path), Trouble(reason, code, path, 0, place))
        trouble.count += 1
