"""What an answer means: pure functions from what the server said to what is to be done about it."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from msgspec import Struct, field

from eventbridge_cli.errors import CredentialsError, EbingestError, EndpointError
from eventbridge_cli.excerpt import bare, excerpt
from eventbridge_cli.flow import Event
from eventbridge_cli.transport.message import retry_after

_LIMIT = re.compile(r"Maximum bytes:\s*([0-9]{1,12})(?![0-9])", re.IGNORECASE)
_MOST_OF_AN_ID = 200  # characters
_ABOUT_THE_EVENTS = {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
NOT_THERE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}
"""What a server answers where nothing of the kind is."""

BROKE_OFF = "answer_broke_off"
"""What came of a POST whose 2xx came in half."""

_THROTTLED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class Answer(Struct, frozen=True, dict=True):
    """What came back: the status, the headers (names in lower case) and the start of the body.

    One that is not `whole` broke off, or did not come to its end in time.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True

    @property
    def correlation_id(self) -> str:
        """The platform's own id of the exchange, from the header or the error body."""
        context = self.document.get("contextId")
        found = self.headers.get("inin-correlation-id") or (context if isinstance(context, str) else "")
        return found[:_MOST_OF_AN_ID]

    @property
    def breaks_off(self) -> bool:
        """Whether it ends before it says anything."""
        return not self.whole and not self.document and self.body.strip() != b"{}"

    @cached_property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object, empty if it is none."""
        try:
            document = _json(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except UnicodeDecodeError:  # what matters in an answer is ASCII, whatever its messages are
        return json.loads(body.decode(errors="replace"))


class NoAnswer(Struct, frozen=True):
    """Nothing came back. `sent` tells whether the server may have got the request all the same.

    A connection that is `stale` had been kept and ended before a byte came: most likely it was closed already.
    """

    kind: str
    sent: bool
    stale: bool = False


class Accepted(Struct, frozen=True):
    """Delivered, but for the events at `refused` (index to message) and at `again`, which are sent again.

    Of those at `unclear` some are bad: it takes halving to find them.
    """

    refused: Mapping[int, str] = field(default_factory=dict)
    again: tuple[int, ...] = ()
    unclear: tuple[int, ...] = ()
    warning: str = ""


class Retry(Struct, frozen=True):
    """Send the same again; `throttled` asks every sender to hold back, for `retry_after` seconds if given.

    Where it is to go `at_once`, there is nothing to wait for. If it can't be sent again, or the same comes of it once
    more, the answer counts for `otherwise`.
    """

    cause: str
    retry_after: float | None = None
    throttled: bool = False
    at_once: bool = False
    otherwise: Accepted | None = None


class Renew(Struct, frozen=True):
    """The token was not accepted."""


class Halve(Struct, frozen=True):
    """Too large for the server, which takes at most `limit` bytes if it said so."""

    limit: int | None = None


class Sift(Struct, frozen=True):
    """Some events are bad: those at `refused` if it names any, otherwise it takes halving to find them."""

    refused: Mapping[int, str]
    message: str


class Stop(Struct, frozen=True):
    """No request can succeed: the run ends."""

    error: EbingestError


Verdict = Accepted | Retry | Renew | Halve | Sift | Stop


def verdict(answer: Answer | NoAnswer, events: Sequence[Event], *, url: str, now: float, secret: str = "") -> Verdict:
    """Decide what to do about an answer.

    Args:
        answer: what came back, or that nothing did.
        events: the events of the request, in their order.
        url: where it was sent, for messages.
        now: the wall clock in seconds since 1970, to read a `Retry-After` that is a date, in an answer without one.
        secret: what no message may quote, besides the events.
    """
    if isinstance(answer, NoAnswer):
        return Retry(answer.kind, throttled=answer.kind == "timeout", at_once=answer.stale)
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _accepted(answer, events, secret)
    if status == HTTPStatus.UNAUTHORIZED:
        return Renew()
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        limit = _LIMIT.search(answer.body.decode(errors="replace"))
        return Halve(int(limit[1]) if limit else None)
    if status in _ABOUT_THE_EVENTS:
        return _about_the_events(answer, events, secret)
    server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    if status in _PASSING or server_error:
        wait = retry_after(answer.headers, now)
        return Retry(f"http_{status}", wait, throttled=status in _THROTTLED)
    return Stop(_stop(answer, url, excerpt(answer.body, sent=[secret.encode(), *(event.body for event in events)])))


def _about_the_events(answer: Answer, events: Sequence[Event], secret: str) -> Sift | Retry:
    """Nothing was taken. An event is bad only if the server names it alone; that it may be retried says it is not."""
    named, _, _ = _named(answer.document.get("errors"), events, secret)
    refused = {index: error.message for index, error in named.items() if error.alone and not error.again}
    if not refused and any(error.again for error in named.values()):
        return Retry(f"http_{answer.status}")
    return Sift(refused, excerpt(answer.body, sent=[secret.encode()]))


def _accepted(answer: Answer, events: Sequence[Event], secret: str) -> Accepted | Retry:
    if answer.breaks_off:  # it may have been about to name errors
        return Retry(BROKE_OFF, otherwise=Accepted(warning="the answer broke off"))
    document = answer.document
    if answer.status == HTTPStatus.NO_CONTENT or not answer.body.strip():
        return Accepted(warning="there was nothing to read in the answer")
    if not document and answer.body.strip() != b"{}":
        return Accepted(warning="the answer was not a JSON object")
    named, strangers, odd = _named(document.get("errors", []), events, secret)
    warning = "the answer's errors[] could not be read" if odd else ""
    if strangers:
        warning = "the answer's errors[] name events that were not sent"
    return Accepted(
        {index: error.message for index, error in named.items() if error.alone and not error.again},
        tuple(sorted(index for index, error in named.items() if error.again)),
        tuple(sorted(index for index, error in named.items() if not error.alone and not error.again)),
        warning,
    )


class _Error(NamedTuple):
    """What is said of an event: whether it may be sent again, and whether the server means it and no other."""

    message: str
    again: bool
    alone: bool


def _named(errors: object, events: Sequence[Event], secret: str) -> tuple[dict[int, _Error], int, bool]:
    """The events that `errors` names.

    Also how many entries name none of `events`, and whether some of it is no list of objects. An
    `eventId` is an interaction id: where several events have it, none of them is named alone, nor where `index` points
    to another one.
    """
    entries = [] if errors is None else errors
    if not isinstance(entries, list):
        return {}, 0, True
    readable = [error for error in entries if isinstance(error, dict)]
    named: dict[int, _Error] = {}
    strangers = 0
    for error in readable:
        index, event_id = error.get("index"), error.get("eventId")
        indices = [i for i, event in enumerate(events) if event.interaction_id == event_id]
        if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(events):
            indices = [index] if index in indices or not indices else [index, *indices]
        strangers += not indices
        message = excerpt(str(error.get("message", "")).encode(errors="replace"), sent=[secret.encode()])
        for each in indices:
            so_far = named.get(each, _Error("", again=True, alone=False))
            again = error.get("retryable") is True and so_far.again
            named[each] = _Error(message, again, so_far.alone or len(indices) == 1)
    return named, strangers, len(readable) < len(entries)


def _stop(answer: Answer, url: str, said: str) -> EbingestError:
    """The error; what the server said stands with the remedy, since the error's message goes to the audit file."""
    quoted = f" The answer says: {said}" if said else ""
    status, url = answer.status, bare(url)
    if status == HTTPStatus.FORBIDDEN:
        return CredentialsError(
            "The platform does not let this client send events (HTTP 403).",
            "Give the OAuth client a role with the permission for the scope eventbridge:ingest, "
            f"then run again.{quoted}",
        )
    if status in NOT_THERE:
        return EndpointError(
            f"There is no ingest endpoint at {url} (HTTP {status}).",
            f"Check GENESYS_ENV, or give the address as GENESYS_INGEST_URL, then run again.{quoted}",
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return EndpointError(
            f"{url} answers with a redirect (HTTP {status}), which is not followed.",
            "Give the final address as GENESYS_INGEST_URL, then run again.",
        )
    return EndpointError(
        f"{url} does not take this tool's requests (HTTP {status}).",
        f"Check that GENESYS_INGEST_URL is the ingest endpoint, then run again.{quoted}",
    )
