"""A target by its URL. The modules of targets are loaded here, when one is asked for: some bring a large library."""

from collections.abc import Mapping
from importlib.util import find_spec

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.lake.names import folder_of, parts_of
from eventbridge_cli.lake.target import Content, Format, Target
from eventbridge_cli.secret import SecretText


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
