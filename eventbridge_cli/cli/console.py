"""Rich's console, as the tool uses it. It takes its time to load: import it where something is printed with it."""

import sys
from contextlib import suppress
from typing import IO, Any, cast

import rich.console


class Console(rich.console.Console):
    """Shows data as it is, and never ends the process, as rich does where a pipe is broken.

    With `goes_on` what can't be shown, since whoever read it or the terminal has gone or the disk is full, is told to
    nobody; else that is for whoever prints.
    """

    def __init__(self, *, stderr: bool = False, force_terminal: bool | None = None, goes_on: bool = False) -> None:
        file = sys.stderr if stderr else sys.stdout
        super().__init__(
            file=cast("IO[str]", _Tolerant(file)) if goes_on else file,
            force_terminal=force_terminal,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def on_broken_pipe(self) -> None:
        """Whoever read the output has gone."""
        self.quiet = True
        raise BrokenPipeError


class _Tolerant:
    """A file to which nothing need arrive."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
