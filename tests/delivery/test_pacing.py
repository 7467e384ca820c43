"""One pace for all, on a clock that jumps."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable

from eventbridge_cli.delivery.pacing import Pace


class Time:
    """A clock that jumps to the next moment for which anybody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.now + seconds, id(future), future))
        await future

    async def run(self, work: Awaitable[object]) -> None:
        """Run `work` to its end, jumping whenever nothing else is to be done."""
        task = asyncio.ensure_future(work)
        idle = 0
        while not task.done():
            await asyncio.sleep(0)
            idle += 1
            if idle > 20 and self._waiting:
                then, _, future = heapq.heappop(self._waiting)
                if not future.cancelled():
                    self.now = max(self.now, then)
                    future.set_result(None)
                idle = 0
        await task


def with_time(scenario: Callable[[Time], Awaitable[None]]) -> None:
    async def main() -> None:
        time = Time()
        await time.run(scenario(time))

    asyncio.run(main())


def pace_of(time: Time, concurrency: int = 5, rate: float | None = None) -> Pace:
    return Pace(concurrency, rate=rate, clock=time.clock, sleep=time.sleep, random=lambda: 0.5)


def test_the_first_request_goes_alone() -> None:
    """One request is out until one is accepted; then the full width is open."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        assert pace.width == 1
        await pace.admit()
        waiting = asyncio.ensure_future(pace.admit())
        await time.sleep(1)
        assert not waiting.done()
        pace.accepted()
        pace.leave()
        assert await waiting is not None
        assert pace.width == 5

    with_time(scenario)


def test_trouble_halves_and_success_widens() -> None:
    """The width goes 5, 3, 2, 1 with trouble, once for each burst, and back to 5 with success."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        pace.accepted()
        widths = []
        for _ in range(4):
            time.now += 1
            burst = time.now
            time.now += 1
            pace.troubled(burst)
            pace.troubled(burst)
            widths.append(pace.width)
        assert widths == [3, 2, 1, 1]
        for _ in range(10):
            pace.accepted()
        assert pace.width == 5

    with_time(scenario)


def test_a_hold_holds_everybody() -> None:
    """Nobody is admitted before a hold is over; a shorter one does not shorten it."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        pace.accepted()
        pace.hold(10)
        pace.hold(1)
        turns = await asyncio.gather(*(pace.admit() for _ in range(5)))
        assert all(turn is not None and turn >= 10 for turn in turns)

    with_time(scenario)


def test_the_rate_spaces_requests() -> None:
    """With a rate of 4 a second ten requests take at least 2.25 s."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time, rate=4)
        pace.accepted()
        for _ in range(10):
            await pace.admit()
            pace.leave()
        assert time.now >= 2.25

    with_time(scenario)


def test_stop_ends_every_wait() -> None:
    """Whoever waits for a turn or a delay is told at once that there is none."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        pace.hold(1000)
        turn, delay = asyncio.ensure_future(pace.admit()), asyncio.ensure_future(pace.wait(1000))
        await asyncio.sleep(0)
        pace.stop()
        assert await turn is None
        assert await delay is False
        assert time.now < 1000

    with_time(scenario)


def test_a_quota_of_300_a_minute_is_used_and_never_overdrawn() -> None:
    """Ten minutes of five senders under truthful headers: no 429, and at least 95 % of the quota is used."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        sent: list[float] = []
        refused = 0

        async def sender() -> None:
            nonlocal refused
            while time.now < 600:
                await pace.admit()
                window = time.now // 60 * 60
                count = sum(each >= window for each in sent) + 1
                refused += count > 300
                sent.append(time.now)
                await time.sleep(0.05)
                pace.leave()
                headers = {"allowed": 300, "count": count, "reset": window + 60 - time.now}
                pace.observe({f"inin-ratelimit-{name}": str(value) for name, value in headers.items()})
                pace.accepted()

        await asyncio.gather(*(sender() for _ in range(5)))
        assert refused == 0
        assert len([each for each in sent if each < 600]) >= 0.95 * 3000

    with_time(scenario)


def test_nonsense_in_the_quota_headers_is_ignored() -> None:
    """Headers that are missing, no numbers or not in the future change nothing."""

    async def scenario(time: Time) -> None:
        pace = pace_of(time)
        pace.accepted()
        huge = "1" + 400 * "0"
        for allowed, count, reset in [
            *(("x", "1", "1"), ("300", "300", "-5"), ("300", "300", "nan"), ("300", "", "inf")),
            *((huge, "0", "1"), ("300", huge, "1"), (huge, huge[:-1], "10"), ("300", "300", huge)),
        ]:
            pace.observe(
                {
                    "inin-ratelimit-allowed": allowed,
                    "inin-ratelimit-count": count,
                    "inin-ratelimit-reset": reset,
                }
            )
        pace.observe({})
        await pace.admit()
        assert time.now == 0

    with_time(scenario)
