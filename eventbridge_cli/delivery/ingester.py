"""Post chunks until every event of each is delivered, refused or pending; obey the verdicts."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

import httpx
from msgspec import Struct, field
from msgspec.structs import replace

from eventbridge_cli.chunks import Chunk
from eventbridge_cli.delivery.backoff import GiveUp, Policy, backoff
from eventbridge_cli.delivery.client import REQUEST_ID, most_seconds, post
from eventbridge_cli.delivery.ending import Ending
from eventbridge_cli.delivery.oauth import GenesysAuth, Token
from eventbridge_cli.delivery.pacing import Pace
from eventbridge_cli.delivery.verdict import (
    BROKE_OFF,
    Accepted,
    Answer,
    Halve,
    NoAnswer,
    Renew,
    Retry,
    Sift,
    Stop,
    verdict,
)
from eventbridge_cli.errors import CredentialsError, EbingestError, PendingError
from eventbridge_cli.facts import Answered, Attempt, Fact, Receipt, Refusal, Retried, Split, Submitted
from eventbridge_cli.flow import Event

CLIENT_VERSION = "2.0.0"
"""The `X-Genesys-Platform-Client-Version` that the endpoint asks for."""

_STOPPED = "the run was stopped"
_TOKEN_GRACE = 1.0  # seconds: nothing would be sent with it, but all that wait are told why there is none
_BREAKER = 5  # chunks in a row that could not be delivered, after which the run ends


class _Part(Struct):
    """A chunk on its way, or what is left of one. `retry` says what to wait for before it is sent.

    `began` is when the first of its attempts did.
    """

    chunk: Chunk
    attempts: list[Attempt] = field(default_factory=list)
    began: float = float("inf")
    renewed: bool = False
    retry: Retry | None = None
    posted: bool = False

    @property
    def request_id(self) -> str:
        return self.chunk.request_id

    def rest(self, events: list[Event], retry: Retry | None = None) -> "_Part":
        """These events alone, in a request of their own, unless they are all; attempts and time go on counting."""
        chunk = Chunk.of(events)
        posted = self.posted and chunk.request_id == self.request_id
        return _Part(chunk, list(self.attempts), self.began, self.renewed, retry, posted)

    def halves(self) -> "list[_Part]":
        events, middle = list(self.chunk.events), len(self.chunk.events) // 2
        return [_Part(Chunk.of(half), renewed=self.renewed) for half in (events[:middle], events[middle:])]


class EventBridgeIngester:
    """Sends chunks to the ingest endpoint.

    Args:
        client: the pooled HTTP client, whose limits bound each POST.
        auth: gives the token.
        url: the ingest endpoint.
        note: is told every fact, as it happens: `Submitted`, `Answered`, `Retried`, `Split`, and in the
            end, once for each event, `Receipt`.
        on_stop: is called when the run ends early, to wake up whoever waits for chunks.
        policy: the bounds of retrying.
        pace: shared by all senders.
        grace: seconds for which requests in flight may go on once the run is stopped.
        clock: monotonic seconds.
        random: draws from 0 to 1.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        auth: GenesysAuth,
        url: str,
        *,
        note: Callable[[Fact], None],
        on_stop: Callable[[], None] = lambda: None,
        policy: Policy | None = None,
        pace: Pace | None = None,
        grace: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._auth = auth
        self._url = url
        self._note = note
        self._on_stop = on_stop
        self._policy = policy or Policy()
        self._pace = pace or Pace()
        self._timeout = most_seconds(client)
        self._ending = Ending(grace)
        self._clock = clock
        self._random = random
        self._limit: int | None = None
        self._failed_in_a_row = 0

    @property
    def stopped(self) -> EbingestError | None:
        """What ended the run early, if anything did."""
        return self._ending.error

    def stop(self, error: EbingestError) -> None:
        """End the run: requests in flight settle within the grace, nothing new is sent. The first error stands."""
        if self._ending.begin(error):
            self._pace.stop()
            self._on_stop()

    async def ingest(self, chunks: AsyncIterator[Chunk]) -> None:
        """Send all chunks; each is taken only when a sender is free.

        Raises:
            EbingestError: what ended the run early, after every chunk that was taken has its receipt.
        """
        async with asyncio.TaskGroup() as senders:
            lock = asyncio.Lock()
            for _ in range(self._pace.concurrency):
                senders.create_task(self._send(chunks, lock))
        if self.stopped is not None:
            raise self.stopped

    async def _send(self, chunks: AsyncIterator[Chunk], lock: asyncio.Lock) -> None:
        while self.stopped is None:
            try:
                async with lock:
                    chunk = await anext(chunks, None) if self.stopped is None else None
            except EbingestError as error:
                self.stop(error)
                return
            if chunk is None:
                return
            await self._settle(chunk)

    async def _settle(self, chunk: Chunk) -> None:
        """See a chunk through to the receipts of all its parts."""
        parts = deque([_Part(chunk)])
        while parts:
            part = parts.popleft()
            too_large = self._limit is not None and len(part.chunk.body) > self._limit
            if too_large and len(part.chunk.events) > 1:
                parts.extendleft(reversed(self._split(part, "http_413", self._limit)))
            else:
                parts.extendleft(reversed(await self._deliver(part)))
        self._pace.settled()

    async def _deliver(self, part: _Part) -> list[_Part]:
        """Post a part until it is settled. Gives the parts that must go again, in requests of their own."""
        if part.retry is not None and not await self._wait_to_retry(part, part.retry):
            return []
        rest: list[_Part] | None = None
        while rest is None:
            try:
                token = await self._token()
                admitted_at = await self._pace.admit()
                answer = None if token is None or admitted_at is None else await self._post(part, token)
            except EbingestError as error:
                self.stop(error)
                return self._leave_pending(part, error.message)
            if token is None or admitted_at is None or answer is None:
                return self._leave_pending(part, _STOPPED)
            rest = await self._obey(part, answer, token, admitted_at)
        return rest

    async def _token(self, failed: Token | None = None) -> Token | None:
        """The token, or another one than `failed`; None if there was no time left to get it.

        Raises:
            EbingestError: there is none.
        """
        if failed is None and (token := self._auth.current) is not None:
            return token
        with suppress(TimeoutError):
            async with self._ending.limited(grace=_TOKEN_GRACE):
                return await (self._auth.token() if failed is None else self._auth.renew(failed))
        return None

    async def _obey(
        self, part: _Part, answer: Answer | NoAnswer, token: Token, admitted_at: float
    ) -> list[_Part] | None:
        """Do what the answer calls for: None is to post the part once more, a list is what goes on instead of it."""
        decision = verdict(
            answer, part.chunk.events, url=self._url, now=time.time(), secret=token.value.get_secret_value()
        )
        attempt = part.attempts[-1]
        match decision:
            case Accepted():
                return self._accept(part, decision, attempt)
            case Halve(limit):
                return self._halve(part, limit, attempt)
            case Sift():
                return self._sift(part, decision, attempt)
            case Stop():
                self.stop(decision.error)
                return self._leave_pending(part, decision.error.message)
            case Renew():
                return None if await self._renew(part, token) else []
            case Retry():
                if decision.throttled:
                    self._pace.troubled(admitted_at)
                if decision.otherwise and any(each.outcome == attempt.outcome for each in part.attempts[:-1]):
                    return self._accept(part, decision.otherwise, attempt)
                return None if await self._wait_to_retry(part, decision) else []

    async def _post(self, part: _Part, token: Token) -> Answer | NoAnswer | None:
        """One attempt, on record before and after. None if it could not even be written down."""
        number, size = len(part.attempts) + 1, len(part.chunk.body)
        self._tell(Submitted(part.chunk, part.request_id, again=part.posted))
        part.posted = True
        began = self._clock()
        part.began = min(part.began, began)
        try:
            if self.stopped is not None:
                return None
            answer = await self._exchange(part, token)
        finally:
            self._pace.leave()
        part.attempts.append(_attempt(number, answer, self._clock() - began))
        self._tell(Answered(part.request_id, size, part.attempts[-1]))
        if isinstance(answer, Answer):
            self._pace.observe(answer.headers)
        return answer

    async def _exchange(self, part: _Part, token: Token) -> Answer | NoAnswer:
        headers = {
            "Authorization": f"Bearer {token.value.get_secret_value()}",
            "Content-Type": "application/json",
            "X-Genesys-Platform-Client-Version": CLIENT_VERSION,
            REQUEST_ID: part.request_id,
        }
        try:
            async with self._ending.limited(self._timeout):
                return await post(self._client, self._url, content=part.chunk.body, headers=headers)
        except TimeoutError:
            return NoAnswer("timeout" if self.stopped is None else "cut_off_at_the_end", sent=True)

    def _accept(self, part: _Part, accepted: Accepted, attempt: Attempt) -> list[_Part]:
        self._pace.accepted()
        events = part.chunk.events
        left_out = {*accepted.again, *accepted.refused, *accepted.unclear}
        delivered: Sequence[Event] = events
        if left_out:
            delivered = tuple(event for index, event in enumerate(events) if index not in left_out)
        self._failed_in_a_row = 0 if delivered else self._failed_in_a_row
        self._settled(
            part,
            delivered=delivered,
            refused=_refusals(events, accepted.refused, attempt),
            warning=accepted.warning,
        )
        parts = []
        if again := [events[index] for index in accepted.again]:
            parts.append(part.rest(again, Retry("not_accepted_yet")))
        if unclear := [events[index] for index in accepted.unclear]:
            parts += self._split(part.rest(unclear), "unclear_errors", None)
        return parts

    def _halve(self, part: _Part, limit: int | None, attempt: Attempt) -> list[_Part]:
        if len(part.chunk.events) == 1:
            self._refuse(part, {0: "too large for the server"}, attempt)
            return []
        size = len(part.chunk.body)
        self._limit = min(limit or size - 1, size - 1, self._limit or size)
        return self._split(part, "http_413", limit)

    def _sift(self, part: _Part, sift: Sift, attempt: Attempt) -> list[_Part]:
        events = part.chunk.events
        if sift.refused:
            self._refuse(part, sift.refused, attempt)
            rest = [event for index, event in enumerate(events) if index not in sift.refused]
            return [part.rest(rest)] if rest else []
        if len(events) == 1:
            self._refuse(part, {0: sift.message}, attempt)
            return []
        return self._split(part, f"http_{attempt.status}", None)

    def _split(self, part: _Part, cause: str, limit: int | None) -> list[_Part]:
        if len(part.chunk.events) == 1:
            return [part]
        halves = part.halves()
        self._tell(Split(part.request_id, tuple(half.request_id for half in halves), cause, limit))
        return halves

    async def _renew(self, part: _Part, token: Token) -> bool:
        """Get another token, once for each part. False if that is of no use: then the run ends."""
        error: EbingestError
        if part.renewed:
            error = CredentialsError(
                "The platform does not accept the token it has just issued (HTTP 401).",
                "Check that the token and the ingest endpoint belong to the same region, then run again.",
            )
        else:
            part.renewed = True
            try:
                renewed = await self._token(failed=token)
            except EbingestError as failure:
                error = failure
            else:
                if renewed is None:
                    self._leave_pending(part, _STOPPED)
                    return False
                self._tell_retry(part, 0.0)
                return True
        self.stop(error)
        self._leave_pending(part, error.message)
        return False

    async def _wait_to_retry(self, part: _Part, retry: Retry) -> bool:
        """Wait for the next attempt. False if there is none: then the part's events are pending."""
        if self.stopped is not None:
            self._leave_pending(part, _STOPPED)
            return False
        if retry.throttled and retry.retry_after is not None:
            self._pace.hold(retry.retry_after)
        delay = backoff(
            self._policy,
            attempts=len(part.attempts),
            elapsed=self._clock() - part.began,
            retry_after=retry.retry_after,
            random=(lambda: 0.0) if retry.at_once else self._random,
        )
        if isinstance(delay, GiveUp):
            if retry.otherwise is not None:
                self._accept(part, retry.otherwise, part.attempts[-1])
            else:
                self._give_up(part, delay, retry)
            return False
        self._tell_retry(part, delay)
        if not await self._pace.wait(delay):
            self._leave_pending(part, _STOPPED)
            return False
        return True

    def _tell_retry(self, part: _Part, delay: float) -> None:
        part.attempts[-1] = replace(part.attempts[-1], delay=delay)
        self._tell(Retried(part.request_id, part.attempts[-1]))

    def _give_up(self, part: _Part, reason: GiveUp, retry: Retry) -> None:
        cause = f"{retry.cause}: {reason.cause}"
        self._leave_pending(part, cause)
        self._failed_in_a_row += 1
        if reason.ends_run or self._failed_in_a_row >= _BREAKER:
            self.stop(
                PendingError(
                    f"The platform takes no events at present ({cause}).",
                    "Nothing is lost: run the same command again later, and it resumes.",
                )
            )

    def _leave_pending(self, part: _Part, cause: str) -> list[_Part]:
        self._settled(part, pending=part.chunk.events, cause=cause)
        return []

    def _refuse(self, part: _Part, refused: Mapping[int, str], attempt: Attempt) -> None:
        self._failed_in_a_row = 0
        self._settled(part, refused=_refusals(part.chunk.events, refused, attempt))

    def _settled(
        self,
        part: _Part,
        *,
        delivered: Sequence[Event] = (),
        refused: tuple[Refusal, ...] = (),
        pending: Sequence[Event] = (),
        cause: str = "",
        warning: str = "",
    ) -> None:
        self._tell(
            Receipt(
                part.chunk,
                part.request_id,
                delivered,
                refused,
                pending,
                tuple(part.attempts),
                cause,
                warning,
            )
        )

    def _tell(self, fact: Fact) -> None:
        """Note a fact. If it can't be written down the run ends, but no part loses its way for that."""
        try:
            self._note(fact)
        except EbingestError as error:
            self.stop(error)


def _refusals(events: Sequence[Event], refused: Mapping[int, str], attempt: Attempt) -> tuple[Refusal, ...]:
    return tuple(Refusal(events[index], refused[index], attempt.status or 0) for index in sorted(refused))


def _attempt(number: int, answer: Answer | NoAnswer, seconds: float) -> Attempt:
    if isinstance(answer, NoAnswer):
        return Attempt(number, answer.kind, seconds, unknown=answer.sent)
    outcome, unknown = f"http_{answer.status}", False
    if 200 <= answer.status < 300:  # noqa: PLR2004
        outcome, unknown = (BROKE_OFF, True) if answer.breaks_off else ("delivered", False)
    return Attempt(number, outcome, seconds, answer.status, answer.correlation_id, unknown)
