"""What the tests of the data lake need: batches, made as the outbox makes them, and servers in their own process."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from support import line

from eventbridge_cli.facts import Batch, OutboxEntry
from eventbridge_cli.lake.opening import open_target
from eventbridge_cli.lake.target import Content, Format, Target
from eventbridge_cli.packing import packed
from eventbridge_cli.secret import Secret

DELIVERED_AT = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
SECRET = Secret("s3cr3t-c4n4ry")
S3RVER_KEY = "S3RVER"  # s3rver knows one user, whose id and secret these are
AZURE_ACCOUNT = "someone"
AZURE_KEY = base64.b64encode(b"s3cr3t").decode()

_FROM_NPM = Path(__file__).parents[1] / ".ci/node/node_modules/.bin"


def entry(number: int = 0, *bodies: bytes, delivered_at: datetime = DELIVERED_AT) -> OutboxEntry:
    """An entry of two events, unless `bodies` says which."""
    request_id = f"00000000-0000-8000-8000-{number:012}"
    receipt = json.dumps({"run": "run-1", "request_id": request_id, "delivered_at": delivered_at.isoformat()}).encode()
    packed_bodies = packed(b"\n".join(bodies or (line(2 * number), line(2 * number + 1))))
    return OutboxEntry(request_id, "run-1", delivered_at, receipt[:9], packed(receipt[9:-1]), packed_bodies)


def batch(*entries: OutboxEntry) -> Batch:
    """A batch that is named by its content; of two entries, unless told which."""
    members = entries or (entry(0), entry(1))
    content = b"\n".join(part for each in members for part in (each.receipt, *each.bodies))
    return Batch(hashlib.sha256(content).hexdigest()[:32], members)


def target(url: str, content: Content = Content.RECEIPTS, form: Format = Format.NDJSON) -> Target:
    """The target at `url`, with the secret that a webhook needs."""
    return open_target(url, content=content, form=form, webhook_secret=SECRET)


@contextmanager
def served(script: str, *arguments: str) -> Iterator[str]:
    """The server `tests/<script>`, in a process of its own. Gives the line that it prints once it is up."""
    command = [sys.executable, str(Path(__file__).parent / script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate(timeout=10)


@contextmanager
def moto_server() -> Iterator[str]:
    """Moto's S3, in a process of its own. Gives its URL."""
    with _announced(sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0") as url:
        yield url


@contextmanager
def s3rver_server(folder: Path) -> Iterator[str]:
    """S3rver, in a process of its own. Gives its URL."""
    options = ("--address", "127.0.0.1", "--port", "0", "--no-vhost-buckets", "--silent", "--directory", str(folder))
    with _announced(_from_npm("s3rver"), *options) as url:
        yield url


@contextmanager
def azurite_server() -> Iterator[str]:
    """Azurite's blob service, in a process of its own. Gives the URL of its one account."""
    options = ("--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
    accounts = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    with _announced(_from_npm("azurite-blob"), "--blobHost", "127.0.0.1", *options, **accounts) as url:
        yield f"{url}/{AZURE_ACCOUNT}"


def _from_npm(program: str) -> str:
    """Where a server is that `.ci/node/package.json` names. Skips the test that needs it if it is nowhere."""
    found = shutil.which(program, path=os.pathsep.join((str(_FROM_NPM), os.environ["PATH"])))
    if found is None:
        pytest.skip(f"{program} is not installed: npm install --prefix .ci/node --no-package-lock")
    return found


@contextmanager
def _announced(*command: str, **environment: str) -> Iterator[str]:
    """A server that says where it listens, once it does. Gives its URL."""
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        try:
            addresses = (re.search(r"127\.0\.0\.1:[1-9]\d*", said) for said in server.stdout)
            yield f"http://{next(address[0] for address in addresses if address)}"
        finally:
            server.terminate()
            server.communicate(timeout=10)


def make_container(account_url: str, name: str) -> None:
    """Make a container with a signed call, as obstore makes none."""
    dated = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2021-12-02"}
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}"
    signed = ["PUT", *[""] * 4, "text/plain", *[""] * 6, *map(":".join, dated.items()), resource, "restype:container"]
    signature = hmac.digest(base64.b64decode(AZURE_KEY), "\n".join(signed).encode(), "sha256")
    authorization = {"Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signature).decode()}"}
    call("PUT", f"{account_url}/{name}?restype=container", headers=dated | authorization)


def call(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
    """Call a server of these tests; it has to succeed."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, body, {"Content-Type": "text/plain", **(headers or {})}, method=method
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        answer.read()


def consume(brokers: str, topic: str) -> list[Message]:
    """All that a topic of Kafka has."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test", "enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, open_partitions = [], set(partitions)
        while open_partitions:
            message = consumer.poll(30)
            assert message is not None
            if message.error():
                open_partitions.discard(message.partition())
            else:
                found.append(message)
        return found
    finally:
        consumer.close()


@contextmanager
def refusing() -> Iterator[str]:
    """An address at which every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
