"""The ledger of one run: takes every fact once and enters it in keys, dead letters, audit file and tally alike.

The order in which things are written down makes every crash point safe:

1. `BATCH_SUBMITTED` in the audit file, then the POST. Killed in between: nothing was sent, the next run sends it.
2. The answer, then the delivered keys, with what the data lake is to get of them, in one transaction. Killed in
   between: the next run cuts the same chunks and sends those again, under the same request ids. At most what was in
   flight goes twice.
3. The keys, then `INGESTION_SUCCEEDED`. Killed in between: the next run finds the keys and sends nothing; its
   `DUPLICATE_DROPPED` lines name the run that delivered.

A rejected or refused record is in the dead letters before the audit file says so.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from eventbridge_cli.chunks import Events
from eventbridge_cli.errors import EbingestError, StorageError
from eventbridge_cli.facts import Fact, HandOver, Receipt
from eventbridge_cli.flow import Rejection
from eventbridge_cli.ledger.appending import AppendedLines, half_a_line
from eventbridge_cli.ledger.audit import LINE_BEGIN, AuditLogger
from eventbridge_cli.ledger.dead_letters import DeadLetters
from eventbridge_cli.ledger.delivered import DeliveredStore, store_path
from eventbridge_cli.ledger.lock import audit_lock, locked
from eventbridge_cli.ledger.outbox import Outgoing
from eventbridge_cli.ledger.summary import Summary, summarize
from eventbridge_cli.ledger.tally import Tally

_LOOK = 0.2  # seconds; `ebingest status` and `doctor` hold a lock for an instant, to see whether a run does
_TURN = 0.5  # seconds; `ebingest sync` holds the audit file for a line at a time


class Places(Struct, frozen=True, kw_only=True):
    """Where the ledger of a run is kept. `locks` is a folder that all runs of a user share.

    `dead_letters` is None where bad records come from dead letters, which still hold them.
    """

    state: Path
    locks: Path
    audit: Path
    dead_letters: Path | None


class Ledger:
    """See the module. `observe` is told each fact after it is entered."""

    def __init__(
        self,
        run: str,
        audit: AuditLogger,
        letters: DeadLetters,
        delivered: DeliveredStore,
        observe: Callable[[Fact], None],
        *,
        outgoing: Outgoing | None = None,
    ) -> None:
        self.run = run
        self.tally = Tally()
        self.delivered = delivered
        self._audit = audit
        self._letters = letters
        self._observe = observe
        self._outgoing = outgoing
        self._has_begun = False

    def begin(self, **about: object) -> None:
        """Enter the start of the run."""
        self._audit.write("RUN_STARTED", mended_bytes=self._audit.mended, **about)
        self._has_begun = True

    def note(self, fact: Fact) -> None:
        """Enter a fact.

        Raises:
            EbingestError: it could not be written. What is thereby not proved delivered or kept counts as pending; what
                was handed to the data lake counts as that all the same, since the outbox knows.
        """
        failure: EbingestError | None = None
        if isinstance(fact, Receipt):
            fact, failure = self._secure(fact)
        elif isinstance(fact, Rejection):
            self._letters.note(fact)
        try:
            self._audit.note(fact)
        except StorageError as error:
            if not isinstance(fact, Receipt | HandOver):
                raise
            failure = failure or error
        self.tally.note(fact)
        self._observe(fact)
        if failure is not None:
            raise failure

    def _secure(self, receipt: Receipt) -> tuple[Receipt, EbingestError | None]:
        """Make a receipt true on disk: first the keys, then the dead letters. What can't be is pending."""
        refused = tuple(refusal.event for refusal in receipt.refused)
        try:
            if receipt.delivered:
                keys = Events.of(receipt.delivered).joined_keys
                if self._outgoing is None:
                    self.delivered.commit(keys)
                else:
                    self.delivered.commit(keys, self._outgoing.entry(receipt))
        except StorageError as error:
            pending = (*receipt.delivered, *refused, *receipt.pending)
            return replace(receipt, delivered=(), refused=(), pending=pending, cause=error.message), error
        try:
            self._letters.note(receipt)
        except EbingestError as error:
            pending = (*refused, *receipt.pending)
            return replace(receipt, refused=(), pending=pending, cause=error.message), error
        return receipt, None

    def finish(
        self,
        error: EbingestError | None,
        replay_of: Mapping[str, int] | None = None,
        *,
        sync_required: bool = False,
    ) -> Summary:
        """Draw the account and enter the end of the run. If that can't be written down, the run has ended for it.

        A run whose start could not be entered has no end there either: it would be one that nobody knows to go on with.

        Args:
            error: what ended it early.
            replay_of: the runs whose dead letters it sent again, with the number of letters.
            sync_required: whether what was not handed to the data lake counts for the exit code.

        Raises:
            AccountError: the account does not balance.
        """
        files = {"audit": str(self._audit.path)}
        if self._letters.path is not None and self._letters.count:
            files["dead_letters"] = str(self._letters.path)
        drawn = partial(summarize, self.tally, run=self.run, files=files, sync_required=sync_required)
        summary = drawn(error=error)
        if not self._has_begun:
            return summary
        try:
            self._audit.write(
                "RUN_FINISHED",
                counts=summary.counts,
                read_to_end=summary.read_to_end,
                exit_code=summary.exit_code,
                stopped=summary.stopped and summary.stopped["code"],
                requests=summary.requests,
                retries=summary.retries,
                bytes_sent=summary.bytes_sent,
                seconds=summary.seconds,
                latency={name: summary.latency[name] for name in ("p50", "p90", "p99", "max")},
                **({"replay_of": dict(replay_of)} if replay_of is not None else {}),
            )
        except StorageError as failure:
            return drawn(error=error or failure)
        return summary


@contextmanager
def opened(
    run: str,
    where: Places,
    scope: str,
    *,
    remember_days: float,
    lock_wait: float,
    warn: Callable[[str], None],
    observe: Callable[[Fact], None],
    outgoing: Outgoing | None = None,
) -> Iterator[Ledger]:
    """Open the ledger of a run and hold it against other runs.

    Args:
        run: the run's id.
        where: its files.
        scope: the name of the endpoint and client that it sends to.
        remember_days: for how long delivered keys are kept.
        lock_wait: seconds to wait for another run to end.
        warn: is told what was found damaged and is mended.
        observe: is told each fact after it is entered.
        outgoing: what goes into the outbox, if anything does.

    Raises:
        StateLockedError: another run holds the state or the audit file.
        ConfigurationError: a file can't be opened, or the audit file is something else.
        StorageError: a file can't be written.
    """
    with (
        locked(where.state, scope, "the same endpoint and client", wait=max(lock_wait, _LOOK)),
        locked(where.locks, audit_lock(where.audit), f"the audit file {where.audit}", wait=max(lock_wait, _TURN)),
        AppendedLines(where.audit, LINE_BEGIN) as lines,
        DeliveredStore(
            store_path(where.state, scope),
            run,
            remember_days=remember_days,
            destinations=outgoing.destinations if outgoing else (),
        ) as delivered,
        DeadLetters(where.dead_letters, run, warn) as letters,
    ):
        if lines.mended:
            warn(half_a_line(where.audit, lines.mended))
        if delivered.set_aside:
            warn(
                f"The record of what is delivered was damaged. It is kept as {delivered.set_aside}, and a new one "
                "is begun: events that earlier runs delivered will be sent again, and what waited for the data lake is "
                "lost to it."
            )
        yield Ledger(run, AuditLogger(lines, run), letters, delivered, observe, outgoing=outgoing)
