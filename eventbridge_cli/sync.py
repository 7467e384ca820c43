"""What is delivered, handed to the data lake beside a run: where settings, outbox and targets meet."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from eventbridge_cli.delivery.backoff import GiveUp, Policy, backoff
from eventbridge_cli.errors import ConfigurationError, StorageError
from eventbridge_cli.facts import Destination, HandOver
from eventbridge_cli.lake.names import by_name
from eventbridge_cli.lake.opening import open_target
from eventbridge_cli.lake.target import Content, Format, Target
from eventbridge_cli.lake.worker import Worker
from eventbridge_cli.ledger.outbox import Outbox
from eventbridge_cli.settings import Settings

_CANCEL_SECONDS = 1.0
_FOR_AS_LONG_AS_IT_TAKES = Policy(max_attempts=2**31, max_elapsed=float("inf"), max_wait=float("inf"))


class Lane(Struct, frozen=True):
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
        kafka=settings.kafka() if url.lower().startswith("kafka:") else None,
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


def lanes_for_the_rest(settings: Settings, lanes: Sequence[Lane], database: Path) -> tuple[Lane, ...]:
    """The same targets, for what earlier runs have left for them as other content or in another form.

    What can't be opened, as without its library, is left to `ebingest sync`.

    Raises:
        StorageError: the outbox can't be read.
    """
    if not lanes:
        return ()
    urls = by_name(settings.sync)
    own = {lane.destination for lane in lanes}
    with Outbox(database) as outbox:
        waiting = outbox.destinations()
    found = []
    for each in waiting:
        if each.target in urls and each not in own:
            with suppress(ConfigurationError):
                found.append(open_lane(settings, urls[each.target], each.content, each.form))
    return tuple(found)


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
        self._hurry = asyncio.Event()
        self._workers: list[Worker] = []
        self._around = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._lanes or not await self._check():
            return self
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
        """Somebody wants the process to end: give no grace, and don't wait for targets that are still being tried."""
        self._grace = 0.0
        self._hurry.set()
        for worker in self._workers:
            worker.hurry()

    async def _check(self) -> bool:
        """Try all targets at once, and raise for the first that would not do. False if there is no time for that."""
        checks = asyncio.gather(*(lane.target.check() for lane in self._lanes), return_exceptions=True)
        hurry = asyncio.create_task(self._hurry.wait())
        either: set[asyncio.Future[Any]] = {checks, hurry}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        errors = list(filter(None, checks.result())) if checks.done() else []
        if checks.done() and not errors:
            return True
        checks.cancel()
        await asyncio.wait({checks}, timeout=_CANCEL_SECONDS)
        await asyncio.gather(*(lane.target.aclose() for lane in self._lanes))
        if errors:
            raise errors[0]
        return False

    async def _finish(self) -> None:
        await asyncio.gather(*(worker.finish(self._grace) for worker in self._workers))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.hurry()
        await self._around.aclose()
