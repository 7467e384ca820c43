"""The audit file: JSON lines, one fact a line, each with the hash of the line before it. Never a body or a secret."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from eventbridge_cli.ascii_json import ascii_json, ascii_json_each
from eventbridge_cli.chunks import Events
from eventbridge_cli.facts import (
    Answered,
    Attempt,
    Duplicates,
    Fact,
    HandOver,
    Receipt,
    Retried,
    Split,
    Submitted,
    TokenIssued,
)
from eventbridge_cli.flow import Duplicate, Origin, Rejection
from eventbridge_cli.ledger.appending import AppendedLines

CHAIN_START = "0" * 64
"""What the first line of a file carries in place of a hash."""
LINE_BEGIN = b'{"time":"'
"""How each line begins."""


def new_run() -> str:
    """An id for a run: when it began, and something that no other has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def line_hash(line: bytes) -> str:
    """SHA-256 of a line without its line break, in hexadecimal."""
    return sha256(line).hexdigest()


class _Copy(Struct):
    """What a line says of a copy."""

    source: str
    line: int
    index: int | None
    interaction_id: str
    key: str
    conflict: bool
    delivered_by_run: str | UnsetType = UNSET
    first: str | UnsetType = UNSET


class AuditLogger:
    """Writes the facts of one run to the audit file, as they happen.

    Args:
        lines: the file.
        run: the run's id, on every line.
        now: the time of a line; UTC.
    """

    def __init__(self, lines: AppendedLines, run: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = lines.path
        self.mended = lines.mended
        self._lines = lines
        self._run = run
        self._now = now
        self._previous = CHAIN_START if lines.last is None else line_hash(lines.last)

    def write(self, event: str, records: Events | None = None, /, **facts: object) -> None:
        """Append one line; `records` are those that it speaks of.

        Raises:
            StorageError: the file can't be written.
        """
        line = self._document(event, facts)
        if records is not None:
            line += b',"events":%d,"records":%b' % (len(records), records.entries)
        self._append([line])

    def _document(self, event: str, facts: Mapping[str, object]) -> bytes:
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return ascii_json({"time": time, "run": self._run, "event": event, **facts})[:-1]

    def _append(self, documents: Iterable[bytes]) -> None:
        """Append lines that only lack their end: all of them, or none."""
        lines, previous = [], self._previous
        for document in documents:
            lines.append(b"".join((document, b',"previous":"', previous.encode(), b'"}')))
            previous = line_hash(lines[-1])
        self._lines.append(b"\n".join(lines))
        self._previous = previous

    def note(self, fact: Fact) -> None:
        """Write down a fact. That a chunk is posted again, or answered, is told by what follows on it.

        Raises:
            StorageError: the file can't be written.
        """
        match fact:
            case Rejection():
                self._rejection(fact)
            case Duplicates(copies):
                begin = self._document("DUPLICATE_DROPPED", {}) + b","
                self._append(begin + copy[1:-1] for copy in ascii_json_each(list(map(_copy, copies))))
            case Submitted(again=False):
                self._submitted(fact)
            case Retried(request_id, attempt):
                self.write("BATCH_RETRIED", request_id=request_id, **_attempt(attempt))
            case Split(request_id, parts, cause, limit):
                self.write("BATCH_SPLIT", request_id=request_id, cause=cause, limit_bytes=limit, parts=parts)
            case TokenIssued(expires_in, scope, seconds):
                self.write("TOKEN_ISSUED", scope=scope, expires_in=expires_in, seconds=round(seconds, 6))
            case Receipt():
                self._receipt(fact)
            case HandOver(target, batch, entries, state, message):
                why = {"message": message} if message else {}
                self.write("DATA_LAKE_SYNC", target=target, batch=batch, entries=entries, state=state, **why)
            case Submitted() | Answered():
                pass

    def _rejection(self, rejection: Rejection) -> None:
        self.write(
            "INGESTION_REJECTED",
            **_place(rejection.origin),
            stage=rejection.stage,
            reason=rejection.reason,
            problems=[{"code": problem.code, "path": problem.path} for problem in rejection.problems],
            sha256=None if rejection.data is None else sha256(rejection.data).hexdigest(),
        )

    def _submitted(self, submitted: Submitted) -> None:
        chunk = submitted.chunk
        self.write(
            "BATCH_SUBMITTED",
            request_id=submitted.request_id,
            events=len(chunk.events),
            bytes=len(chunk.body),
            sha256=chunk.sha256,
            places=chunk.events.places,
        )

    def _receipt(self, receipt: Receipt) -> None:
        last = receipt.attempts[-1] if receipt.attempts else None
        about: dict[str, Any] = {
            "request_id": receipt.request_id,
            "attempts": len(receipt.attempts),
            "status": last.status if last else None,
            "correlation_id": last.correlation_id if last else "",
        }
        if receipt.delivered:
            latency = round(last.seconds, 6) if last else None
            warning = {"warning": receipt.warning} if receipt.warning else {}
            self.write("INGESTION_SUCCEEDED", Events.of(receipt.delivered), **about, seconds=latency, **warning)
        if receipt.refused:
            refused = [refusal.event for refusal in receipt.refused]
            self.write("INGESTION_FAILED", Events(refused), **about, outcome="refused")
        if receipt.pending:
            unknown = any(attempt.unknown for attempt in receipt.attempts)
            self.write(
                "INGESTION_FAILED",
                Events.of(receipt.pending),
                **about,
                outcome="pending",
                cause=receipt.cause,
                unknown=unknown,
            )


def _place(origin: Origin) -> dict[str, object]:
    return {"source": origin.source, "line": origin.line, "index": origin.index}


def _copy(duplicate: Duplicate) -> _Copy:
    event, origin, first = duplicate.event, duplicate.event.origin, duplicate.first
    place = origin.source, origin.line, origin.index
    what = event.interaction_id, event.key.hex(), duplicate.conflict
    return _Copy(*place, *what, duplicate.run) if first is None else _Copy(*place, *what, first=str(first))


def _attempt(attempt: Attempt) -> dict[str, object]:
    facts = asdict(attempt)
    return facts | {"seconds": round(attempt.seconds, 6), "delay": round(attempt.delay or 0.0, 3)}
