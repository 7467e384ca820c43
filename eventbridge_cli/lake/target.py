"""What a target of the data lake is, and how one is opened by its URL."""

from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from typing import Protocol

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.names import folder_of, parts_of
from eventbridge_cli.secret import SecretText

BATCH_BYTES = 8_000_000
"""What a batch has at most, but for the line breaks between its records."""


class Content(StrEnum):
    """What is handed over: a receipt for each delivered chunk, or the delivered events themselves."""

    RECEIPTS = "receipts"
    EVENTS = "events"


class Format(StrEnum):
    """How events are written to files and objects."""

    NDJSON = "ndjson"
    PARQUET = "parquet"


class Target(Protocol):
    """Takes batches. None of its methods blocks the event loop."""

    @property
    def name(self) -> str:
        """What `name_of` makes of its URL. It stays the same from run to run: the outbox's key for this target."""
        ...

    async def check(self) -> None:
        """Prove, before anything is sent, that the target can be reached, is there and lets us write.

        Raises:
            ConfigurationError: it can't, isn't or doesn't.
        """
        ...

    async def put(self, batch: Batch) -> None:
        """Hand `batch` over. Returns once all of it has arrived; putting it again changes nothing.

        Raises:
            TargetError: not all of it is known to have arrived.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections. Nothing is sent any more."""
        ...


def open_target(
    url: str,
    *,
    content: Content,
    form: Format,
    kafka: Mapping[str, str] | None = None,
    webhook_secret: SecretText | None = None,
) -> Target:
    """The target at `url`. Nothing is asked of it yet.

    Args:
        url: `file:///folder`, `s3://bucket/prefix` (likewise `gs:` and `az:`), `kafka://host:9092/topic` or
            `https://host/path`.
        content: what it gets.
        form: how that is written.
        kafka: librdkafka's properties for security, as `Settings.kafka` gives them.
        webhook_secret: signs what is posted to an `https:` target.

    Raises:
        ConfigurationError: there is no such target, it can't be given that, or a library or setting is missing.
    """
    parts = parts_of(url)
    _check_form(parts.scheme, content, form)
    if parts.scheme == "kafka":
        _need("kafka", "confluent_kafka")
        from eventbridge_cli.lake.kafka import KafkaTarget

        return KafkaTarget(parts, content, kafka or {})
    if parts.scheme in {"http", "https"}:
        from eventbridge_cli.lake.webhook import WebhookTarget

        return WebhookTarget(parts, content, webhook_secret)
    if parts.scheme == "file":
        from eventbridge_cli.lake.file import FileTarget
        from eventbridge_cli.lake.payload import encoder

        return FileTarget(folder_of(parts), encoder(content, form))
    _need("s3", "obstore")
    from eventbridge_cli.lake.objects import ObjectsTarget
    from eventbridge_cli.lake.payload import encoder

    return ObjectsTarget(parts, encoder(content, form))


def _check_form(scheme: str, content: Content, form: Format) -> None:
    if form is not Format.PARQUET:
        return
    if content is not Content.EVENTS:
        raise ConfigurationError("Receipts can't be written as Parquet.", "Ask for events, or for ndjson.")
    if scheme in {"kafka", "http", "https"}:
        raise ConfigurationError(
            f"Parquet can't be sent to a {scheme}: target.", "Ask for ndjson, or give a file:, s3:, gs: or az: URL."
        )
    _need("parquet", "pyarrow")


def _need(extra: str, module: str) -> None:
    if find_spec(module) is None:
        raise ConfigurationError(
            f"This target needs {module}, which is not installed.", f"Install it with: pip install 'ebingest[{extra}]'"
        )
