"""The audit file, for a command that must not keep a run from using it."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from eventbridge_cli.errors import ConfigurationError, StateLockedError, StorageError
from eventbridge_cli.facts import Fact
from eventbridge_cli.ledger.appending import AppendedLines, half_a_line
from eventbridge_cli.ledger.audit import LINE_BEGIN, AuditLogger
from eventbridge_cli.ledger.lock import audit_lock, locked


class AuditInTurns:
    """Holds the audit file's lock for a line at a time. What a run keeps it from writing waits for the next turn.

    Args:
        path: the audit file.
        locks: the folder of its lock.
        run: the id on every line.
        warn: is told what was found damaged and is mended.
    """

    def __init__(self, path: Path, locks: Path, run: str, warn: Callable[[str], None]) -> None:
        self._path = path
        self._locks = locks
        self._run = run
        self._warn = warn
        self._waiting: deque[tuple[datetime, Fact]] = deque()

    def note(self, fact: Fact) -> None:
        """Write down a fact, or keep it for the next turn."""
        self._waiting.append((datetime.now(UTC), fact))
        with suppress(StateLockedError, ConfigurationError, StorageError):
            self.catch_up(wait=0.0)

    @property
    def missing(self) -> int:
        """How many facts are not written down yet."""
        return len(self._waiting)

    def catch_up(self, *, wait: float) -> None:
        """Write what waits, once a run lets go of the file.

        Raises:
            StateLockedError: it does not within `wait` seconds.
            ConfigurationError: the file can't be opened, or is no audit file.
            StorageError: it can't be written.
        """
        with (
            locked(self._locks, audit_lock(self._path), f"the audit file {self._path}", wait=wait),
            AppendedLines(self._path, LINE_BEGIN) as lines,
        ):
            if lines.mended:
                self._warn(half_a_line(self._path, lines.mended))
            audit = AuditLogger(lines, self._run, now=lambda: self._waiting[0][0])
            while self._waiting:
                audit.note(self._waiting[0][1])
                self._waiting.popleft()
