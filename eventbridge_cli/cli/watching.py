"""What watches a run besides the screen: the metrics file and the traces, as the settings ask for them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from eventbridge_cli.errors import EbingestError, ExitCode

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


class Watched:
    """A job with all that watches it; `job` is the one to run.

    Raises:
        ConfigurationError: a watcher needs an extra that is not installed, or there is no endpoint to name.
    """

    def __init__(self, job: "Job") -> None:
        self._watchers: list[Watcher] = []
        observers: list[Callable[[Fact], None]] = [job.observe]
        if job.settings.metrics_textfile is not None:
            self._watchers.append(_metrics(job))
        if job.settings.otlp:
            traces = _traces(job)
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

        self.job = replace(job, watch=watch, observe=observe)

    @contextmanager
    def told_of_failure(self) -> Iterator[None]:
        """Tell the watchers if the body fails; where it does not, it is for `finish` to tell."""
        try:
            yield
        except EbingestError as error:
            self.finish(error.exit_code, error.code)
            raise
        except KeyboardInterrupt:
            self.finish(ExitCode.INTERRUPTED, "interrupted")
            raise
        except Exception:
            self.finish(ExitCode.BUG, "bug")
            raise

    def finish(self, exit_code: int, stopped: str = "") -> None:
        """Tell the watchers how the run ended."""
        for watcher in self._watchers:
            watcher.finish(exit_code, stopped)


def _metrics(job: "Job") -> "Watcher":
    from eventbridge_cli.watch.opening import open_metrics

    path = job.settings.metrics_textfile
    assert path is not None  # noqa: S101 - the caller looked
    return open_metrics(path, job.run, warn=job.warn)


def _traces(job: "Job") -> "Traces | None":
    from eventbridge_cli.endpoints import endpoints
    from eventbridge_cli.watch.opening import NoTracesError, open_traces

    try:
        return open_traces(job.run, endpoints(job.settings).ingest_url, warn=job.warn)
    except NoTracesError as error:
        job.warn(f"{error.message} {error.remedy} The run goes on without traces.")
        return None
