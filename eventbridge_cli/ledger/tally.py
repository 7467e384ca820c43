"""The account of a run: how many records were read, and what became of them."""

from collections import Counter

from msgspec import Struct, field

from eventbridge_cli.facts import (
    Answered,
    Duplicates,
    Fact,
    HandOver,
    Receipt,
    Retried,
    Split,
    Submitted,
    SyncState,
    TokenIssued,
)
from eventbridge_cli.flow import Rejection
from eventbridge_cli.ledger.account import Account
from eventbridge_cli.ledger.latency import Latency


class SyncCounts(Struct):
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
        if fact.message or not (self.pending or self.failed):  # one target may have several lanes
            self.message = fact.message


class Tally(Account):
    """Counts every fact once."""

    latency: Latency = field(default_factory=Latency)
    warnings: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    syncs: dict[str, SyncCounts] = field(default_factory=dict)
    withheld: bool = False  # --strict kept everything back, since a record was bad
    read_to_end: bool = False
    requests: int = 0
    retries: int = 0
    unknown: int = 0
    splits: int = 0
    bytes_sent: int = 0
    busy_seconds: float = 0.0
    _busy_since: float = 0.0

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
            case Duplicates(copies):
                for copy in copies:
                    self.read(copy)
            case Rejection():
                self.read(fact)
            case TokenIssued():
                pass

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
        self.unknown += answered.attempt.unknown and answered.attempt.status is None

    def _receipt(self, receipt: Receipt) -> None:
        self.counts.delivered += len(receipt.delivered)
        self.counts.refused += len(receipt.refused)
        self.pending(len(receipt.pending), receipt.cause)
        for refusal in receipt.refused:
            trouble = self.trouble("refused", f"http_{refusal.status}", "", str(refusal.event.origin))
            if trouble.count == 1:
                trouble.said = refusal.reason
        if receipt.warning:
            self.warnings[receipt.warning] += 1
