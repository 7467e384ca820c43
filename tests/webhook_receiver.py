"""A receiver of webhooks that checks every signature by itself: the standard library alone, in its own process.

The script is JSON: `secret`, and `answers` (one for each POST in turn, each with `status` and `headers`, or
`silent`; `seconds` is how long it thinks first).
Without an answer of the script it is 200, 401 if the signature is wrong. GET gives all POSTs.
"""

import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Receiver(BaseHTTPRequestHandler):
    """Plays the script."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[dict[str, Any]] = {}
    posts: ClassVar[list[dict[str, Any]]] = []
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            answers = self.script.get("answers", [])
            answer = answers[len(self.posts)] if len(self.posts) < len(answers) else {}
            self.posts.append(
                {
                    "path": self.path,
                    "batch": self.headers["X-Ebingest-Batch"],
                    "type": self.headers["Content-Type"],
                    "timestamp": self.headers["X-Ebingest-Timestamp"],
                    "signature": self.headers["X-Ebingest-Signature"],
                    "body": body.decode(),
                    "signed": self._is_signed(body),
                }
            )
        if answer.get("silent"):
            time.sleep(3600)
        time.sleep(answer.get("seconds", 0))
        self._answer(answer.get("status", 200 if self.posts[-1]["signed"] else 401), answer.get("headers", {}), b"ok")

    def _is_signed(self, body: bytes) -> bool:
        """Whether the signature holds, and the time is that of now."""
        timestamp = self.headers["X-Ebingest-Timestamp"]
        message = b"%s.%s" % (timestamp.encode(), body)
        expected = "sha256=" + hmac.digest(self.script["secret"].encode(), message, hashlib.sha256).hex()
        return self.headers["X-Ebingest-Signature"] == expected and abs(time.time() - int(timestamp)) < 300

    def do_GET(self) -> None:
        with self.lock:
            self._answer(200, {}, json.dumps(self.posts).encode())

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Does not wait for connections that are kept open."""

    daemon_threads = True


if __name__ == "__main__":
    Receiver.script = json.loads(sys.argv[1])
    with Server(("127.0.0.1", 0), Receiver) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
