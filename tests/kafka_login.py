"""A Kafka broker that gets as far as the log-in and takes nobody, in a process of its own. Prints its address.

It speaks what a client says before its first request proper: ApiVersions, SaslHandshake and SaslAuthenticate, each in
its first version (https://kafka.apache.org/protocol). It offers PLAIN alone.
"""

import socketserver
import struct
import sys
import threading

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
UNSUPPORTED_SASL_MECHANISM, UNSUPPORTED_VERSION, SASL_AUTHENTICATION_FAILED = 33, 35, 58
VERSIONS = [(0, 0, 3), (3, 0, 1), (SASL_HANDSHAKE, 0, 1), (API_VERSIONS, 0, 0), (SASL_AUTHENTICATE, 0, 0)]


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def answer(api: int, version: int, body: bytes) -> bytes:
    """The answer to a request, without its header."""
    match api:
        case 18:
            error = UNSUPPORTED_VERSION if version else 0
            return struct.pack(">hi", error, len(VERSIONS)) + b"".join(struct.pack(">hhh", *each) for each in VERSIONS)
        case 17:
            error = 0 if body == text("PLAIN") else UNSUPPORTED_SASL_MECHANISM
            return struct.pack(">hi", error, 1) + text("PLAIN")
        case 36:
            return struct.pack(">h", SASL_AUTHENTICATION_FAILED) + text("No such user, or another password") + bytes(4)
        case _:
            raise ConnectionError


class Connection(socketserver.StreamRequestHandler):
    """Answers request by request, until one comes that is none of a log-in."""

    def handle(self) -> None:
        while len(size := self.rfile.read(4)) == 4:
            request = self.rfile.read(*struct.unpack(">i", size))
            api, version, number, client = struct.unpack(">hhih", request[:10])
            reply = struct.pack(">i", number) + answer(api, version, request[10 + max(client, 0) :])
            self.wfile.write(struct.pack(">i", len(reply)) + reply)


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write("127.0.0.1:{1}\n".format(*server.server_address))
        sys.stdout.flush()
        sys.stdin.read()
