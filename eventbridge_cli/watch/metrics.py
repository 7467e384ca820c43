"""The metrics of a run, in a file that Prometheus' node_exporter picks up (its textfile collector).

All of them are read from the run's tally, so that they say what the summary says. Names and units follow Prometheus'
own rules: base units, `_total` for what only grows, outcomes as a label whose sum is all records.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from msgspec.structs import asdict
from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from eventbridge_cli import __version__
from eventbridge_cli.errors import ExitCode
from eventbridge_cli.ledger.tally import Tally
from eventbridge_cli.repeating import every

INTERVAL = 15.0
"""Seconds between two writes while a run lasts: as often as Prometheus commonly looks."""

_SILENCE = 4 * INTERVAL
"""Seconds without a write after which a run that is said to be under way was killed."""

_LAST_RUN = {
    "ebingest_last_run_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    "ebingest_last_run_exit_code": "The exit code of the last run that ended.",
    "ebingest_last_success_timestamp_seconds": "When a run last ended with exit code 0, in seconds since 1970.",
}


class Input(Protocol):
    """How far reading has come, in bytes on disk; `total` is None where the input has no size."""

    total: int | None
    read: int


class Textfile:
    """Writes the metrics when the run begins, every so often while it lasts, and when it has ended.

    Each write takes the file's place as a whole; where that is a link, that of the file that it leads to. A file that
    can't be written is told once and changes nothing else.

    Args:
        path: the file. What it says of the last run and the last success stays until a run ends.
        run: the run's id.
        warn: is told if the file can't be written.
        every: seconds between two writes.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        *,
        warn: Callable[[str], None],
        every: float = INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._warn = warn
        self._every = every
        self._clock = clock
        self._warned = False
        self._registry = CollectorRegistry()
        self._run = _Run(run, clock(), _last_run(path))
        self._registry.register(self._run)

    @contextmanager
    def watch(self, tally: Tally, meter: Input) -> Iterator[None]:
        """Write now, and then every so often while the body lasts."""
        self._run.tally, self._run.input, self._run.under_way = tally, meter, True
        self._write()
        with every(self._every, self._write, name="metrics"):
            yield

    def finish(self, exit_code: int, stopped: str) -> None:  # noqa: ARG002 - every watcher is told so
        """Write the end of the run. One that did not come to begin leaves the file to a run that is writing it."""
        now = self._clock()
        if self._run.input is None:
            if _is_being_written(self._path, now):
                return
            self._run.last = _last_run(self._path)  # another run may have ended while this one waited
        self._run.under_way = False
        self._run.last["ebingest_last_run_timestamp_seconds"] = now
        self._run.last["ebingest_last_run_exit_code"] = exit_code
        if exit_code == ExitCode.DONE:
            self._run.last["ebingest_last_success_timestamp_seconds"] = now
        self._write()

    def _write(self) -> None:
        try:
            if self._path.exists() and not self._path.is_file():  # what takes its place would be the end of it
                raise OSError(errno.EINVAL, "it is no ordinary file")
            write_to_textfile(os.path.realpath(self._path), self._registry)
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._warn(f"the metrics file {self._path} can't be written: {error.strerror}. The run goes on.")


class _Run(Collector):
    """Gives the metrics as they are at the moment of asking."""

    def __init__(self, run: str, started: float, last: dict[str, float]) -> None:
        self._run = run
        self._started = started
        self.last = last
        self.tally = Tally()
        self.input: Input | None = None
        self.under_way = False

    def collect(self) -> Iterable[Metric]:
        tally = self.tally
        about = {"run": self._run, "version": __version__}
        yield InfoMetricFamily("ebingest_run", "The run that these metrics describe.", about)
        yield _gauge("ebingest_running", "1 while the run is under way.", self.under_way)
        yield _gauge("ebingest_run_start_timestamp_seconds", "When it began, in seconds since 1970.", self._started)
        yield _gauge("ebingest_run_duration_seconds", "How long it has lasted.", tally.clock() - tally.started)
        yield from self._records()
        yield from self._requests()
        if self.input is not None:
            yield _gauge("ebingest_input_read_bytes", "Input read so far, as it is on disk.", self.input.read)
            if self.input.total is not None:
                yield _gauge("ebingest_input_bytes", "Size of all input on disk.", self.input.total)
        for name, meaning in _LAST_RUN.items():
            if name in self.last:
                yield _gauge(name, meaning, self.last[name])

    def _records(self) -> Iterator[Metric]:
        counts = asdict(self.tally.counts)
        yield _gauge("ebingest_records_read", "Records read.", counts.pop("read"))
        outcomes = GaugeMetricFamily(
            "ebingest_records", "Records by what became of them; their sum is all that were read.", labels=["outcome"]
        )
        for outcome, count in counts.items():
            outcomes.add_metric([outcome], count)
        yield outcomes

    def _requests(self) -> Iterator[Metric]:
        tally = self.tally
        totals = {
            "ebingest_chunks": ("Chunks that were posted.", tally.chunks),
            "ebingest_requests": ("POSTs that came to their end, with an answer or without.", tally.requests),
            "ebingest_retries": ("POSTs that were followed by another one of the same chunk.", tally.retries),
            "ebingest_splits": ("Chunks that were sent again in parts.", tally.splits),
            "ebingest_unknown_outcomes": ("POSTs that were sent and never answered.", tally.unknown),
            "ebingest_bytes_sent": ("Bytes of request bodies.", tally.bytes_sent),
        }
        for name, (meaning, count) in totals.items():
            yield CounterMetricFamily(name, meaning, count)
        yield _gauge("ebingest_requests_in_flight", "POSTs that wait for their answer.", tally.in_flight)
        bounds, counts = zip(*tally.latency.histogram(), strict=True)
        yield HistogramMetricFamily(
            "ebingest_request_duration_seconds",
            "From the start of a POST to the last byte of its answer.",
            buckets=[(_le(bound), count) for bound, count in zip(bounds, accumulate(counts), strict=True)],
            sum_value=tally.latency.total,
        )


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value)


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _last_run(path: Path) -> dict[str, float]:
    """What an earlier run has left in the file about the last run."""
    return {name: value for name, value in _left(path).items() if name in _LAST_RUN}


def _is_being_written(path: Path, now: float) -> bool:
    try:
        written = path.stat().st_mtime
    except OSError:
        return False
    return now - written < _SILENCE and bool(_left(path).get("ebingest_running"))


def _left(path: Path) -> dict[str, float]:
    """What stands in the file, a value for each name; nothing where there is no file of ours."""
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""  # to read a pipe could take for ever
        families = list(text_string_to_metric_families(text))
    except (OSError, ValueError):
        return {}
    return {family.name: family.samples[0].value for family in families if family.samples}
