"""The stand-in platform without HTTP: tokens, quota, faults, and what was accepted. Every decision is made here."""

import json
import random
import secrets
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCOPE = "eventbridge:ingest"
_WINDOW = 60.0  # seconds over which the platform counts requests
LOST, DROPPED = "lost", "drop"
"""Named faults: the events are recorded and the answer is cut off, or the connection is cut before anything."""

_Exact = ConfigDict(strict=True, extra="forbid")
_Text = Annotated[str, Field(min_length=1)]


class _Routing(BaseModel):
    model_config = _Exact
    queueId: str
    skill: str
    actionType: Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]


class _Event(BaseModel):
    model_config = _Exact
    eventType: _Text
    eventTime: _Text
    interactionId: _Text
    routingMetadata: _Routing
    attributes: dict[str, Any] = Field(default_factory=dict)
    schemaVersion: Annotated[int, Field(ge=1, le=3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the stand-in behaves. Sizes in bytes, times in seconds; `rate` is in requests a minute."""

    client_id: str
    client_secret: str
    max_bytes: int = 500_000
    max_events: int = 100
    latency: float = 0.0
    rate: int | None = None
    token_lifetime: int = 3600
    faults: tuple[tuple[str, float], ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `cut` closes the connection instead of giving it."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Platform:
    """The state of the stand-in. `clock` gives monotonic seconds."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self._clock = clock
        self._random = random.Random(rules.seed)  # noqa: S311 - faults, not secrets
        self._tokens: dict[str, float] = {}
        self._answers: dict[str, tuple[bytes, Reply]] = {}
        self._recent: dict[str, list[float]] = {}
        self.events: list[dict[str, Any]] = []
        self.statuses: Counter[str] = Counter()
        self.replayed = 0
        self.largest_events = 0
        self.largest_bytes = 0
        self.in_flight = 0
        self.most_in_flight = 0

    def token(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a token request (RFC 6749, section 4.4)."""
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if _basic(headers.get("authorization", "")) != (self.rules.client_id, self.rules.client_secret):
            return _oauth_error(401, "invalid_client", "client not found or invalid client secret")
        if form.get("scope", SCOPE) != SCOPE:
            return _oauth_error(400, "invalid_scope", "the client does not have this scope")
        token = secrets.token_urlsafe(48)
        self._tokens[token] = self._clock() + self.rules.token_lifetime
        document = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self.rules.token_lifetime,
            "scope": SCOPE,
        }
        return Reply(200, document, {"cache-control": "no-store"})

    def ingest(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer an ingest request, with the quota headers if there is a quota."""
        quota: dict[str, str] = {}
        reply = self._check_token(headers) or self._check_quota(headers, quota) or self._fault()
        if reply is None or (reply.cut and reply.status):
            recorded = self._record(headers, body)
            reply = reply or recorded
        correlation = {"inin-correlation-id": reply.document.get("contextId", str(uuid4()))}
        return Reply(reply.status, reply.document, {**correlation, **quota, **reply.headers}, reply.cut)

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

    def _check_token(self, headers: Mapping[str, str]) -> Reply | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return _error(401, "authentication.required", "No authentication bearer token specified.")
        if self._tokens.get(token, float("-inf")) <= self._clock():
            return _error(401, "bad.credentials", "Invalid login credentials.")
        return None

    def _check_quota(self, headers: Mapping[str, str], quota: dict[str, str]) -> Reply | None:
        if self.rules.rate is None:
            return None
        now = self._clock()
        recent = self._recent.setdefault(headers["authorization"], [])
        recent[:] = [time for time in recent if time > now - _WINDOW]
        over = len(recent) >= self.rules.rate
        if not over:
            recent.append(now)
        reset = max(1, round(recent[0] + _WINDOW - now + 0.5))
        quota["inin-ratelimit-allowed"] = str(self.rules.rate)
        quota["inin-ratelimit-count"] = str(len(recent))
        quota["inin-ratelimit-reset"] = str(reset)
        if not over:
            return None
        message = f"Rate limit exceeded the maximum. Retry the request in [{reset}] seconds"
        return _error(429, "too.many.requests", message, {"retry-after": str(reset)})

    def _fault(self) -> Reply | None:
        for name, probability in self.rules.faults:
            if self._random.random() >= probability:
                continue
            if name in {LOST, DROPPED}:
                return Reply(200 if name == LOST else 0, {}, cut=True)
            wait = {"retry-after": "1"} if name in {"429", "503"} else {}
            return _error(int(name), "fault", "A fault that was asked for.", wait)
        return None

    def _record(self, headers: Mapping[str, str], body: bytes) -> Reply:
        request_id = headers.get("x-request-id", "")
        if not request_id:
            return _error(400, "bad.request", "X-Request-Id is missing.")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "unsupported.media.type", "Content-Type must be application/json.")
        if request_id in self._answers:
            known, answer = self._answers[request_id]
            if known != body:
                return _error(409, "conflict", "This X-Request-Id came with another body.")
            self.replayed += 1
            return answer
        if len(body) > self.rules.max_bytes:
            message = f"The request is too large. Maximum bytes: {self.rules.max_bytes}"
            return _error(413, "request.entity.too.large", message)
        events, reply = self._events_of(body)
        if reply is not None:
            return reply
        self.events += events
        self.largest_events = max(self.largest_events, len(events))
        self.largest_bytes = max(self.largest_bytes, len(body))
        answer = Reply(200, {"accepted": len(events), "errors": [], "contextId": str(uuid4())})
        self._answers[request_id] = (body, answer)
        return answer

    def _events_of(self, body: bytes) -> tuple[list[dict[str, Any]], Reply | None]:
        try:
            document = json.loads(body, parse_constant=_no_constant)
            json.dumps(document, ensure_ascii=False).encode()  # lone surrogates fail here
        except (ValueError, RecursionError):
            return [], _error(400, "invalid.json", "The body is not JSON.")
        events = document.get("events") if isinstance(document, dict) else None
        if not isinstance(events, list) or not events or len(document) != 1:
            return [], _error(400, "bad.request", 'The body must be {"events": [...]}.')
        if len(events) > self.rules.max_events:
            message = f"At most {self.rules.max_events} events a request."
            return [], _error(413, "request.entity.too.large", message)
        errors = [error for index, event in enumerate(events) if (error := _schema_error(index, event))]
        if errors:
            reply = _error(400, "bad.request", "Some events are not valid.")
            return [], Reply(400, {**reply.document, "errors": errors})
        return events, None


def _schema_error(index: int, event: object) -> dict[str, Any] | None:
    try:
        _Event.model_validate(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        event_id = event.get("interactionId") if isinstance(event, dict) else None
        message = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        return {"index": index, "eventId": event_id, "message": message, "retryable": False}
    return None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    try:
        name, separator, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if kind.lower() == "basic" and separator else None


def _oauth_error(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "description": description, "error_description": description})


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    document = {"message": message, "code": code, "status": status, "contextId": str(uuid4()), "errors": []}
    return Reply(status, document, headers or {})
