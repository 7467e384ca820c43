"""What runs have left in the outbox, handed on: the work of `ebingest sync`."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct, field

from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.endpoints import endpoints
from eventbridge_cli.errors import (
    ConfigurationError,
    EbingestError,
    InterruptedRunError,
    PendingError,
    StateLockedError,
    StorageError,
)
from eventbridge_cli.excerpt import bare
from eventbridge_cli.facts import Destination, HandOver, SyncState
from eventbridge_cli.lake.names import by_name
from eventbridge_cli.lake.thread import in_thread
from eventbridge_cli.lake.worker import Worker
from eventbridge_cli.ledger.delivered import store_of
from eventbridge_cli.ledger.lock import lock_folder
from eventbridge_cli.ledger.outbox import Outbox
from eventbridge_cli.ledger.standing import is_there
from eventbridge_cli.ledger.tally import SyncCounts
from eventbridge_cli.ledger.turns import AuditInTurns
from eventbridge_cli.ledger.writable import check_file
from eventbridge_cli.settings import Settings
from eventbridge_cli.signals import first_signal
from eventbridge_cli.sync import Lane, next_try, open_lane

_AUDIT_SECONDS = 5.0
_TURN_SECONDS = 0.5  # of that at once, so that a signal is heard
_WORST_FIRST = (ConfigurationError.exit_code, StateLockedError.exit_code, PendingError.exit_code)


class LeftOver(Struct):
    """What became of what was left over, by target.

    `errors` are what kept targets from being served at all, `stopped` is what kept all of it from going on; `nothing`
    says where nothing was found to hand on.
    """

    counts: dict[str, SyncCounts] = field(default_factory=dict)
    errors: list[EbingestError] = field(default_factory=list)
    stopped: InterruptedRunError | None = None
    nothing: str = "Nothing waits for the data lake."

    def take(self, fact: HandOver) -> None:
        """Count a fact."""
        self.counts.setdefault(fact.target, SyncCounts(fact.target)).take(fact)

    @property
    def exit_code(self) -> int:
        """That of the worst; 0 if nothing waits any more."""
        if self.stopped:
            return self.stopped.exit_code
        codes = {error.exit_code for error in self.errors}
        # A message is about what is not settled, even where all of it has arrived.
        if any(each.pending or each.failed or each.message for each in self.counts.values()):
            codes.add(PendingError.exit_code)
        return next((code for code in _WORST_FIRST if code in codes), 0)


def hand_on(
    settings: Settings, urls: Sequence[str], run: str, *, warn: Callable[[str], None], insist: Callable[[str], None]
) -> LeftOver:
    """Hand on what runs have left in the outbox of an endpoint and client.

    A target that can't be served keeps none of the others from it.

    Args:
        settings: say which endpoint and client, and how to reach the targets.
        urls: the targets to serve; all that wait for something if there are none.
        run: an id for the audit file.
        warn: is told what the user should know.
        insist: is told what the user has to know: that the audit file lacks something.

    Raises:
        ConfigurationError: endpoint or client is not known, one of `urls` can be no target's, or the outbox is in a
            folder that may not be entered, or can't be written.
        StorageError: the outbox can't be read, or there is no space.
    """
    where = endpoints(settings)
    if not where.ingest_url or not (settings.client_id or settings.access_token):
        raise ConfigurationError(
            "It takes the endpoint and the client of the runs to find what they have left.",
            "Set GENESYS_ENV and GENESYS_CLIENT_ID as for the runs.",
        )
    whole_urls = _whole_urls(settings, urls)
    folder = settings.state_folder
    database = store_of(folder, where.ingest_url, settings.identity)
    found = LeftOver()
    if not is_there(database):
        found.nothing = (
            f"No run to {bare(where.ingest_url)} by {_client(settings)} has left anything in {folder}: "
            "check GENESYS_ENV, GENESYS_CLIENT_ID and EBINGEST_STATE if one should have."
        )
        return found
    check_file(database)  # or what can't be forgotten would be handed over by each call anew
    audit = AuditInTurns(settings.audit, lock_folder(otherwise=folder), run, warn)
    with Outbox(database) as outbox:
        waiting = outbox.destinations()
        chosen = [each for each in waiting if each.target in whole_urls or not urls]
        if waiting and not chosen:
            others = ", ".join(f"{outbox.waiting(each):,} for {each.target}" for each in waiting)
            found.nothing = f"Nothing waits for {' or '.join(whole_urls)}; what waits is {others}."
        asyncio.run(_HandingOn(settings, outbox, audit, found, insist).serve(chosen, whole_urls))
    return found


def _client(settings: Settings) -> str:
    return f"client {settings.client_id}" if settings.client_id else "a client that is known by its token alone"


def _whole_urls(settings: Settings, urls: Sequence[str]) -> dict[str, str]:
    """The URLs that are given, by the names of their targets; of settings, those that can be a target's."""
    if urls:
        return by_name(urls)
    whole: dict[str, str] = {}
    for url in settings.sync:
        with suppress(ConfigurationError):  # nothing can wait for it
            whole |= by_name([url])
    return whole


class _HandingOn:
    """Hands over where that can be done, then tells what waits elsewhere, and why.

    The first signal gives targets no more time; all is told and written down all the same.
    """

    def __init__(
        self, settings: Settings, outbox: Outbox, audit: AuditInTurns, found: LeftOver, insist: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._audit = audit
        self._found = found
        self._insist = insist
        self._workers: list[Worker] = []

    async def serve(self, chosen: Sequence[Destination], whole_urls: Mapping[str, str]) -> None:
        """Do it.

        Raises:
            StorageError: the outbox can't be read.
        """
        with first_signal(self._stop):
            kept: dict[Destination, EbingestError] = {}
            for destination in chosen:
                try:
                    self._workers.append(self._worker(self._open(destination, whole_urls)))
                except (ConfigurationError, StateLockedError) as error:
                    kept[destination] = error
            await self._hand_over()
            for destination, reason in kept.items():
                self._tell(destination, reason)
            await self._write_down()

    def _stop(self, number: int) -> None:
        self._found.stopped = InterruptedRunError(number)
        for worker in self._workers:
            worker.hurry()

    def _open(self, destination: Destination, whole_urls: Mapping[str, str]) -> Lane:
        """Open a target, and hold what waits for it; what for and in which form stands in the outbox.

        Raises:
            ConfigurationError: it can't be opened.
            StateLockedError: another process hands over to it.
        """
        target = destination.target
        if "?" in target and target not in whole_urls:
            raise ConfigurationError(
                f"The outbox does not keep the query of {target}: it may hold a key.",
                "Give the whole URL with --sync or EBINGEST_SYNC.",
            )
        if not self._outbox.hold(destination):
            raise StateLockedError(
                f"Another process hands over to {target}.", "Run ebingest sync again when it has ended."
            )
        try:
            return open_lane(self._settings, whole_urls.get(target, target), destination.content, destination.form)
        except ConfigurationError:
            self._outbox.let_go(destination, at_the_end=False)
            raise

    def _worker(self, lane: Lane) -> Worker:
        policy = Policy(
            max_attempts=self._settings.max_attempts,
            max_elapsed=self._settings.max_elapsed,
            max_wait=self._settings.max_wait,
        )
        return Worker(lane.target, lane.destination, self._outbox, note=self._note, backoff=partial(next_try, policy))

    async def _hand_over(self) -> None:
        for worker in self._workers:
            worker.start()
        try:
            await asyncio.gather(*(worker.finish(self._settings.max_elapsed, renewed=True) for worker in self._workers))
        except asyncio.CancelledError:  # Ctrl-C on Windows
            await asyncio.gather(*(worker.finish(0.0) for worker in self._workers))
            raise

    def _tell(self, destination: Destination, error: EbingestError) -> None:
        if entries := self._outbox.waiting(destination):
            self._found.errors.append(error)
            state = SyncState.FAILED if isinstance(error, ConfigurationError) else SyncState.PENDING
            self._note(HandOver(destination.target, None, entries, state, error.in_one_line))

    def _note(self, fact: HandOver) -> None:
        self._found.take(fact)
        self._audit.note(fact)

    async def _write_down(self) -> None:
        """Wait for a run to let go of the audit file, if anything is still to be written there."""
        give_up = time.monotonic() + max(self._settings.lock_wait, _AUDIT_SECONDS)
        while self._audit.missing:
            try:
                await in_thread(lambda: self._audit.catch_up(wait=_TURN_SECONDS))
            except (StateLockedError, ConfigurationError, StorageError) as error:
                patient = isinstance(error, StateLockedError) and not self._found.stopped
                if not patient or time.monotonic() > give_up:
                    self._insist(f"DATA_LAKE_SYNC lines are missing ({self._audit.missing:,}): {error.message}")
                    return
