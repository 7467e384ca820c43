"""Dead letters: every rejected or refused record as it was read, with all that is needed to mend it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import asdict

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.facts import Fact, Receipt
from eventbridge_cli.flow import Origin, Reason, Rejection, Stage
from eventbridge_cli.ledger.appending import AppendedLines
from eventbridge_cli.ledger.audit import LINE_BEGIN


class DeadLetters:
    """The dead-letter file. It is made with the first letter, and holds customer data: its owner alone may read it.

    Args:
        path: where it is; None: letters are only counted.
        run: the run's id.
        warn: is told that the file ended in half a line.
    """

    def __init__(self, path: Path | None, run: str, warn: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._run = run
        self._warn = warn
        self._lines: AppendedLines | None = None
        self.count = 0

    def note(self, fact: Fact) -> None:
        """Keep what a fact says was rejected or refused; all other facts are none of ours.

        Raises:
            StorageError: the file can't be written.
        """
        if isinstance(fact, Rejection):
            problems = [asdict(problem) for problem in fact.problems]
            self._append(fact.origin, fact.data, stage=fact.stage, reason=fact.reason, problems=problems)
        elif isinstance(fact, Receipt):
            for refusal in fact.refused:
                self._append(
                    refusal.event.origin,
                    refusal.event.raw,
                    stage=Stage.DELIVER,
                    reason=Reason.REFUSED,
                    status=refusal.status,
                    message=refusal.message,
                    attempts=len(fact.attempts),
                    request_id=fact.request_id,
                )

    def __enter__(self) -> Self:
        if self.path is not None and self.path.exists():
            self._lines = self._opened(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.__exit__(kind, error, trace)

    def _append(self, origin: Origin, data: bytes | None, **why: object) -> None:
        self.count += 1
        if self.path is None:
            return
        if self._lines is None:
            self._lines = self._opened(self.path)
        letter = {
            "run": self._run,
            "source": origin.source,
            "line": origin.line,
            "index": origin.index,
            **why,
            **_record(data),
        }
        text = json.dumps(letter, ensure_ascii=False, separators=(",", ":"))
        # A file's name that is no UTF-8 holds half surrogates; JSON writes them as Python does, as \udcff.
        self._lines.append(text.encode(errors="backslashreplace"))

    def _opened(self, path: Path) -> AppendedLines:
        def check(last: bytes) -> None:
            if last.startswith(LINE_BEGIN):
                raise ConfigurationError(f"{path} is an audit file.", "Give the dead letters a file of their own.")

        lines = AppendedLines(path, None, check=check)
        if lines.mended:
            self._warn(f"{path} ended in half a line ({lines.mended:,} bytes); it is kept, on a line of its own.")
        return lines


def _record(data: bytes | None) -> dict[str, str | None]:
    """The record as text, or in base64 where it is no text; null where it was too large to hold."""
    if data is None:
        return {"record": None}
    try:
        return {"record": data.decode()}
    except UnicodeDecodeError:
        return {"record": None, "record_base64": base64.b64encode(data).decode()}
