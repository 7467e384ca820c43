"""A collector of OTLP traces (HTTP, protobuf), in a process of its own.

POST /v1/traces takes spans; GET /spans gives all of them as JSON, with the requests' headers, the resources and
every byte that came (in hexadecimal). With a number as argument it answers so many POSTs, and from then on
takes what comes and says nothing.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    protocol_version = "HTTP/1.1"
    answers = sys.maxsize
    kept: ClassVar[dict[str, Any]] = {"spans": [], "headers": [], "resources": [], "bytes": []}
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            Collector.answers -= 1
        if self.answers < 0:
            threading.Event().wait()
        assert self.path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.kept["headers"].append({name.lower(): value for name, value in self.headers.items()})
            self.kept["bytes"].append(body.hex())
            for each in request.resource_spans:
                self.kept["resources"].append(attributes(each.resource.attributes))
                self.kept["spans"] += [document(span) for scope in each.scope_spans for span in scope.spans]
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        with self.lock:
            self._answer(json.dumps(self.kept).encode(), "application/json")

    def _answer(self, data: bytes, media: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


def attributes(found: Any) -> dict[str, Any]:
    def value(each: KeyValue) -> Any:
        return getattr(each.value, each.value.WhichOneof("value") or "string_value")

    return {each.key: value(each) for each in found}


def document(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "error": span.status.code == span.status.STATUS_CODE_ERROR,
        "attributes": attributes(span.attributes),
        "events": [{"name": event.name, **attributes(event.attributes)} for event in span.events],
    }


class Server(ThreadingHTTPServer):
    """Does not wait for connections that are kept open."""

    daemon_threads = True


if __name__ == "__main__":
    Collector.answers = int(sys.argv[1]) if sys.argv[1:] else sys.maxsize
    with Server(("127.0.0.1", 0), Collector) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
