"""One ingest run: where intake, delivery and ledger meet."""

import asyncio
import pickle
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from eventbridge_cli import __version__
from eventbridge_cli.chunks import Chunk, Item
from eventbridge_cli.credentials import credentials
from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.delivery.client import build_client
from eventbridge_cli.delivery.ingester import EventBridgeIngester
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth
from eventbridge_cli.delivery.pacing import Pace
from eventbridge_cli.delivery.pump import Inlet, Pump
from eventbridge_cli.endpoints import endpoints
from eventbridge_cli.errors import (
    RESUMES,
    ConfigurationError,
    EbingestError,
    InterruptedRunError,
    PendingError,
    UnexpectedError,
    known,
)
from eventbridge_cli.excerpt import bare
from eventbridge_cli.facts import Fact, Receipt, gathered
from eventbridge_cli.flow import DeliveredKeys, Rejection
from eventbridge_cli.intake.apart import LENGTH_BYTES
from eventbridge_cli.intake.dedupe import skip_delivered
from eventbridge_cli.intake.letters import Letters
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import killed
from eventbridge_cli.intake.sources import Meter
from eventbridge_cli.ledger.account import ErrorBudget
from eventbridge_cli.ledger.audit import new_run
from eventbridge_cli.ledger.book import Ledger, Places, opened
from eventbridge_cli.ledger.delivered import scope_name, store_path
from eventbridge_cli.ledger.lock import lock_folder
from eventbridge_cli.ledger.outbox import Outgoing
from eventbridge_cli.ledger.summary import Summary
from eventbridge_cli.ledger.tally import Tally
from eventbridge_cli.settings import Settings
from eventbridge_cli.signals import Deadline, ends_when_asked, first_signal, interruptible
from eventbridge_cli.strict import account_only, read_before
from eventbridge_cli.sync import HandingOver, lanes_for_the_rest, lanes_of
from eventbridge_cli.transport.proxies import checked_proxy
from eventbridge_cli.wording import counted

if sys.platform == "win32":
    uvloop = None
else:
    import uvloop


def _show_nothing(_tally: Tally, _meter: Meter) -> AbstractContextManager[None]:
    return nullcontext()


class Job(Struct, frozen=True, kw_only=True):
    """One ingest run, as it was asked for.

    `run` is its id. `items` gives the intake's chunks, where a process of its own makes them. `state` takes the place
    of the settings' state folder for a run against a sandbox. `watch` shows progress while the run lasts, `observe` is
    told each fact, `warn` what the user should know although it does not end the run, and `insist` what even those have
    to know who want no words.
    """

    settings: Settings
    intake: Intake
    items: socket.socket | None = None
    state: Path | None = None
    resend: bool = False
    max_errors: ErrorBudget = ErrorBudget()
    watch: Callable[[Tally, Meter], AbstractContextManager[None]] = _show_nothing
    observe: Callable[[Fact], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    insist: Callable[[str], None] = lambda _: None
    run: str = field(default_factory=new_run)

    @property
    def letters(self) -> Letters | None:
        """The dead letters that are sent again, if this is a replay."""
        return self.intake.reader if isinstance(self.intake.reader, Letters) else None


def ingest(job: Job) -> Summary:
    """Run a job to its end, however that comes, and account for it.

    Raises:
        EbingestError: the run could not even begin. Whatever ends it later stands in the summary.
    """
    settings = job.settings
    where = endpoints(settings)
    who = credentials(settings, where, to_ingest=True)
    for url in [where.ingest_url] if who.access_token is not None else [where.token_url, where.ingest_url]:
        checked_proxy(url)  # before anything is begun
    state = job.state or settings.state_folder
    places = Places(
        state=state,
        locks=lock_folder(otherwise=state),
        audit=settings.audit,
        dead_letters=None if job.letters else settings.dead_letters,
    )
    scope = scope_name(where.ingest_url, settings.identity)
    lanes = lanes_of(settings)
    if lanes and not settings.client_id:
        raise ConfigurationError(
            "--sync needs GENESYS_CLIENT_ID: with another token, what waits for the data lake is found by it alone.",
            "Set it to the id of the client that the token was given to.",
        )
    outgoing = Outgoing(job.run, bare(where.ingest_url), tuple(lane.destination for lane in lanes)) if lanes else None
    intake, deadline = job.intake, _deadline(settings.max_duration)
    with opened(
        job.run,
        places,
        scope,
        remember_days=settings.remember,
        lock_wait=settings.lock_wait,
        warn=job.warn,
        observe=job.observe,
        outgoing=outgoing,
    ) as ledger:
        error: EbingestError | None = None
        delivered = None if job.resend or ledger.delivered.is_empty else ledger.delivered
        database = store_path(places.state, scope)
        lake = HandingOver(
            (*lanes, *lanes_for_the_rest(settings, lanes, database)),
            database,
            note=ledger.note,
            warn=job.insist,
            grace=settings.sync_grace,
        )
        try:
            with interruptible() as whole:
                with whole():
                    ledger.begin(
                        version=__version__,
                        inputs=[source.name for source in intake.sources],
                        ingest_url=bare(where.ingest_url),
                        strict=intake.strict,
                        resend=job.resend,
                        key=intake.key.paths,
                        replay=job.letters is not None,
                        sandbox=job.state is not None,
                    )
                with (
                    job.watch(ledger.tally, intake.meter),
                    read_before(intake, deadline) if intake.strict else nullcontext((intake, True)) as (again, is_good),
                ):
                    if is_good:
                        url = where.ingest_url
                        _run(_deliver(job, again, delivered, ledger, lake, url=url, who=who, deadline=deadline))
                    else:
                        with ends_when_asked(deadline) as may_go_on:
                            account_only(_fresh(again.chunks(), delivered), ledger, job.max_errors, may_go_on)
        except Exception as stopped:  # noqa: BLE001 - whatever it is, the account is drawn
            error = known(stopped)
            if isinstance(error, UnexpectedError):
                ledger.tally.pending(ledger.tally.counts.unsettled, error.message)
        return ledger.finish(
            error, replay_of=job.letters.runs if job.letters else None, sync_required=settings.sync_required
        )


def _deadline(max_duration: float | None) -> Deadline:
    seconds = float("inf") if max_duration is None else max_duration
    over = PendingError(
        f"The run has lasted for the {seconds:g} s that --max-duration gives it.",
        RESUMES,
    )
    return Deadline(time.monotonic() + seconds, over)


def _run(delivery: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=None if uvloop is None else uvloop.new_event_loop) as runner:
        runner.run(delivery)


async def _deliver(
    job: Job,
    intake: Intake,
    delivered: DeliveredKeys | None,
    ledger: Ledger,
    lake: HandingOver,
    *,
    url: str,
    who: Credentials,
    deadline: Deadline,
) -> None:
    settings = job.settings
    counts = ledger.tally.counts

    def note(fact: Fact) -> None:
        ledger.note(fact)
        if isinstance(fact, Receipt) and fact.delivered:
            lake.ring()
        if isinstance(fact, Receipt | Rejection):
            job.max_errors.check(counts)

    async with build_client(timeout=settings.timeout) as client:
        pace = Pace(settings.concurrency, rate=settings.requests_per_second, max_wait=settings.max_wait)
        inlet = _inlet(job, intake, delivered)
        ingester = EventBridgeIngester(
            client,
            GenesysAuth(client, who, note=note, sleep=pace.wait),  # a stop cuts this wait short, too
            url,
            note=note,
            on_stop=inlet.stop,
            policy=Policy(
                max_attempts=settings.max_attempts,
                max_elapsed=settings.max_elapsed,
                max_wait=settings.max_wait,
            ),
            pace=pace,
            grace=settings.grace,
        )
        if settings.max_duration is not None:
            asyncio.get_running_loop().call_later(deadline.until - time.monotonic(), ingester.stop, deadline.over)

        def stop(number: int) -> None:
            if ledger.tally.in_flight:
                job.warn(
                    f"Stopping: {counted(ledger.tally.in_flight, 'request')} in flight may settle "
                    f"for up to {settings.grace:g} s. A second signal ends the run at once; nothing is lost either way."
                )
            ingester.stop(InterruptedRunError(number))
            lake.hurry()

        with first_signal(stop):
            async with lake:
                await ingester.ingest(_noted(inlet, ledger, job, note))
    job.max_errors.check(counts, at_end=True)


def _fresh(items: Iterator[Item], delivered: DeliveredKeys | None) -> Iterator[Item]:
    return items if delivered is None else skip_delivered(items, delivered)


def _inlet(job: Job, intake: Intake, delivered: DeliveredKeys | None) -> Pump[Item] | Inlet[Iterator[Item]]:
    """Where the items come from: a thread of this process, or another process.

    The thread makes no processes that check records: nobody could end them while it waits to be asked for more.
    """
    if job.items is None:
        alone = replace(intake, jobs=1)
        return Pump(_fresh(alone.chunks(), delivered), lambda item: isinstance(item, Chunk))

    def unpack(data: bytes) -> Iterator[Item] | None:
        message = pickle.loads(data)  # noqa: S301 - it comes from our own process
        if isinstance(message, EbingestError):
            raise message
        if message is None:
            return None
        intake.meter.read, items = message
        return _fresh(iter(items), delivered)

    return Inlet(job.items, LENGTH_BYTES, unpack, killed)


async def _noted(
    inlet: Pump[Item] | Inlet[Iterator[Item]], ledger: Ledger, job: Job, note: Callable[[Fact], None]
) -> AsyncIterator[Chunk]:
    """The chunks of the intake; whatever else comes with them is noted here."""
    async for items in inlet:
        for item in gathered(items):
            if isinstance(item, Chunk):
                ledger.tally.came_in(item.events)
                yield item
                continue
            note(item)
            if isinstance(item, Rejection) and job.intake.strict:
                raise _changed(item.origin.source)
    meter = job.intake.meter
    if job.intake.strict and not inlet.is_stopped and meter.read < (meter.total or 0):
        raise _changed("The input")
    ledger.tally.read_to_end = not inlet.is_stopped


def _changed(what: str) -> PendingError:
    return PendingError(
        f"{what} has changed since it was checked for --strict.",
        "What was sent is on record. Run the same command again when nothing writes to the input.",
    )
