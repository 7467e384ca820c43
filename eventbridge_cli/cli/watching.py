"""What watches a run besides the screen: the metrics file and the traces, as the settings ask for them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer
from msgspec.structs import replace

from eventbridge_cli.errors import ClashError, EbingestError, ExitCode, StorageError, is_about_output

if TYPE_CHECKING:
    from eventbridge_cli.facts import Fact
    from eventbridge_cli.intake.sources import Meter
    from eventbridge_cli.ledger.tally import Tally
    from eventbridge_cli.run import Job
    from eventbridge_cli.watch.traces import Traces


class Watcher(Protocol):
    """Follows a run by its tally and is told how it ended."""

    def watch(self, tally: "Tally", meter: "Meter") -> AbstractContextManager[None]:
        """Follow the run while the body lasts."""
        ...

    def finish(self, exit_code: int, stopped: str) -> None:
        """The run has ended; `stopped` is the code of the error that ended it early, or empty."""
        ...


class Watching:
    """All that watches a run.

    Args:
        metrics: the metrics file, if there is to be one.
        warn: is told what the user should know although it does not end the run.

    Raises:
        ConfigurationError: the extra for metrics is not installed.
    """

    def __init__(self, metrics: Path | None, warn: Callable[[str], None]) -> None:
        from eventbridge_cli.ledger.audit import new_run

        self._run = new_run()
        self._warn = warn
        self._watchers: list[Watcher] = []
        if metrics is not None:
            from eventbridge_cli.watch.opening import open_metrics

            self._watchers.append(open_metrics(metrics, self._run, warn=warn))

    def of(self, job: "Job") -> "Job":
        """The job with all that watches it; its trace begins now.

        Raises:
            ConfigurationError: the extra for traces is not installed, or the settings give no endpoint.
        """
        observers: list[Callable[[Fact], None]] = [job.observe]
        traces = self._traces(job) if job.settings.otlp else None
        if traces is not None:
            self._watchers.append(traces)
            observers.append(traces.observe)

        def observe(fact: "Fact") -> None:
            for each in observers:
                each(fact)

        @contextmanager
        def watch(tally: "Tally", meter: "Meter") -> Iterator[None]:
            with ExitStack() as stack:
                for watcher in self._watchers:
                    stack.enter_context(watcher.watch(tally, meter))
                stack.enter_context(job.watch(tally, meter))
                yield

        return replace(job, run=self._run, watch=watch, observe=observe)

    def finish(self, exit_code: int, stopped: str = "") -> None:
        """Tell the watchers how the run ended."""
        for watcher in self._watchers:
            watcher.finish(exit_code, stopped)

    def _traces(self, job: "Job") -> "Traces | None":
        from eventbridge_cli.endpoints import endpoints
        from eventbridge_cli.watch.opening import NoTracesError, open_traces

        try:
            return open_traces(self._run, endpoints(job.settings).ingest_url, warn=self._warn)
        except NoTracesError as error:
            self._warn(f"{error.message} {error.remedy} The run goes on without traces.")
            return None


@contextmanager
def watching(metrics: Path | None, warn: Callable[[str], None]) -> Iterator[Watching]:
    """Watch a run, and tell the watchers if the body fails; where it does not, it is for `finish` to tell.

    Raises:
        ConfigurationError: as in `Watching`.
    """
    watched = Watching(metrics, warn)
    try:
        yield watched
    except (typer.Exit, ClashError):  # all is told; or the metrics file may be the very one that must not be written
        raise
    except EbingestError as error:
        watched.finish(error.exit_code, error.code)
        raise
    except KeyboardInterrupt:
        watched.finish(ExitCode.INTERRUPTED, "interrupted")
        raise
    except BrokenPipeError:
        watched.finish(ExitCode.BROKEN_PIPE, "broken_pipe")
        raise
    except Exception as error:
        if is_about_output(error):
            watched.finish(StorageError.exit_code, StorageError.code)
        else:
            watched.finish(ExitCode.BUG, "bug")
        raise
