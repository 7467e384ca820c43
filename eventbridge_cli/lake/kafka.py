"""Kafka as data lake: a message for each receipt or event, through librdkafka."""

import asyncio
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import SplitResult

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.names import name_of
from eventbridge_cli.lake.payload import records
from eventbridge_cli.lake.target import Content
from eventbridge_cli.lake.thread import in_thread

_CHECK_TRIES = 15  # of a second each
_POLL_SECONDS = 0.005
_CREDENTIALS = {
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}
_PERMANENT = _CREDENTIALS | {
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
}


class KafkaTarget:
    """Produces with idempotence and waits until every broker that has to has each message.

    The key of a receipt is its request id, that of an event a digest of its bytes: copies, which a second try makes,
    have the same key.

    Args:
        parts: a `kafka:` URL; its host is one broker or several, with commas between them, its path the topic.
        content: what messages hold.
        properties: of librdkafka, for security.
        timeout: seconds for a message to arrive, retries and all.

    Raises:
        ConfigurationError: the URL names no broker or topic, or librdkafka does not take the properties.
    """

    def __init__(
        self, parts: SplitResult, content: Content, properties: Mapping[str, str], *, timeout: float = 30.0
    ) -> None:
        self.name = name_of(parts)
        brokers, _, self._topic = self.name.removeprefix("kafka://").partition("/")
        self._content = content
        self._trouble: KafkaError | None = None
        try:
            self._producer = Producer(
                {
                    "client.id": "ebingest",
                    "bootstrap.servers": brokers,
                    "enable.idempotence": True,
                    "acks": "all",
                    "message.timeout.ms": int(timeout * 1000),
                    "log_level": 0,  # librdkafka would write to stderr
                    "error_cb": self._note_trouble,
                    **properties,
                }
            )
        except KafkaException as error:
            raise ConfigurationError(
                f"{self.name} can't be opened: {_text(error)}.", "Check the EBINGEST_KAFKA_ variables."
            ) from error

    def _note_trouble(self, error: KafkaError) -> None:
        # That all brokers are down says less than what came before it.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error

    async def check(self) -> None:
        """Ask for the topics.

        Raises:
            ConfigurationError: no broker answers or lets us in, or the topic is not there.
        """
        try:
            topics = await in_thread(self._topics)
        except KafkaException as error:
            raise ConfigurationError(
                f"{self.name} can't be reached: {_text(self._trouble or error)}.",
                "Check the brokers' addresses and the EBINGEST_KAFKA_ variables.",
            ) from error
        if self._topic not in topics:
            raise ConfigurationError(
                f"There is no topic {self._topic} at {self.name}, or this user may not see it.",
                "Make the topic, or give this user the right to write to it.",
            )

    def _topics(self) -> set[str]:
        """The names of all topics. To ask for one by its name would make it, where brokers make them by themselves."""
        tries = 0
        while True:
            tries += 1
            try:
                return set(self._producer.list_topics(timeout=1.0).topics)
            except KafkaException:
                self._producer.poll(0)
                # librdkafka itself would go on asking, even of a broker that does not let us in.
                if tries == _CHECK_TRIES or (self._trouble is not None and self._trouble.code() in _CREDENTIALS):
                    raise

    async def put(self, batch: Batch) -> None:
        """Produce the batch and wait for a report on every message.

        Raises:
            TargetError: a message did not arrive. It is permanent where access, topic or size are at fault.
        """
        messages = await in_thread(lambda: list(self._messages(batch)))
        reports = _Reports()
        try:
            for message in messages:
                await self._produce(message, reports)
        except KafkaException as error:
            reports.failure = error.args[0]
        # To the last one, even after a failure: a second try must not meet messages of the first.
        while reports.waiting:
            self._producer.poll(0)
            await asyncio.sleep(_POLL_SECONDS)
        if reports.failure is not None:
            raise self._error(batch, reports.failure)
        self._trouble = None

    def _messages(self, batch: Batch) -> Iterator[dict[str, Any]]:
        for entry, value in records(batch, self._content):
            request_id = entry.request_id.encode()
            receipt = self._content is Content.RECEIPTS
            key = request_id if receipt else blake2b(value, digest_size=16).hexdigest().encode()
            yield {"topic": self._topic, "key": key, "value": value, "headers": {"request_id": request_id}}

    async def _produce(self, message: dict[str, Any], reports: "_Reports") -> None:
        while True:
            try:
                self._producer.produce(**message, on_delivery=reports.take)
            except BufferError:  # librdkafka's queue is full
                self._producer.poll(0)
                await asyncio.sleep(_POLL_SECONDS)
            else:
                reports.waiting += 1
                self._producer.poll(0)
                await asyncio.sleep(0)
                return

    def _error(self, batch: Batch, failure: KafkaError) -> TargetError:
        causes = [failure] if self._trouble is None else [failure, self._trouble]
        codes = {cause.code() for cause in causes}
        remedy = "Check that the brokers are up, then run ebingest sync."
        if codes & _CREDENTIALS:
            remedy = "Check the EBINGEST_KAFKA_ variables and this user's rights, then run ebingest sync."
        elif KafkaError.MSG_SIZE_TOO_LARGE in codes:
            remedy = "Raise the topic's max.message.bytes, or send smaller chunks with --chunk-bytes."
        elif codes & _PERMANENT:
            remedy = "Check that the topic is there and takes such messages, then run ebingest sync."
        return TargetError(
            f"{self.name} did not take batch {batch.name}: {'; '.join(map(_text, causes))}.",
            remedy,
            permanent=bool(codes & _PERMANENT) or failure.fatal(),
        )

    async def aclose(self) -> None:
        """Drop what a put that was cut short has left in the queue."""
        self._producer.purge(blocking=False)
        self._producer.poll(0)


class _Reports:
    """How many messages of a batch are under way, and the last failure."""

    def __init__(self) -> None:
        self.waiting = 0
        self.failure: KafkaError | None = None

    def take(self, error: KafkaError | None, _: Message) -> None:
        """Called by librdkafka, within `poll`."""
        self.waiting -= 1
        if error is not None:
            self.failure = error


def _text(error: KafkaError | KafkaException) -> str:
    cause = error.args[0] if isinstance(error, KafkaException) else error
    return str(cause.str()).rstrip(".")
