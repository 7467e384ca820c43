"""A run as a trace: a span for the run, one for each chunk, one for each POST; sent over OTLP (HTTP, protobuf).

It is drawn from the facts alone. Ids, counts, sizes, statuses and times; never an event, a secret or a text of the
platform, which may quote one. Where to, with what headers, resource and sampler: the OTEL_ variables decide, as the
OpenTelemetry SDK has them. A collector that is slow or dead costs the run nothing but a few seconds at its end.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from urllib.parse import urlsplit

from msgspec.structs import asdict
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from eventbridge_cli import __version__
from eventbridge_cli.errors import ExitCode
from eventbridge_cli.facts import Answered, Attempt, Fact, Receipt, Retried, Split, Submitted, TokenIssued
from eventbridge_cli.ledger.tally import Tally

FLUSH_SECONDS = 3.0
"""How long the end of a run waits for the last spans to reach the collector."""

_OUT_OF_REACH = f"Check OTEL_EXPORTER_OTLP_ENDPOINT, and whether the collector answers within {FLUSH_SECONDS:g} s."
_TOO_SLOW = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is right: the collector was too slow, or failed meanwhile. A larger "
    "OTEL_BSP_MAX_QUEUE_SIZE lets more spans wait for it, and OTEL_TRACES_SAMPLER makes fewer of them."
)
_BILLION = 1_000_000_000
_FAILED = Status(StatusCode.ERROR)


class Traces:
    """Draws one run as one trace.

    Args:
        run: the run's id.
        url: the ingest endpoint.
        warn: is told at the end if the collector did not confirm all spans.
        flush_seconds: how long the end waits for that.
    """

    def __init__(
        self, run: str, url: str, *, warn: Callable[[str], None], flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._warn = warn
        self._flush_seconds = flush_seconds
        self._exporter = _Counting(OTLPSpanExporter())
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("ebingest", __version__)
        self._now = _clock()
        self._ended = 0
        self._tally = Tally()
        self._chunks: dict[str, list[Span]] = {}  # by request id, which chunks with the same content share
        self._parents: dict[str, Context] = {}
        where = urlsplit(url)
        self._server: dict[str, AttributeValue] = {
            "http.request.method": "POST",
            "url.full": where._replace(query="", fragment="").geturl(),
            "server.address": where.hostname or "",
            "server.port": where.port or (443 if where.scheme == "https" else 80),
        }
        self._run = self._tracer.start_span("ingest", start_time=self._now(), attributes={"ebingest.run": run})
        self._under_run = set_span_in_context(self._run)

    @contextmanager
    def watch(self, tally: Tally, _: object) -> Iterator[None]:
        """Take the counts for the run's span from `tally`."""
        self._tally = tally
        yield

    def observe(self, fact: Fact) -> None:
        """Draw a fact."""
        match fact:
            case Submitted(again=False):
                self._submitted(fact)
            case Answered():
                self._answered(fact)
            case Retried(request_id, attempt) if request_id in self._chunks:
                delay = {"ebingest.delay_seconds": round(attempt.delay or 0.0, 3)}
                self._chunks[request_id][-1].add_event("retry", delay, self._now())
            case Split():
                self._split(fact)
            case Receipt():
                self._receipt(fact)
            case TokenIssued(expires_in, scope, seconds):
                about: dict[str, AttributeValue] = {"ebingest.scope": scope, "ebingest.expires_in_seconds": expires_in}
                self._whole("token", seconds, self._under_run, about)
            case _:
                pass

    def finish(self, exit_code: int, stopped: str) -> None:
        """End the run's span and send what is left; `stopped` is the code of the error that ended the run early."""
        for span in chain.from_iterable(self._chunks.values()):  # the run broke off between a POST and its receipt
            self._end(span, failed=True)
        for name, count in asdict(self._tally.counts).items():
            self._run.set_attribute(f"ebingest.records.{name}", count)
        self._run.set_attribute("process.exit.code", exit_code)
        if stopped:
            self._run.set_attribute("error.type", stopped)
        self._end(self._run, failed=exit_code != ExitCode.DONE)
        # Its own way to end waits for half a minute, and longer for a collector that takes the bytes and says nothing.
        flush = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        flush.start()
        flush.join(self._flush_seconds)
        sent = self._exporter.sent
        if sent < self._ended:
            self._warn(
                f"the collector confirmed {sent:,} of {self._ended:,} trace spans; the run itself lacks nothing. "
                + (_TOO_SLOW if sent else _OUT_OF_REACH)
            )

    def _submitted(self, submitted: Submitted) -> None:
        request_id, chunk = submitted.request_id, submitted.chunk
        span = self._tracer.start_span(
            "chunk",
            self._parents.pop(request_id, self._under_run),
            start_time=self._now(),
            attributes={
                "ebingest.request_id": request_id,
                "ebingest.events": len(chunk.events),
                "ebingest.bytes": len(chunk.body),
            },
        )
        self._chunks.setdefault(request_id, []).append(span)

    def _settled(self, request_id: str) -> Span | None:
        """The span of a chunk that is through, or None if it was never posted."""
        spans = self._chunks.get(request_id, [])
        span = spans.pop() if spans else None
        if not spans:
            self._chunks.pop(request_id, None)
        return span

    def _answered(self, answered: Answered) -> None:
        attempt, chunk = answered.attempt, self._chunks[answered.request_id][-1]
        about = {**self._server, "http.request.body.size": answered.size, "ebingest.outcome": attempt.outcome}
        if attempt.number > 1:
            about["http.request.resend_count"] = attempt.number - 1
        if attempt.correlation_id:
            about["ebingest.correlation_id"] = attempt.correlation_id
        about |= _status_of(attempt)
        self._whole("POST", attempt.seconds, set_span_in_context(chunk), about, SpanKind.CLIENT)

    def _split(self, split: Split) -> None:
        """The parts are drawn below the chunk that they were cut from."""
        chunk = self._settled(split.request_id)
        if chunk is None:  # it was cut to a limit that the run had learned
            return
        self._parents.update(dict.fromkeys(split.parts, set_span_in_context(chunk)))
        chunk.set_attribute("ebingest.outcome", "split")
        self._end(chunk)

    def _receipt(self, receipt: Receipt) -> None:
        self._parents.pop(receipt.request_id, None)
        chunk = self._settled(receipt.request_id)
        if chunk is None:  # the run's span says why
            return
        counts = {
            "delivered": len(receipt.delivered),
            "refused": len(receipt.refused),
            "pending": len(receipt.pending),
        }
        outcomes = [name for name, count in counts.items() if count]
        chunk.set_attributes({f"ebingest.{name}": counts[name] for name in outcomes})
        chunk.set_attribute("ebingest.attempts", len(receipt.attempts))
        chunk.set_attribute("ebingest.outcome", "+".join(outcomes) or "retried")
        if receipt.attempts:
            chunk.set_attributes(_status_of(receipt.attempts[-1]))
        self._end(chunk, failed=bool(receipt.refused or receipt.pending))

    def _whole(
        self,
        name: str,
        seconds: float,
        parent: Context,
        about: dict[str, AttributeValue],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        """A span of something that has just ended and took so long."""
        began = self._now() - round(seconds * _BILLION)
        span = self._tracer.start_span(name, parent, kind, about, start_time=began)
        self._end(span, failed="error.type" in about)

    def _end(self, span: Span, *, failed: bool = False) -> None:
        if failed:
            span.set_status(_FAILED)
        span.end(self._now())
        self._ended += span.get_span_context().trace_flags.sampled


class _Counting(SpanExporter):
    """Hands spans on, and counts those that arrived."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _status_of(attempt: Attempt) -> dict[str, AttributeValue]:
    """The status, and for an error its type, as the semantic conventions for HTTP have them."""
    about: dict[str, AttributeValue] = {} if attempt.status is None else {"http.response.status_code": attempt.status}
    if attempt.outcome != "delivered":
        about["error.type"] = attempt.outcome if attempt.status is None else str(attempt.status)
    return about


def _resource() -> Resource:
    """Who we are, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    ours = Resource.create({SERVICE_NAME: "ebingest", SERVICE_VERSION: __version__})
    return ours.merge(OTELResourceDetector().detect())


def _clock() -> Callable[[], int]:
    """Nanoseconds since 1970 that never go back, whatever happens to the system's clock meanwhile."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset
