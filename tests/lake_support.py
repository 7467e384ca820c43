"""What the tests of the data lake need: batches, made as the outbox makes them, and servers in their own process."""

import hashlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition
from pydantic import SecretStr
from support import line

from eventbridge_cli.facts import Batch, OutboxEntry
from eventbridge_cli.lake.target import Content, Format, Target, open_target

DELIVERED_AT = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
SECRET = SecretStr("s3cr3t-c4n4ry")


def entry(number: int = 0, *bodies: bytes, delivered_at: datetime = DELIVERED_AT) -> OutboxEntry:
    """An entry of two events, unless `bodies` says which."""
    request_id = f"00000000-0000-8000-8000-{number:012}"
    receipt = json.dumps({"run": "run-1", "request_id": request_id, "delivered_at": delivered_at.isoformat()}).encode()
    return OutboxEntry(request_id, "run-1", delivered_at, receipt, bodies or (line(2 * number), line(2 * number + 1)))


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
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        urls = (re.search(r"http://127\.0\.0\.1:\d+", said) for said in server.stderr)
        yield next(url[0] for url in urls if url)
        server.terminate()
        server.communicate(timeout=10)


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
