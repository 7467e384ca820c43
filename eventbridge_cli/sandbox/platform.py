"""The stand-in platform without HTTP: tokens, quota, faults, and what was accepted. Every decision is made here."""

import random
import secrets
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from eventbridge_cli.sandbox.answers import Reply, accepted, error, event_error, oauth_error
from eventbridge_cli.sandbox.events import EnvelopeError, MalformedError, Posted, read_events, schema_error
from eventbridge_cli.sandbox.faults import DROPPED, LOST, REFUSED, RETRYABLE, Dice, Fault
from eventbridge_cli.sandbox.quota import Quota

SCOPE = "eventbridge:ingest"


class Rules(Struct, frozen=True, kw_only=True):
    """How the stand-in behaves. Sizes in bytes, times in seconds; `rate` is in requests a minute."""

    client_id: str
    client_secret: str
    max_bytes: int = 500_000
    max_events: int = 100
    latency: float = 0.0
    rate: int | None = None
    token_lifetime: int = 3600
    faults: tuple[Fault, ...] = ()
    seed: int = 0


class _Token(Struct, frozen=True):
    expires_at: float
    scopes: frozenset[str]


class _Answered(Struct, frozen=True):
    """What a request id was answered, and to which body."""

    digest: bytes
    reply: Reply


class Platform:
    """The state of the stand-in.

    Args:
        rules: how it behaves.
        clock: monotonic seconds.
        rng: the dice for faults; those of the rules' seed if not given.
    """

    def __init__(
        self, rules: Rules, clock: Callable[[], float] = time.monotonic, rng: random.Random | None = None
    ) -> None:
        self.rules = rules
        self._clock = clock
        self._dice = Dice(rules.faults, rng or random.Random(rules.seed))  # noqa: S311 - faults, not secrets
        self._quota = Quota(rules.rate) if rules.rate else None
        self._tokens: dict[str, _Token] = {}
        self._answers: dict[str, _Answered] = {}
        self.events: list[bytes] = []
        self.statuses: Counter[str] = Counter()
        self.replayed = 0
        self.largest_events = 0
        self.largest_bytes = 0
        self.in_flight = 0
        self.most_in_flight = 0

    def token(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a token request (RFC 6749, section 4.4). A request without a scope gets a token without one."""
        form = parse_qs(body.decode(errors="replace"))
        media = headers.get("content-type", "").partition(";")[0].strip()
        if media != "application/x-www-form-urlencoded":
            return oauth_error(400, "invalid_request", "the body must be application/x-www-form-urlencoded")
        if "grant_type" not in form or any(len(values) > 1 for values in form.values()):
            return oauth_error(400, "invalid_request", "grant_type is missing, or a parameter came twice")
        if form["grant_type"] != ["client_credentials"]:
            return oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if _basic(headers.get("authorization", "")) != (self.rules.client_id, self.rules.client_secret):
            return oauth_error(401, "invalid_client", "client not found or invalid client secret")
        scopes = frozenset(form.get("scope", [""])[0].split())
        if not scopes <= {SCOPE}:
            return oauth_error(400, "invalid_scope", "the client does not have this scope")
        token = secrets.token_urlsafe(48)
        self._tokens[token] = _Token(self._clock() + self.rules.token_lifetime, scopes)
        document = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self.rules.token_lifetime,
            "scope": " ".join(scopes),
        }
        return Reply(200, document, {"cache-control": "no-store"})

    def ingest(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer an ingest request, with the quota headers if there is a quota."""
        token = _bearer(headers.get("authorization", ""))
        reply = self._check_token(token)
        quota: dict[str, str] = {}
        if reply is None and self._quota is not None:
            standing = self._quota.count(token, self._clock())
            quota = standing.headers
            if standing.over:
                message = f"Rate limit exceeded the maximum. Retry the request in [{standing.reset}] seconds"
                reply = error(429, "too.many.requests", message, headers={"retry-after": str(standing.reset)})
        reply = reply or self._answer(headers, body)
        correlation = {"inin-correlation-id": reply.document.get("contextId") or str(uuid4())}
        return replace(reply, headers={**correlation, **quota, **reply.headers})

    def stats(self) -> dict[str, Any]:
        """What was asked of the stand-in so far."""
        return {
            "requests": dict(self.statuses),
            "tokens": len(self._tokens),
            "events": len(self.events),
            "request_ids": len(self._answers),
            "replayed": self.replayed,
            "largest_request": {"events": self.largest_events, "bytes": self.largest_bytes},
            "most_in_flight": self.most_in_flight,
        }

    def _check_token(self, token: str) -> Reply | None:
        if not token:
            return error(401, "authentication.required", "No authentication bearer token specified.")
        known = self._tokens.get(token)
        if known is None or known.expires_at <= self._clock():
            return error(401, "bad.credentials", "Invalid login credentials.")
        if SCOPE not in known.scopes:
            return error(403, "missing.scope", f"The token does not have the scope {SCOPE}.")
        return None

    def _answer(self, headers: Mapping[str, str], body: bytes) -> Reply:
        fault = self._dice.draw()
        if fault.isdecimal():
            wait = {"retry-after": "1"} if fault in {"429", "503"} else {}
            return error(int(fault), "fault", "A fault that was asked for.", headers=wait)
        if fault == DROPPED:
            return Reply(0, {}, cut=True)
        reply = self._take(headers, body, fault)
        return replace(reply, cut=fault == LOST)

    def _take(self, headers: Mapping[str, str], body: bytes, fault: str) -> Reply:
        """Record the events of a request, unless something is wrong with it or it was here before."""
        request_id = headers.get("x-request-id", "")
        if not request_id:
            return error(400, "bad.request", "X-Request-Id is missing.")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return error(415, "unsupported.media.type", "Content-Type must be application/json.")
        digest = sha256(body).digest()
        if known := self._answers.get(request_id):
            if known.digest != digest:
                return error(409, "conflict", "This X-Request-Id came with another body.")
            self.replayed += 1
            return known.reply
        if len(body) > self.rules.max_bytes:
            message = f"The request is too large. Maximum bytes: {self.rules.max_bytes}"
            return error(413, "request.entity.too.large", message)
        events = self._read(body)
        if isinstance(events, Reply):
            return events
        self.largest_events = max(self.largest_events, len(events))
        self.largest_bytes = max(self.largest_bytes, len(body))
        errors = self._leave_out(events, fault)
        left_out = {each["index"] for each in errors}
        taken = [event.raw for index, event in enumerate(events) if index not in left_out]
        self.events += taken
        reply = accepted(len(taken), errors)
        # An answer that asks for the very same request again must not stand for ever.
        if taken or fault != RETRYABLE:
            self._answers[request_id] = _Answered(digest, reply)
        return reply

    def _read(self, body: bytes) -> list[Posted] | Reply:
        try:
            events = read_events(body)
        except MalformedError:
            return error(400, "invalid.json", "The body is not JSON.")
        except EnvelopeError:
            return error(400, "bad.request", 'The body must be {"events": [...]}.')
        if len(events) > self.rules.max_events:
            return error(413, "request.entity.too.large", f"At most {self.rules.max_events} events a request.")
        errors = [each for index, event in enumerate(events) if (each := schema_error(index, event))]
        return error(400, "bad.request", "Some events are not valid.", errors=errors) if errors else events

    def _leave_out(self, events: list[Posted], fault: str) -> list[dict[str, Any]]:
        if fault not in {RETRYABLE, REFUSED}:
            return []
        index = self._dice.pick(len(events))
        message = "A fault that was asked for."
        return [event_error(index, events[index].event_id, message, retryable=fault == RETRYABLE)]


def _bearer(header: str) -> str:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    try:
        name, separator, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if kind.lower() == "basic" and separator else None
