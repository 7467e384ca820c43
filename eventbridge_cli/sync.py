"""What was delivered, handed to the data lake: where settings, outbox and targets meet."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_state_path

from eventbridge_cli.delivery.backoff import GiveUp, Policy, backoff
from eventbridge_cli.endpoints import endpoints
from eventbridge_cli.errors import ConfigurationError, StateLockedError, StorageError
from eventbridge_cli.facts import Destination, HandOver
from eventbridge_cli.lake.target import Content, Format, Target, open_target
from eventbridge_cli.lake.worker import Worker
from eventbridge_cli.ledger.delivered import scope_name, store_path
from eventbridge_cli.ledger.lock import lock_folder
from eventbridge_cli.ledger.outbox import Outbox
from eventbridge_cli.ledger.tally import SyncCounts
from eventbridge_cli.ledger.turns import AuditInTurns
from eventbridge_cli.settings import Settings

_AUDIT_SECONDS = 5.0
_FOR_AS_LONG_AS_IT_TAKES = Policy(max_attempts=2**31, max_elapsed=float("inf"), max_wait=float("inf"))


@dataclass(frozen=True, slots=True)
class Lane:
    """A target that is open, and the outbox's name for what waits for it."""

    target: Target
    destination: Destination


def open_lane(settings: Settings, url: str, content: str, form: str) -> Lane:
    """Open the target at `url`. Nothing is asked of it yet.

    Raises:
        ConfigurationError: see `open_target`.
    """
    target = open_target(
        url,
        content=Content(content),
        form=Format(form),
        kafka=settings.kafka(),
        webhook_secret=settings.webhook_secret,
    )
    return Lane(target, Destination(target.name, content, form))


def lanes_of(settings: Settings) -> tuple[Lane, ...]:
    """The targets that `--sync` names, each once.

    Raises:
        ConfigurationError: see `open_target`.
    """
    opened = (open_lane(settings, url, settings.sync_content, settings.sync_format) for url in settings.sync)
    return tuple({lane.destination: lane for lane in opened}.values())


def next_try(policy: Policy, tries: int, elapsed: float, retry_after: float | None) -> float | None:
    """Seconds until a batch is put again, or None."""
    delay = backoff(policy, attempts=tries, elapsed=elapsed, retry_after=retry_after, random=random.random)
    return None if isinstance(delay, GiveUp) else delay


def cautious(note: Callable[[HandOver], None], warn: Callable[[str], None]) -> Callable[[HandOver], None]:
    """`note`, whose failure ends nothing: what was handed over is so, whether the audit file has a line or not."""

    def noted(fact: HandOver) -> None:
        try:
            note(fact)
        except StorageError as error:
            warn(f"a DATA_LAKE_SYNC line is missing: {error.message}")

    return noted


class HandingOver:
    """Hands over, beside a run, what it puts into the outbox and what earlier ones have left there.

    Entering tries each target; leaving gives them `grace` seconds for the rest.

    Args:
        lanes: where to.
        database: holds the outbox.
        note: is told what becomes of entries.
        warn: is told where `note` failed.
        grace: seconds.

    Raises:
        ConfigurationError: a target can't be reached, is not there, or does not let us write. Then nothing was begun.
        StorageError: the outbox can't be opened.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        database: Path,
        *,
        note: Callable[[HandOver], None],
        warn: Callable[[str], None],
        grace: float,
    ) -> None:
        self._lanes = lanes
        self._database = database
        self._note = cautious(note, warn)
        self._grace = grace
        self._workers: list[Worker] = []
        self._around = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._lanes:
            return self
        await _check(self._lanes)
        outbox = self._around.enter_context(Outbox(self._database))
        decide = partial(next_try, _FOR_AS_LONG_AS_IT_TAKES)
        for lane in self._lanes:
            worker = Worker(lane.target, lane.destination, outbox, note=self._note, backoff=decide)
            self._workers.append(worker)
            worker.start()
        self._around.push_async_callback(self._finish)
        return self

    def ring(self) -> None:
        """Another entry is in the outbox."""
        for worker in self._workers:
            worker.ring()

    def hurry(self) -> None:
        """Somebody wants the process to end: give no grace."""
        self._grace = 0.0
        for worker in self._workers:
            worker.hurry()

    async def _finish(self) -> None:
        await asyncio.gather(*(worker.finish(self._grace) for worker in self._workers))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.hurry()
        await self._around.aclose()


def left_over(settings: Settings, urls: Sequence[str], run: str, warn: Callable[[str], None]) -> list[SyncCounts]:
    """Hand on what runs have left in the outbox of an endpoint and client.

    Args:
        settings: say which endpoint and client, and how to reach the targets.
        urls: the targets to serve; all that wait for something if there are none.
        run: an id for the audit file.
        warn: is told what the user should know.

    Raises:
        ConfigurationError: endpoint or client is not known, or a target can't be opened.
        StateLockedError: another process hands over to one of the targets.
        StorageError: the outbox can't be read.
    """
    where = endpoints(settings)
    if not where.ingest_url or not (settings.client_id or settings.access_token):
        raise ConfigurationError(
            "It takes the endpoint and the client of the runs to find what they have left.",
            "Set GENESYS_ENV and GENESYS_CLIENT_ID as for the runs.",
        )
    folder = settings.state or user_state_path("ebingest")
    database = store_path(folder, scope_name(where.ingest_url, settings.identity))
    if not database.exists():
        return []
    audit = AuditInTurns(settings.audit, lock_folder(otherwise=folder), run, warn)
    counts: dict[str, SyncCounts] = {}

    def note(fact: HandOver) -> None:
        counts.setdefault(fact.target, SyncCounts(fact.target)).take(fact)
        audit.note(fact)

    with Outbox(database) as outbox:
        lanes = _waiting_lanes(settings, urls, outbox.destinations())
        for lane in lanes:
            if not outbox.hold(lane.destination):
                raise StateLockedError(
                    f"Another process hands over to {lane.destination.target}.",
                    "Run ebingest sync again when it has ended.",
                )
        asyncio.run(_hand_on(settings, lanes, outbox, cautious(note, warn)))
    if missing := audit.catch_up(wait=max(settings.lock_wait, _AUDIT_SECONDS)):
        warn(f"a run uses {settings.audit}: {missing} DATA_LAKE_SYNC lines are missing there.")
    return list(counts.values())


def _waiting_lanes(settings: Settings, urls: Sequence[str], waiting: Sequence[Destination]) -> list[Lane]:
    """Open the targets that something waits for: what for and in which form stands in the outbox."""
    known = {open_lane(settings, url, "receipts", "ndjson").destination.target: url for url in urls or settings.sync}
    chosen = [each for each in waiting if each.target in known] if urls else waiting
    if hidden := [each.target for each in chosen if "?" in each.target and each.target not in known]:
        raise ConfigurationError(
            f"The outbox does not keep the query of {hidden[0]}: it may hold a key.",
            "Give the whole URL with --sync or EBINGEST_SYNC.",
        )
    return [open_lane(settings, known.get(each.target, each.target), each.content, each.form) for each in chosen]


async def _hand_on(settings: Settings, lanes: Sequence[Lane], outbox: Outbox, note: Callable[[HandOver], None]) -> None:
    policy = Policy(max_attempts=settings.max_attempts, max_elapsed=settings.max_elapsed, max_wait=settings.max_wait)
    workers = [
        Worker(lane.target, lane.destination, outbox, note=note, backoff=partial(next_try, policy)) for lane in lanes
    ]
    for worker in workers:
        worker.start()
    try:
        await asyncio.gather(*(worker.finish(settings.max_elapsed, renewed=True) for worker in workers))
    except asyncio.CancelledError:
        await asyncio.gather(*(worker.finish(0.0) for worker in workers))
        raise


async def _check(lanes: Sequence[Lane]) -> None:
    """Try all targets at once, and raise for the first that would not do."""
    found = await asyncio.gather(*(lane.target.check() for lane in lanes), return_exceptions=True)
    for error in found:
        if error is not None:
            await asyncio.gather(*(lane.target.aclose() for lane in lanes))
            raise error
