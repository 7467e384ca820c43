"""The worker that empties the outbox: its decisions, against an outbox and a target of the test's own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from lake_support import batch, entry

from eventbridge_cli.errors import StorageError, TargetError
from eventbridge_cli.facts import Batch, Destination, HandOver, OutboxEntry, SyncState
from eventbridge_cli.lake.worker import BATCH_ENTRIES, FLUSH_SECONDS, Worker

LAKE = Destination("file:///lake", "receipts", "ndjson")


class Box:
    """An outbox in memory."""

    def __init__(self, count: int = 0) -> None:
        self.entries: list[OutboxEntry] = list(map(entry, range(count)))
        self.unfinished: Batch | None = None
        self.let_go_at_the_end: bool | None = None
        self.is_free = True
        self.error: StorageError | None = None
        self.forgets = True

    def add(self, count: int = 1) -> None:
        self.entries += map(entry, range(len(self.entries), len(self.entries) + count))

    def waiting(self, destination: Destination) -> int:
        return len(self.entries)

    def hold(self, destination: Destination) -> bool:
        return self.is_free

    def let_go(self, destination: Destination, *, at_the_end: bool) -> None:
        self.let_go_at_the_end = at_the_end

    def take(self, destination: Destination, *, entries: int, size: int) -> Batch | None:
        if self.error is not None:
            raise self.error
        if self.unfinished is None and self.entries:
            self.unfinished = batch(*self.entries[:entries])
        return self.unfinished

    def done(self, destination: Destination, batch: Batch) -> None:
        assert batch == self.unfinished
        if not self.forgets:
            raise StorageError("the disk is full")
        self.unfinished = None
        del self.entries[: len(batch.entries)]


class Lake:
    """A target that raises what it is told to, once each, and then takes everything."""

    name = LAKE.target

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tried: list[str] = []
        self.took: list[Batch] = []
        self.hangs = False
        self.is_closed = False

    async def check(self) -> None:
        """All is well."""

    async def put(self, batch: Batch) -> None:
        self.tried.append(batch.name)
        if self.hangs:
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        self.took.append(batch)

    async def aclose(self) -> None:
        self.is_closed = True


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + seconds, future))
        await future

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for when, future in self.sleepers:
            if when <= self.now and not future.done():
                future.set_result(None)

    @property
    def asleep(self) -> list[float]:
        """When those who sleep wake up."""
        return [when for when, future in self.sleepers if not future.done()]


class Stage:
    """A worker with all that it needs. `delays` are what its backoff says in turn, then None."""

    def __init__(self, box: Box, lake: Lake, *delays: float) -> None:
        self.box, self.lake, self.clock = box, lake, Clock()
        self.told: list[HandOver] = []
        self.asked: list[tuple[int, float | None]] = []
        self.delays = list(delays)
        self.worker = Worker(
            lake, LAKE, box, note=self.told.append, backoff=self._backoff, clock=self.clock, sleep=self.clock.sleep
        )

    def _backoff(self, tries: int, _elapsed: float, retry_after: float | None) -> float | None:
        self.asked.append((tries, retry_after))
        return self.delays.pop(0) if self.delays else None

    @property
    def states(self) -> list[tuple[SyncState, int]]:
        return [(fact.state, fact.entries) for fact in self.told]

    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.box.add()
            self.worker.ring()


async def until(condition: Callable[[], object]) -> None:
    """Let the worker and its threads go on until they have come so far."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for is the worker's own business
            await asyncio.sleep(0.001)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_enough_entries_are_handed_over_at_once() -> None:
    """A full batch does not wait for time to pass; what does not fill another one does."""

    async def scene() -> None:
        stage = Stage(Box(), Lake())
        stage.worker.start()
        stage.deliver(BATCH_ENTRIES + 5)
        await until(lambda: stage.clock.asleep and len(stage.box.entries) == 5)
        assert [len(each.entries) for each in stage.lake.took] == [BATCH_ENTRIES]
        await stage.worker.finish(30)
        assert stage.states == [(SyncState.SYNCED, BATCH_ENTRIES), (SyncState.SYNCED, 5)]

    play(scene())


def test_a_few_entries_go_after_some_seconds() -> None:
    """They wait for others for as long as the worker is told to, and no longer."""

    async def scene() -> None:
        stage = Stage(Box(), Lake())
        stage.worker.start()
        stage.deliver(3)
        await until(lambda: stage.clock.asleep)
        stage.clock.advance(FLUSH_SECONDS / 2)
        await asyncio.sleep(0.01)
        assert not stage.lake.tried
        stage.clock.advance(FLUSH_SECONDS / 2)
        await until(lambda: stage.told)
        assert stage.states == [(SyncState.SYNCED, 3)]
        await stage.worker.finish(30)

    play(scene())


def test_what_earlier_runs_left_goes_too() -> None:
    """All of it has gone when the worker has finished, in batches of the size, and the target is closed."""

    async def scene() -> None:
        stage = Stage(Box(2 * BATCH_ENTRIES + 7), Lake())
        stage.worker.start()
        await stage.worker.finish(30)
        assert [len(each.entries) for each in stage.lake.took] == [BATCH_ENTRIES, BATCH_ENTRIES, 7]
        assert not stage.box.entries
        assert stage.lake.is_closed
        assert stage.box.let_go_at_the_end is False

    play(scene())


def test_ringing_never_waits() -> None:
    """However often it rings before anybody hears it, nothing blocks, and nothing is forgotten."""

    async def scene() -> None:
        stage = Stage(Box(), Lake())
        stage.worker.start()
        stage.deliver(25 * BATCH_ENTRIES)
        await stage.worker.finish(30)
        assert sum(len(each.entries) for each in stage.lake.took) == 25 * BATCH_ENTRIES

    play(scene())


def test_what_passes_is_tried_again() -> None:
    """The same batch goes again after the delay; each try is told as what it is."""

    async def scene() -> None:
        stage = Stage(Box(1), Lake(TargetError("down"), TargetError("still down", retry_after=9.0)), 4.0, 9.0)
        stage.worker.start()
        await until(lambda: stage.clock.asleep)
        stage.clock.advance(FLUSH_SECONDS)
        await until(lambda: stage.clock.asleep == [FLUSH_SECONDS + 4])
        stage.clock.advance(4)
        await until(lambda: len(stage.lake.tried) == 2 and stage.clock.asleep)
        stage.clock.advance(9)
        await until(lambda: not stage.box.entries)
        assert stage.asked == [(1, None), (2, 9.0)]
        assert len(set(stage.lake.tried)) == 1
        assert [(fact.state, fact.message) for fact in stage.told] == [
            (SyncState.RETRYING, "down"),
            (SyncState.RETRYING, "still down"),
            (SyncState.SYNCED, ""),
        ]
        await stage.worker.finish(30)

    play(scene())


def test_the_end_of_the_run_cuts_a_wait_short() -> None:
    """There is one more try at once, and what fails then is pending, with the reason."""

    async def scene() -> None:
        stage = Stage(Box(BATCH_ENTRIES), Lake(TargetError("down"), TargetError("down")), 25.0)
        stage.worker.start()
        await until(lambda: stage.clock.asleep)
        await stage.worker.finish(30)
        assert len(stage.lake.tried) == 2
        assert stage.states == [(SyncState.RETRYING, BATCH_ENTRIES), (SyncState.PENDING, BATCH_ENTRIES)]
        assert stage.told[-1].message == "down"
        assert stage.told[-1].batch is None

    play(scene())


def test_a_retry_after_beyond_the_grace_ends_it_at_once() -> None:
    """A target that asks to be left alone for longer than there is time is left alone."""

    async def scene() -> None:
        stage = Stage(Box(1), Lake(TargetError("busy", retry_after=60.0)), 60.0)
        stage.worker.start()
        await stage.worker.finish(30)
        assert len(stage.lake.tried) == 1
        assert stage.states == [(SyncState.PENDING, 1)]

    play(scene())


def test_what_does_not_pass_ends_it() -> None:
    """A refused batch is failed, the rest pending, both with a way out; nothing goes twice or is deleted."""

    async def scene() -> None:
        stage = Stage(Box(BATCH_ENTRIES + 20), Lake(TargetError("no such bucket", "Make it.", permanent=True)))
        stage.worker.start()
        await until(lambda: stage.told)
        stage.deliver(BATCH_ENTRIES)
        await stage.worker.finish(30)
        assert len(stage.lake.tried) == 1
        assert stage.states == [(SyncState.FAILED, BATCH_ENTRIES), (SyncState.PENDING, BATCH_ENTRIES + 20)]
        assert {fact.message for fact in stage.told} == {"no such bucket Make it."}
        assert len(stage.box.entries) == 2 * BATCH_ENTRIES + 20

    play(scene())


def test_a_target_that_hangs_is_left_behind() -> None:
    """The worker ends when its grace is over, and says why; others are kept out for as long as the put may go on."""

    async def scene() -> None:
        stage = Stage(Box(3), Lake())
        stage.lake.hangs = True
        stage.worker.start()
        await stage.worker.finish(0.1)
        assert stage.states == [(SyncState.PENDING, 3)]
        assert stage.told[0].message == "the target had not answered when time was up"
        assert stage.box.let_go_at_the_end is True
        assert stage.lake.is_closed

    play(scene())


def test_somebody_in_a_hurry_waits_for_nothing() -> None:
    """Hurry ends a grace that would last for an hour."""

    async def scene() -> None:
        stage = Stage(Box(3), Lake())
        stage.lake.hangs = True
        stage.worker.start()
        finishing = asyncio.create_task(stage.worker.finish(3600))
        await until(lambda: stage.lake.tried)
        stage.worker.hurry()
        await finishing
        assert stage.states == [(SyncState.PENDING, 3)]

    play(scene())


@pytest.mark.parametrize(
    ("box_error", "lake_error", "message"),
    [
        (StorageError("The disk is full.", "Free some."), None, "The disk is full. Free some."),
        (None, ZeroDivisionError("customer data"), "ZeroDivisionError, which is a bug of ebingest; please report it"),
    ],
)
def test_nothing_reaches_the_run(box_error: StorageError | None, lake_error: Exception | None, message: str) -> None:
    """Neither a broken outbox nor a bug raises: the entries are pending, and why is said without quoting data."""

    async def scene() -> None:
        stage = Stage(Box(3), Lake(*filter(None, [lake_error])))
        stage.box.error = box_error
        stage.worker.start()
        await stage.worker.finish(30)
        assert [(fact.state, fact.entries, fact.message) for fact in stage.told] == [(SyncState.PENDING, 3, message)]

    play(scene())


def test_what_can_not_be_forgotten_counts_once() -> None:
    """What has arrived and stays in the outbox is synced, and not pending; that it goes again is said."""

    async def scene() -> None:
        stage = Stage(Box(BATCH_ENTRIES + 20), Lake())
        stage.box.forgets = False
        stage.worker.start()
        await stage.worker.finish(30)
        assert stage.states == [
            (SyncState.SYNCED, BATCH_ENTRIES),
            (SyncState.RETRYING, BATCH_ENTRIES),
            (SyncState.PENDING, 20),
        ]
        assert "again, as the same batch: the disk is full" in stage.told[1].message
        assert stage.told[0].batch == stage.told[1].batch

    play(scene())


def test_another_process_is_left_to_it() -> None:
    """While another one empties the outbox nothing is taken; once it has ended, the rest is."""

    async def scene() -> None:
        stage = Stage(Box(BATCH_ENTRIES), Lake())
        stage.box.is_free = False
        stage.worker.start()
        await until(lambda: stage.clock.asleep)
        assert not stage.lake.tried
        stage.box.is_free = True
        stage.clock.advance(FLUSH_SECONDS)
        await until(lambda: stage.told)
        assert stage.states == [(SyncState.SYNCED, BATCH_ENTRIES)]
        await stage.worker.finish(30)

    play(scene())
