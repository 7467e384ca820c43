"""A platform that does exactly what its script says: the standard library alone, in a process of its own.

The script is JSON: `answers` (a list, one for each POST in turn, then 200), `always` (an answer to every POST; with
`stall` it comes after so many seconds, with `cut` there is none, with `half` its body breaks off, and the connection
ends after so many seconds),
`max_bytes` (413 above), `poison` (400 without names while this interaction id is in the body), `refuses` (names the
interactions of events of a `type`, with a `status`), `quota`
(`allowed` requests in `window` seconds, with truthful headers and 429 above), `tokens` (answers of the token
endpoint), `skew` (seconds by which its `Date` lies), `tls` (a PEM file with key and certificates, to speak https).
GET /ledger gives each POST with its time, status, ids and request id.
"""

import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Scripted(BaseHTTPRequestHandler):
    """Plays the script."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[dict[str, Any]] = {}
    posts: ClassVar[list[dict[str, Any]]] = []
    tokens: ClassVar[list[dict[str, Any]]] = []
    lock = threading.Lock()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.script.get("skew", 0))

    def do_HEAD(self) -> None:
        self._answer({"status": 405, "body": ""})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            answer = self._token(body) if self.path.endswith("/token") else self._decide(body)
        self._answer(answer)

    def _token(self, body: bytes) -> dict[str, Any]:
        script = self.script.get("tokens", [])
        number = len(self.tokens)
        self.tokens.append({"body": body.decode(), "authorization": self.headers["Authorization"]})
        if number < len(script):
            answer: dict[str, Any] = script[number]
            return answer
        return {"body": {"access_token": f"token-{number}", "expires_in": 3600, "token_type": "bearer"}}

    def _decide(self, body: bytes) -> dict[str, Any]:
        events = [event["interactionId"] for event in json.loads(body)["events"]]
        answers = self.script.get("answers", [])
        answer: dict[str, Any] = {}
        if len(self.posts) < len(answers):
            answer = answers[len(self.posts)]
        elif "always" in self.script:
            answer = self.script["always"]
        elif len(body) > self.script.get("max_bytes", sys.maxsize):
            answer = {"status": 413, "body": self.script.get("too_large", "too large")}
        elif bad := self._refused(body):
            answer = bad
        elif self.script.get("poison") in events:
            answer = {"status": 400, "body": {"message": "something is wrong with it"}}
        answer = self._quota() | answer
        self.posts.append(
            {
                "time": time.monotonic(),
                "status": answer.get("status", 200),
                "events": events,
                "bytes": len(body),
                "request_id": self.headers["X-Request-Id"],
                "authorization": self.headers["Authorization"],
            }
        )
        return answer

    def _refused(self, body: bytes) -> dict[str, Any]:
        """Names the interactions of all events of a type; with 2xx the events of others are taken."""
        refuses = self.script.get("refuses", {})
        found = [
            event["interactionId"] for event in json.loads(body)["events"] if event["eventType"] == refuses.get("type")
        ]
        return {"status": refuses["status"], "body": {"errors": [{"eventId": each} for each in found]}} if found else {}

    def _quota(self) -> dict[str, Any]:
        """Fixed windows, counted from the first request."""
        if "quota" not in self.script:
            return {}
        allowed, window = self.script["quota"]["allowed"], self.script["quota"]["window"]
        now = time.monotonic()
        start = self.posts[0]["time"] if self.posts else now
        begin = start + (now - start) // window * window
        count = sum(post["time"] >= begin for post in self.posts) + 1
        headers = {
            "inin-ratelimit-allowed": str(allowed),
            "inin-ratelimit-count": str(min(count, allowed)),
            "inin-ratelimit-reset": f"{begin + window - now:.3f}",
        }
        over = {"status": 429, "body": {"message": "Rate limit exceeded"}} if count > allowed else {}
        return {"headers": headers, **over}

    def do_GET(self) -> None:
        with self.lock:
            self._answer({"body": {"posts": self.posts, "tokens": self.tokens}})

    def _answer(self, answer: dict[str, Any]) -> None:
        time.sleep(answer.get("stall", 0))
        if answer.get("cut"):
            self.close_connection = True
            self.connection.close()
            return
        body = answer.get("body", {"errors": []})
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(answer.get("status", 200))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if "half" in answer:
            self.wfile.write(data[: len(data) // 2])
            time.sleep(answer["half"])
            self.close_connection = True
            return
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Does not wait for connections that are kept open."""

    daemon_threads = True


if __name__ == "__main__":
    Scripted.script = json.loads(sys.argv[1])
    with Server(("127.0.0.1", 0), Scripted) as server:
        scheme = "http"
        if "tls" in Scripted.script:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(Scripted.script["tls"])
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        sys.stdout.write(f"{scheme}://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
