"""A model of platform, ledger and crashes: whatever happens in between, resuming ends with every event taken once."""

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support import line

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.delivery.backoff import Policy
from eventbridge_cli.delivery.ingester import EventBridgeIngester
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth
from eventbridge_cli.delivery.pacing import Pace
from eventbridge_cli.errors import EbingestError
from eventbridge_cli.facts import Fact, Receipt, gathered
from eventbridge_cli.intake.dedupe import skip_delivered
from eventbridge_cli.intake.key import Key
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import Source
from eventbridge_cli.ledger.book import Ledger, Places, opened
from eventbridge_cli.ledger.history import verify
from eventbridge_cli.secret import Secret


class Crash(BaseException):
    """The process is gone."""


class Platform:
    """Takes each body once for its request id; goes wrong as it is told."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[str]] = {}
        self.took: dict[str, set[str]] = {}
        self.faults: list[str] = []
        self.posts = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 3600})
        self.posts += 1
        fault = self.faults.pop() if self.faults else ""
        if fault == "dropped":
            raise httpx.ReadError("cut")
        if fault.isdecimal():
            return httpx.Response(int(fault), headers={"retry-after": "1"})
        events = [event["interactionId"] for event in json.loads(request.content)["events"]]
        known = self.bodies.setdefault(request.headers["x-request-id"], events)
        assert known == events, "one request id, two bodies"
        took = self.took.setdefault(request.headers["x-request-id"], set())
        later = [index for index, event in enumerate(events) if event not in took and fault == "partly" and index % 2]
        took |= {event for index, event in enumerate(events) if index not in later}
        if fault == "lost":
            raise httpx.ReadError("cut")
        errors = [{"index": index, "message": "later", "retryable": True} for index in later]
        return httpx.Response(200, json={"errors": errors})

    @property
    def taken(self) -> Counter[str]:
        return Counter(event for events in self.took.values() for event in events)


class Resuming(RuleBasedStateMachine):
    """Runs over one input that fail, crash and resume."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place = Path(self.folder.name)
        self.platform = Platform()
        self.runs = 0
        self.claimed: set[str] = set()

    @initialize(count=st.integers(0, 40), seed=st.integers())
    def make_input(self, count: int, seed: int) -> None:
        self.count = count
        texts = [line(number) for number in range(count)]
        random.Random(seed).shuffle(texts)
        (self.place / "events.ndjson").write_bytes(b"\n".join(texts + texts[:3]))

    @rule(
        faults=st.lists(st.sampled_from(["lost", "lost", "partly", "dropped", "503", "429", "401"]), max_size=12),
        crash=st.none() | st.integers(0, 40),
        half=st.booleans(),
        seed=st.integers(),
    )
    def run(self, faults: list[str], crash: int | None, half: bool, seed: int) -> None:  # noqa: FBT001 - drawn
        """A run with faults, which crashes at the fact of that number: before it is entered, or half-way."""
        self.platform.faults = list(faults)
        self.go(crash, seed, half=half)
        self.platform.faults = []

    def go(self, crash: int | None, seed: int, *, half: bool = False) -> None:
        self.runs += 1
        places = Places(
            state=self.place / "state",
            locks=self.place / "locks",
            audit=self.place / "audit.jsonl",
            dead_letters=self.place / "letters.ndjson",
        )
        with opened(
            f"run-{self.runs}",
            places,
            "scope",
            remember_days=7,
            lock_wait=0,
            warn=lambda _: None,
            observe=lambda _: None,
        ) as ledger:
            ledger.begin()
            try:
                asyncio.run(self.deliver(ledger, crash, random.Random(seed), half=half))
                error = None
            except EbingestError as stopped:
                error = stopped
            except (Crash, BaseExceptionGroup):
                return
            summary = ledger.finish(error)
            if error is None and not summary.counts["pending"]:
                assert self.platform.taken.total() >= self.count

    async def deliver(self, ledger: Ledger, crash: int | None, rng: random.Random, *, half: bool) -> None:
        now, facts = [0.0], [0]

        async def sleep(seconds: float) -> None:
            now[0] += seconds
            await asyncio.sleep(0)

        def note(fact: Fact) -> None:
            facts[0] += 1
            if facts[0] == crash:
                if half and isinstance(fact, Receipt):  # the keys are committed, the audit line is not
                    ledger._secure(fact)
                raise Crash
            ledger.note(fact)

        async def chunks() -> AsyncIterator[Chunk]:
            intake = Intake(sources=(Source("events", self.place / "events.ndjson"),), key=Key(), chunk_events=4)
            for item in gathered(skip_delivered(intake.chunks(), ledger.delivered)):
                if isinstance(item, Chunk):
                    ledger.tally.came_in(item.events)
                    yield item
                else:
                    ledger.note(item)

        async with httpx.AsyncClient(transport=httpx.MockTransport(self.platform)) as client:
            who = Credentials("https://server/token", "id", Secret("secret"), "scope", "region")
            ingester = EventBridgeIngester(
                client,
                GenesysAuth(client, who, clock=lambda: now[0], sleep=sleep),
                "https://server/ingest",
                note=note,
                policy=Policy(max_attempts=2),
                pace=Pace(3, clock=lambda: now[0], sleep=sleep, random=rng.random),
                clock=lambda: now[0],
                random=rng.random,
            )
            await ingester.ingest(chunks())

    @invariant()
    def nothing_is_claimed_that_was_not_taken(self) -> None:
        """What the audit file says is delivered, the platform has; and the file is whole."""
        audit = self.place / "audit.jsonl"
        if not audit.exists():
            return
        for text in audit.read_bytes().splitlines():
            entry = json.loads(text)
            if entry["event"] == "INGESTION_SUCCEEDED":
                self.claimed |= {interaction for _, interaction, _ in entry["records"]}
        assert self.claimed <= self.platform.taken.keys()
        assert list(verify(audit)) == []

    def teardown(self) -> None:
        """A last run without faults: every event was taken, none under two request ids, and one more sends nothing."""
        try:
            if self.runs:
                self.settle()
        finally:
            self.folder.cleanup()

    def settle(self) -> None:
        self.go(None, 0)
        assert self.platform.taken == Counter(f"interaction-{number}" for number in range(self.count))
        posts = self.platform.posts
        self.go(None, 0)
        assert self.platform.posts == posts, "what was delivered is remembered"


TestResuming = Resuming.TestCase
TestResuming.settings = settings(
    deadline=None, max_examples=100, stateful_step_count=6, suppress_health_check=list(HealthCheck)
)
