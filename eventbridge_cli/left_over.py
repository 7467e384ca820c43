"""What runs have left in the outbox, handed on: the work of `ebingest sync`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from platformdirs import user_state_path

from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.endpoints import endpoints
from eventbridge_cli.errors import ConfigurationError, EbingestError, PendingError, StateLockedError, StorageError
from eventbridge_cli.facts import Destination, HandOver, SyncState
from eventbridge_cli.lake.names import name_of, parts_of
from eventbridge_cli.lake.worker import Worker
from eventbridge_cli.ledger.delivered import scope_name, store_path
from eventbridge_cli.ledger.lock import lock_folder
from eventbridge_cli.ledger.outbox import Outbox
from eventbridge_cli.ledger.tally import SyncCounts
from eventbridge_cli.ledger.turns import AuditInTurns
from eventbridge_cli.settings import Settings
from eventbridge_cli.sync import Lane, next_try, open_lane

_AUDIT_SECONDS = 5.0
_WORST_FIRST = (ConfigurationError.exit_code, StateLockedError.exit_code, PendingError.exit_code)


@dataclass(slots=True)
class LeftOver:
    """What became of what was left over, by target.

    `errors` are what kept targets from being served at all; `nothing` says where nothing was found to hand on.
    """

    counts: dict[str, SyncCounts] = field(default_factory=dict)
    errors: list[EbingestError] = field(default_factory=list)
    nothing: str = "Nothing waits for the data lake."

    def take(self, fact: HandOver) -> None:
        """Count a fact."""
        self.counts.setdefault(fact.target, SyncCounts(fact.target)).take(fact)

    @property
    def exit_code(self) -> int:
        """That of the worst; 0 if nothing waits any more."""
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
        ConfigurationError: endpoint or client is not known, or one of `urls` can be no target's.
        StorageError: the outbox can't be read.
    """
    where = endpoints(settings)
    if not where.ingest_url or not (settings.client_id or settings.access_token):
        raise ConfigurationError(
            "It takes the endpoint and the client of the runs to find what they have left.",
            "Set GENESYS_ENV and GENESYS_CLIENT_ID as for the runs.",
        )
    whole_urls = _whole_urls(settings, urls)
    folder = settings.state or user_state_path("ebingest")
    database = store_path(folder, scope_name(where.ingest_url, settings.client_id or ""))
    found = LeftOver()
    if not database.exists():
        found.nothing = (
            f"No run to {where.ingest_url} by {_client(settings)} has left anything in {folder}: "
            "check GENESYS_ENV, GENESYS_CLIENT_ID and EBINGEST_STATE if one should have."
        )
        return found
    audit = AuditInTurns(settings.audit, lock_folder(otherwise=folder), run, warn)

    def note(fact: HandOver) -> None:
        found.take(fact)
        audit.note(fact)

    with Outbox(database) as outbox:
        waiting = outbox.destinations()
        chosen = [each for each in waiting if each.target in whole_urls or not urls]
        if waiting and not chosen:
            others = ", ".join(f"{outbox.waiting(each):,} for {each.target}" for each in waiting)
            found.nothing = f"Nothing waits for {' or '.join(whole_urls)}; what waits is {others}."
        lanes, kept = _lanes(settings, outbox, chosen, whole_urls)
        asyncio.run(_hand_on(settings, lanes, outbox, note))
        for destination, error in kept.items():
            if entries := outbox.waiting(destination):
                found.errors.append(error)
                state = SyncState.FAILED if isinstance(error, ConfigurationError) else SyncState.PENDING
                note(HandOver(destination.target, None, entries, state, error.in_one_line))
    try:
        audit.catch_up(wait=max(settings.lock_wait, _AUDIT_SECONDS))
    except (StateLockedError, StorageError) as error:
        insist(f"DATA_LAKE_SYNC lines are missing ({audit.missing:,}): {error.message}")
    return found


def _client(settings: Settings) -> str:
    return f"client {settings.client_id}" if settings.client_id else "a client that is known by its token alone"


def _whole_urls(settings: Settings, urls: Sequence[str]) -> dict[str, str]:
    """The URLs that are given, by the names of their targets; of settings, those that can be a target's."""
    if urls:
        return {name_of(parts_of(url)): url for url in urls}
    whole = {}
    for url in settings.sync:
        with suppress(ConfigurationError):  # nothing can wait for it
            whole[name_of(parts_of(url))] = url
    return whole


def _lanes(
    settings: Settings, outbox: Outbox, chosen: Sequence[Destination], whole_urls: Mapping[str, str]
) -> tuple[list[Lane], dict[Destination, EbingestError]]:
    """The targets that can be served, and what is wrong with the others."""
    lanes: list[Lane] = []
    kept: dict[Destination, EbingestError] = {}
    for destination in chosen:
        try:
            lanes.append(_open(settings, outbox, destination, whole_urls))
        except (ConfigurationError, StateLockedError) as error:
            kept[destination] = error
    return lanes, kept


def _open(settings: Settings, outbox: Outbox, destination: Destination, whole_urls: Mapping[str, str]) -> Lane:
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
    if not outbox.hold(destination):
        raise StateLockedError(f"Another process hands over to {target}.", "Run ebingest sync again when it has ended.")
    try:
        return open_lane(settings, whole_urls.get(target, target), destination.content, destination.form)
    except ConfigurationError:
        outbox.let_go(destination, at_the_end=False)
        raise


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
