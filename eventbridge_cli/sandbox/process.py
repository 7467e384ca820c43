"""The stand-in platform in a process of its own, for as long as a `with` statement lasts."""

import subprocess
import sys
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from eventbridge_cli.errors import ConfigurationError


class SandboxProcess:
    """Starts `ebingest sandbox` on a free port; ends it with the block, or with this process, however that ends.

    Args:
        arguments: options of the `sandbox` command.

    Raises:
        ConfigurationError: the extra is not installed, or the stand-in does not start.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.url = ""
        self.client_id = ""
        self.client_secret = ""

    def __enter__(self) -> Self:
        missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"The sandbox needs {' and '.join(missing)}.",
                "Install it with: pip install 'ebingest[sandbox]'",
            )
        command = [sys.executable, "-m", "eventbridge_cli", "sandbox", "--port", "0", "--until-stdin-closes"]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the run, which then ends the sandbox
        )
        try:
            self.url, self.client_id, self.client_secret = self._settings()
        except BaseException:  # a Ctrl-C while it starts counts, too: __exit__ is not called then
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _settings(self) -> list[str]:
        """The URL, id and secret that it prints as soon as it takes connections."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        lines = [self._process.stdout.readline().decode().strip() for _ in range(3)]
        values = [line.partition("=")[2] for line in lines]
        if not all(values):
            _, complaint = self._process.communicate()
            raise ConfigurationError("The sandbox did not start.", complaint.decode(errors="replace").strip())
        return values

    def _end(self) -> None:
        self._process.kill()  # it keeps nothing, and would take its time to end in order
        self._process.communicate()
