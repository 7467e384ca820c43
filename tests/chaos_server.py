"""A platform that goes wrong in every way, seeded, and keeps a ledger of what it really took.

It honours `X-Request-Id`: of a body that comes again it takes only what it has not taken under that id. GET /ledger
gives what it took and which faults it really played. It shares nothing with the tool: the standard library alone.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

POISON = "poison"
"""Events whose interaction id begins so are refused for good."""

FAULTS = (
    "lost_answer",
    "half_an_answer",
    "dropped",
    "stall",
    "429",
    "503",
    "500",
    "408",
    "401",
    "413",
    "html_200",
    "empty_200",
    "not_yet",
)
_STALL_SECONDS = 1.5
_SMALL_BYTES = 1500


class Chaos(BaseHTTPRequestHandler):
    """Answers, or does not."""

    protocol_version = "HTTP/1.1"
    rng: ClassVar[random.Random]
    probability: ClassVar[float]
    faults: ClassVar[list[str]]
    lock = threading.Lock()
    taken: ClassVar[dict[str, list[str]]] = {}
    refused: ClassVar[set[str]] = set()
    played: ClassVar[Counter[str]] = Counter()
    replays: ClassVar[Counter[str]] = Counter()
    generation: ClassVar[int] = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/token"):
            token = f"generation-{type(self).generation}"
            self._answer(200, json.dumps({"access_token": token, "expires_in": 3600}).encode())
            return
        with self.lock:
            fault = self.rng.choice(self.faults) if self.rng.random() < self.probability else ""
            fault = self._possible(fault, body)
            answer = b"" if fault in {"dropped", "429", "503", "500", "408", "401", "413"} else self._take(body, fault)
        self._play(fault, answer)

    def _possible(self, fault: str, body: bytes) -> str:
        """The fault, if it makes sense for this request; counted once it is certain to be played."""
        if self.headers["Authorization"] != f"Bearer generation-{type(self).generation}":
            return "401"
        known = self.headers["X-Request-Id"] in self.taken
        if fault == "413" and (known or len(body) <= _SMALL_BYTES):
            return ""
        if fault == "half_an_answer" and known:  # a second one is taken for delivery, whatever it was about to say
            return ""
        if fault == "401":
            type(self).generation += 1
        if fault:
            self.played[fault] += 1
        return fault

    def _take(self, body: bytes, fault: str) -> bytes:
        request_id = self.headers["X-Request-Id"]
        self.replays[request_id] += request_id in self.taken
        taken = self.taken.setdefault(request_id, [])
        errors: list[dict[str, Any]] = []
        for index, event in enumerate(json.loads(body)["events"]):
            interaction = event["interactionId"]
            if interaction.startswith(POISON):
                errors.append({"index": index, "message": "poison", "retryable": False})
                self.refused.add(interaction)
            elif interaction not in taken:
                if fault == "not_yet" and self.rng.random() < 0.5:
                    errors.append({"index": index, "message": "not yet", "retryable": True})
                else:
                    taken.append(interaction)
        if errors:
            return json.dumps({"errors": errors}).encode()
        return {"html_200": b"<html>fine</html>", "empty_200": b""}.get(fault, b'{"errors": []}')

    def _play(self, fault: str, answer: bytes) -> None:
        if fault in {"lost_answer", "dropped"}:
            self.close_connection = True
            self.connection.close()
        elif fault == "half_an_answer":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf")
        elif fault == "413":
            self._answer(413, b'{"message": "Maximum bytes: %d"}' % _SMALL_BYTES)
        elif fault.isdecimal():
            self._answer(int(fault), b"<html>not now</html>")
        else:
            if fault == "stall":
                time.sleep(_STALL_SECONDS)
            self._answer(200, answer)

    def do_GET(self) -> None:
        with self.lock:
            taken = Counter(interaction for each in self.taken.values() for interaction in each)
            ledger = {
                "taken": taken,
                "refused": sorted(self.refused),
                "played": self.played,
                "replays": self.replays.total(),
            }
            self._answer(200, json.dumps(ledger).encode())

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Survives clients that are killed in the middle of a request."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break here all the time; that is the point."""


if __name__ == "__main__":
    seed, probability, faults = sys.argv[1:]
    Chaos.rng = random.Random(seed)
    Chaos.probability = float(probability)
    Chaos.faults = faults.split(",")
    with Server(("127.0.0.1", 0), Chaos) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
