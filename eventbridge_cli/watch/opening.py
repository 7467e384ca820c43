"""Opens what watches a run. Its libraries are loaded here alone, and only where they are asked for."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from eventbridge_cli.errors import ConfigurationError

if TYPE_CHECKING:
    from eventbridge_cli.watch.metrics import Textfile
    from eventbridge_cli.watch.traces import Traces


class NoTracesError(ConfigurationError):
    """The OpenTelemetry SDK can't be set up with its variables. No run ends for that."""


def open_metrics(path: Path, run: str, *, warn: Callable[[str], None]) -> "Textfile":
    """What writes the metrics of a run to a file.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        from eventbridge_cli.watch.metrics import Textfile
    except ModuleNotFoundError as error:
        raise _missing("--metrics-textfile", "metrics", error) from error
    return Textfile(path, run, warn=warn)


def open_traces(run: str, url: str, *, warn: Callable[[str], None]) -> "Traces":
    """What draws a run as a trace.

    Raises:
        ConfigurationError: the extra is not installed.
        NoTracesError: an OTEL_ variable has a value that it can't have.
    """
    _silence()
    try:
        from eventbridge_cli.watch.traces import Traces
    except ModuleNotFoundError as error:
        raise _missing("--otlp", "otlp", error) from error
    except Exception as error:  # the SDK reads a variable as it is loaded
        raise _no_traces(error) from error
    try:
        return Traces(run, url, warn=warn)
    except Exception as error:  # ValueError, OverflowError, RuntimeError: it differs by variable
        raise _no_traces(error) from error


def _silence() -> None:
    """The SDK logs what it can't take and every failed export, with URL and stack; one note says it all."""
    log = logging.getLogger("opentelemetry")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def _missing(option: str, extra: str, error: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"{option} needs {error.name}, which is not installed.", f"Install it with: pip install 'ebingest[{extra}]'"
    )


def _no_traces(error: Exception) -> NoTracesError:
    """Names the variables that the SDK complains of, or all that are set where it names none."""
    said = str(error).rstrip(".") or type(error).__name__
    given = sorted(name for name in os.environ if name.startswith("OTEL_"))
    guilty = [name for name in given if name in said.split()] or given
    return NoTracesError(
        f"OpenTelemetry can't be set up: {said}.", f"Look at {', '.join(guilty) or 'the OTEL_ variables'}."
    )
