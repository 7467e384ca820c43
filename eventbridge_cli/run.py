"""One ingest run: where intake, delivery and ledger meet.

The order in which things are written down makes every crash point safe:

1. `BATCH_SUBMITTED` in the audit file, then the POST. Killed in between: nothing was sent, and the next run sends it.
2. The answer, then the delivered keys in one transaction. Killed in between: the next run sends the events again,
   in a body with the same request id if the chunk is cut the same way. At most what was in flight goes twice.
3. The keys, then `INGESTION_SUCCEEDED`. Killed in between: the next run finds the keys and sends nothing; its
   `DUPLICATE_DROPPED` lines name the run that delivered.

A refused or rejected record is in the dead letters before the audit file says so.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_state_path

from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.delivery.client import build_client
from eventbridge_cli.delivery.ingester import EventBridgeIngester
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth
from eventbridge_cli.delivery.pacing import Pace
from eventbridge_cli.errors import (
    ConfigurationError,
    EbingestError,
    InterruptedRunError,
    PendingError,
    StorageError,
)
from eventbridge_cli.flow import Chunk, DeliveredKeys, Duplicate, Fact, Receipt, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import Meter, Source
from eventbridge_cli.ledger.appending import AppendedLines
from eventbridge_cli.ledger.audit import AuditLogger
from eventbridge_cli.ledger.dead_letters import DeadLetters
from eventbridge_cli.ledger.delivered import DeliveredStore, scope_name
from eventbridge_cli.ledger.lock import locked
from eventbridge_cli.ledger.summary import Summary, summarize
from eventbridge_cli.ledger.tally import ErrorBudget, Tally
from eventbridge_cli.settings import Endpoints, Settings, endpoints

_MOST_ITEMS_AT_ONCE = 1000

Watch = Callable[[Tally, Meter], AbstractContextManager[None]]
"""Shows a run's progress while it lasts."""


Warn = Callable[[str], None]
"""Tells the user something that does not end the run."""


def credentials(settings: Settings, where: Endpoints, *, to_ingest: bool) -> Credentials:
    """What the token is asked for with.

    Args:
        settings: the resolved settings.
        where: the endpoints that they give.
        to_ingest: whether an ingest endpoint is needed as well.

    Raises:
        ConfigurationError: names everything that is missing, all at once.
    """
    secret = settings.secret() or settings.access_token
    needs_token = settings.access_token is None
    needed = {
        "GENESYS_ENV": (where.ingest_url or not to_ingest) and (where.token_url or not needs_token),
        "GENESYS_CLIENT_ID": settings.client_id or not needs_token,
        "GENESYS_CLIENT_SECRET (or GENESYS_CLIENT_SECRET_FILE)": secret,
    }
    missing = [name for name, there in needed.items() if not there]
    if missing or secret is None:
        raise ConfigurationError(
            f"These settings are missing: {', '.join(missing)}.",
            "Set them in the environment or in a file .env; .env.example shows all. "
            "To try the tool without a platform: ebingest ingest FILE --sandbox",
        )
    return Credentials(
        where.token_url, settings.client_id or "", secret, settings.scope, where.region, settings.access_token
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One ingest run, as it was asked for."""

    settings: Settings
    intake: Intake
    state: Path | None = None
    resend: bool = False
    max_errors: ErrorBudget | None = None


class Ledger:
    """Takes every fact once, in the order that the module's docstring gives."""

    def __init__(self, tally: Tally, audit: AuditLogger, letters: DeadLetters, store: DeliveredStore) -> None:
        self._tally = tally
        self._audit = audit
        self._letters = letters
        self._store = store

    def note(self, fact: Fact) -> None:
        """Write a fact down.

        Raises:
            StorageError: it could not be written. What is thereby not proved delivered or kept counts as pending.
        """
        failure: StorageError | None = None
        if isinstance(fact, Receipt):
            fact, failure = self._secure(fact)
        elif isinstance(fact, Rejection):
            self._letters.note(fact)
        if failure is None:
            try:
                self._audit.note(fact)
            except StorageError as error:
                if not isinstance(fact, Receipt):
                    raise
                failure = error
        self._tally.note(fact)
        if failure is not None:
            raise failure

    def _secure(self, receipt: Receipt) -> tuple[Receipt, StorageError | None]:
        """Make a receipt true on disk: keys and dead letters. What can't be is pending."""
        try:
            if receipt.delivered:
                self._store.commit(receipt.delivered)
        except StorageError as error:
            events = receipt.delivered + tuple(refusal.event for refusal in receipt.refused) + receipt.pending
            return replace(receipt, delivered=(), refused=(), pending=events, cause=error.message), error
        try:
            self._letters.note(receipt)
        except StorageError as error:
            events = receipt.pending + tuple(refusal.event for refusal in receipt.refused)
            return replace(receipt, refused=(), pending=events, cause=error.message), error
        return receipt, None


def ingest(job: Job, *, watch: Watch = lambda *_: nullcontext(), warn: Warn) -> Summary:
    """Run a job to its end, however that comes, and account for it.

    Raises:
        EbingestError: the run could not even begin. Whatever ends it later stands in the summary.
    """
    settings = job.settings
    where = endpoints(settings)
    who = credentials(settings, where, to_ingest=True)
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    scope = scope_name(where.ingest_url, who.client_id)
    folder = job.state or settings.state or user_state_path("ebingest")
    with ExitStack() as open_now:
        open_now.enter_context(locked(folder, scope, "the same endpoint and client"))
        audit_name = blake2b(str(settings.audit.resolve()).encode(), digest_size=10).hexdigest()
        locks = settings.state or user_state_path("ebingest")
        open_now.enter_context(locked(locks, f"audit-{audit_name}", f"the audit file {settings.audit}"))
        lines = open_now.enter_context(AppendedLines(settings.audit))
        store = open_now.enter_context(
            DeliveredStore(folder / f"{scope}.sqlite3", run, remember_days=settings.remember)
        )
        letters = DeadLetters(settings.dead_letters, run)
        open_now.callback(letters.close)
        audit = AuditLogger(lines, run)
        tally = Tally()
        intake = open_now.enter_context(_readable_twice(job.intake)) if job.intake.strict else job.intake
        if lines.mended:
            warn(
                f"{settings.audit} ended in half a line ({lines.mended} bytes) of a run that was killed; it is mended."
            )
        if store.set_aside:
            warn(
                f"The record of what is delivered was damaged. It is kept as {store.set_aside}, and a new one is "
                "begun: events that earlier runs delivered will be sent again."
            )
        audit.write(
            "RUN_STARTED",
            version=version("ebingest"),
            inputs=[source.name for source in intake.sources],
            ingest_url=where.ingest_url,
            strict=intake.strict,
            resend=job.resend,
            key=intake.key.paths,
            mended_bytes=lines.mended,
        )
        ledger = Ledger(tally, audit, letters, store)
        delivered = None if job.resend else store
        error: EbingestError | None = None
        try:
            with watch(tally, intake.meter):
                if intake.strict and _has_rejections(intake):
                    _account_only(intake, delivered, ledger, tally)
                else:
                    asyncio.run(_deliver(job, intake, delivered, ledger, tally, where, who))
        except EbingestError as stopped:
            error = stopped
        files = {"audit": str(settings.audit)}
        if letters.count:
            files["dead_letters"] = str(settings.dead_letters)
        summary = summarize(tally, run=run, error=error, files=files)
        with suppress(StorageError):  # the summary still tells; the error that matters stands in it
            audit.write(
                "RUN_FINISHED",
                counts=summary.counts,
                exit_code=summary.exit_code,
                stopped=summary.stopped and summary.stopped["code"],
                requests=summary.requests,
                retries=summary.retries,
                bytes_sent=summary.bytes_sent,
                seconds=summary.seconds,
                latency={name: summary.latency[name] for name in ("p50", "p90", "p99", "max")},
            )
    return summary


async def _deliver(
    job: Job,
    intake: Intake,
    delivered: DeliveredKeys | None,
    ledger: Ledger,
    tally: Tally,
    where: Endpoints,
    who: Credentials,
) -> None:
    settings = job.settings
    policy = Policy(
        max_attempts=settings.max_attempts, max_elapsed=settings.max_elapsed, max_wait=settings.max_wait
    )
    async with build_client(concurrency=settings.concurrency, timeout=settings.timeout) as client:
        ingester = EventBridgeIngester(
            client,
            GenesysAuth(client, who, note=ledger.note),
            where.ingest_url,
            note=ledger.note,
            policy=policy,
            pace=Pace(settings.concurrency, rate=settings.requests_per_second),
        )
        pump = Pump(intake.chunks(delivered))

        def interrupt(number: int) -> None:
            ingester.stop(InterruptedRunError(number))
            pump.stop()

        with _signals(interrupt):
            await ingester.ingest(_noted(pump, ledger, tally, job.max_errors, intake))
        if job.max_errors:
            counts = tally.counts
            job.max_errors.check(counts.rejected + counts.refused, counts.read, at_end=True)


async def _noted(
    pump: "Pump", ledger: Ledger, tally: Tally, budget: ErrorBudget | None, intake: Intake
) -> AsyncIterator[Chunk]:
    """The chunks of the intake; whatever else comes with them is noted here."""
    async for item in pump:
        if isinstance(item, Chunk):
            for event in item.events:
                tally.read(event)
            yield item
            continue
        ledger.note(item)
        if isinstance(item, Rejection) and intake.strict:
            raise PendingError(
                f"{item.origin.source} has changed since it was checked for --strict.",
                "What was sent is on record. Run the same command again when nothing writes to the file.",
            )
        if budget:
            budget.check(tally.counts.rejected + tally.counts.refused, tally.counts.read)


class Pump:
    """Pulls a lazy, blocking iterator in a thread of its own, one chunk ahead of what is asked for.

    The thread is a daemon: a read that never returns (a silent pipe) can't keep the process from ending.
    """

    def __init__(self, items: Iterator[Chunk | Rejection | Duplicate]) -> None:
        self._items = items
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[list[Chunk | Rejection | Duplicate] | BaseException | None] = (
            asyncio.Queue()
        )
        self._wanted = threading.Semaphore(1)
        self._stopped = False
        threading.Thread(target=self._pull, name="intake", daemon=True).start()

    def stop(self) -> None:
        """End the iteration, even while the thread is waiting for input."""
        self._stopped = True
        self._ready.put_nowait(None)

    def _pull(self) -> None:
        while self._wanted.acquire() and not self._stopped:
            result: list[Chunk | Rejection | Duplicate] | BaseException | None
            try:
                result = self._batch() or None
            except BaseException as error:  # noqa: BLE001 - it is raised again, in the loop's thread
                result = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._ready.put_nowait, result)
            if not isinstance(result, list):
                return

    def _batch(self) -> list[Chunk | Rejection | Duplicate]:
        batch: list[Chunk | Rejection | Duplicate] = []
        for item in self._items:
            batch.append(item)
            if isinstance(item, Chunk) or len(batch) >= _MOST_ITEMS_AT_ONCE:
                break
        return batch

    async def __aiter__(self) -> AsyncIterator[Chunk | Rejection | Duplicate]:
        while not self._stopped:
            batch = await self._ready.get()
            if isinstance(batch, BaseException):
                raise batch
            if batch is None or self._stopped:
                return
            self._wanted.release()
            for item in batch:
                yield item


@contextmanager
def _signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first(number: int) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(number)

    with suppress(NotImplementedError):  # Windows: Ctrl-C then ends the process as any other
        for number in numbers:
            loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


@contextmanager
def _readable_twice(intake: Intake) -> Iterator[Intake]:
    """The intake with standard input copied to a file, since `--strict` reads everything before it sends."""
    if all(source.path is not None for source in intake.sources):
        yield intake
        return
    with tempfile.TemporaryDirectory(prefix="ebingest-") as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield replace(
            intake,
            sources=tuple(Source(source.name, source.path or copy) for source in intake.sources),
        )


def _has_rejections(intake: Intake) -> bool:
    return any(isinstance(item, Rejection) for item in replace(intake, meter=Meter()).chunks())


def _account_only(intake: Intake, delivered: DeliveredKeys | None, ledger: Ledger, tally: Tally) -> None:
    """Account for an input of which `--strict` lets nothing be sent."""
    tally.withheld = True
    for item in intake.chunks(delivered):
        if isinstance(item, Chunk):
            for event in item.events:
                tally.read(event)
            tally.pending(len(item.events), "--strict: nothing is sent while a record is bad")
        else:
            ledger.note(item)
