"""Every setting, resolved in one place: flags win over the environment, which wins over `.env`.

They are checked by pydantic's core, without its models and without pydantic-settings: those take 0.1 s to load, which
every command would wait for.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from eventbridge_cli.errors import ConfigurationError, UsageError
from eventbridge_cli.secret import Secret

_ENV_FILE = Path(".env")
_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "hour": 3600.0}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([a-z]+)")
_BETWEEN_URLS = re.compile(r"\s+|,(?=\s|[A-Za-z][A-Za-z0-9+.-]*:/)")


def parse_rate(text: str) -> float:
    """Requests per second from a text such as `240/min`.

    Raises:
        ValueError: `text` is no rate.
    """
    match = _RATE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _SECONDS or float(match[1]) <= 0:
        raise ValueError("a rate is written as in 240/min, 4/s or 10000/h")
    return float(match[1]) / _SECONDS[match[2]]


def _rate_text(text: str) -> str:
    parse_rate(text)
    return text


def _split_commas(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(","))


def _split_urls(value: str | list[str]) -> tuple[str, ...]:
    """URLs with spaces or commas between them; a comma within one, as between Kafka's brokers, is part of it."""
    return tuple(filter(None, _BETWEEN_URLS.split(value))) if isinstance(value, str) else tuple(value)


def _no_stream(path: Path) -> Path:
    if str(path) == "-":
        raise ValueError("it has to be a file; standard output gets the summary alone")
    return path


_TEXT = core_schema.str_schema()
_SECRET = core_schema.no_info_after_validator_function(Secret, _TEXT)
_PATH = core_schema.no_info_plain_validator_function(lambda path: Path(os.path.expanduser(path)))  # noqa: PTH111
_FILE = core_schema.no_info_after_validator_function(_no_stream, _PATH)
_SWITCH = core_schema.custom_error_schema(
    core_schema.bool_schema(), custom_error_type="switch", custom_error_message="Input should be on or off"
)
_integer = core_schema.int_schema
_number = core_schema.float_schema


def _one_of(*texts: str) -> CoreSchema:
    return core_schema.literal_schema(list(texts))


def _setting(kind: CoreSchema, description: str, default: Any = None, *, names: tuple[str, ...] = ()) -> Any:
    """A setting: what it takes, and under which names it stands in the environment if not its own."""
    return field(default=default, metadata={"kind": kind, "description": description, "names": names})


def _genesys(name: str, *platform_cli: str) -> tuple[str, ...]:
    return (f"GENESYS_{name}", *(f"GENESYSCLOUD_{other}" for other in platform_cli))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run; made by `load`."""

    env: str | None = _setting(
        _TEXT,
        "Genesys Cloud domain, AWS region name, another host, or a URL.",
        names=_genesys("ENV", "REGION"),
    )
    client_id: str | None = _setting(_TEXT, "OAuth client id.", names=_genesys("CLIENT_ID", "OAUTHCLIENT_ID"))
    client_secret: Secret | None = _setting(
        _SECRET, "OAuth client secret.", names=_genesys("CLIENT_SECRET", "OAUTHCLIENT_SECRET")
    )
    client_secret_file: Path | None = _setting(
        _PATH,
        "A file that holds the secret, used where the secret itself is not given.",
        names=_genesys("CLIENT_SECRET_FILE"),
    )
    access_token: Secret | None = _setting(
        _SECRET,
        "A token to use as it is; id and secret are then not needed.",
        names=_genesys("ACCESS_TOKEN", "ACCESS_TOKEN"),
    )
    scope: str = _setting(_TEXT, "OAuth scope to ask for.", "eventbridge:ingest", names=_genesys("SCOPE"))
    token_url: str | None = _setting(_TEXT, "Token endpoint, in place of GENESYS_ENV's.", names=_genesys("TOKEN_URL"))
    ingest_url: str | None = _setting(
        _TEXT, "Ingest endpoint, in place of GENESYS_ENV's.", names=_genesys("INGEST_URL")
    )

    audit: Path = _setting(_FILE, "Audit file; runs append to it.", Path("ingestion_audit.jsonl"))
    dead_letters: Path = _setting(_FILE, "Where bad records are kept.", Path("dead_letters.ndjson"))
    summary_file: Path | None = _setting(_PATH, "Write the summary there as JSON.")
    metrics_textfile: Path | None = _setting(
        _FILE, "Write Prometheus metrics there, for the textfile collector; the name ends in .prom."
    )
    otlp: bool = _setting(
        _SWITCH,
        "Send traces to an OpenTelemetry collector; the OTEL_ variables say where (on or off).",
        default=False,
    )
    state: Path | None = _setting(_PATH, "Folder of the delivered keys; by default the user's state folder.")
    remember: float = _setting(_number(ge=0), "Days for which delivered keys are kept.", 7)
    key: tuple[str, ...] = _setting(
        core_schema.no_info_after_validator_function(_split_commas, _TEXT),
        "Field paths, with commas between them, that make two events copies of each other.",
        ("interactionId", "eventType", "eventTime"),
    )
    window: float | None = _setting(_number(gt=0), "Seconds of event time for which a key is remembered.")
    window_size: int | None = _setting(_integer(ge=1), "How many keys are remembered.")
    max_record_bytes: int = _setting(_integer(ge=100), "A longer record is rejected.", 1_000_000)
    jobs: int | None = _setting(
        _integer(ge=1, le=64), "Processes that share the work; by default as many as there are cores to use."
    )
    chunk_events: int = _setting(_integer(ge=1, le=100), "Events in a request, at most.", 100)
    chunk_bytes: int = _setting(_integer(ge=200, le=500_000), "Bytes in a request, at most.", 500_000)
    concurrency: int = _setting(_integer(ge=1, le=100), "Requests in flight at once, at most.", 5)
    rate: str | None = _setting(
        core_schema.no_info_after_validator_function(_rate_text, _TEXT), "Requests, at most, as in 240/min."
    )
    timeout: float = _setting(_number(gt=0), "Seconds to wait for an answer.", 30)
    max_attempts: int = _setting(_integer(ge=1), "POSTs of a chunk before it is left pending.", 8)
    max_elapsed: float = _setting(_number(gt=0), "Seconds of retries before a chunk is left pending.", 300)
    max_wait: float = _setting(_number(ge=0), "A longer Retry-After (seconds) ends the run, all pending.", 180)

    max_duration: float | None = _setting(_number(gt=0), "Seconds after which the run ends, the rest pending.")
    grace: float = _setting(_number(ge=0), "Seconds for requests in flight to settle when a run is interrupted.", 30)
    lock_wait: float = _setting(_number(ge=0), "Seconds to wait for another run that holds the state.", 0)

    sync: tuple[str, ...] = _setting(
        core_schema.no_info_plain_validator_function(_split_urls),
        "URLs of the data lake that gets what is delivered, with spaces or commas between them.",
        (),
    )
    sync_content: Literal["receipts", "events"] = _setting(
        _one_of("receipts", "events"), "What it gets: receipts, or the events themselves.", "receipts"
    )
    sync_format: Literal["ndjson", "parquet"] = _setting(
        _one_of("ndjson", "parquet"), "How: ndjson, or (events) parquet.", "ndjson"
    )
    sync_grace: float = _setting(_number(ge=0), "Seconds for the data lake to get the rest when a run ends.", 30)
    sync_required: bool = _setting(
        _SWITCH, "Exit code 5 if the data lake did not get everything (on or off).", default=False
    )
    webhook_secret: Secret | None = _setting(_SECRET, "Secret that signs what is posted to a webhook.")
    kafka_security_protocol: str = _setting(
        _one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        "How to speak to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        "PLAINTEXT",
    )
    kafka_sasl_mechanism: str | None = _setting(
        _one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        "How to log in to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
    )
    kafka_sasl_username: str | None = _setting(_TEXT, "User name for Kafka.")
    kafka_sasl_password: Secret | None = _setting(_SECRET, "Password for Kafka.")
    kafka_ssl_ca_location: Path | None = _setting(_PATH, "File of the authorities that vouch for Kafka.")
    kafka_ssl_certificate_location: Path | None = _setting(_PATH, "File of the client's certificate for Kafka.")
    kafka_ssl_key_location: Path | None = _setting(_PATH, "File of that certificate's private key.")
    kafka_ssl_key_password: Secret | None = _setting(_SECRET, "Password of that private key.")

    def secret(self) -> Secret | None:
        """The client secret, from the setting or from its file.

        Raises:
            ConfigurationError: the file cannot be read, or is empty.
        """
        if self.client_secret is not None or self.client_secret_file is None:
            return self.client_secret
        try:
            text = self.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigurationError(
                f"GENESYS_CLIENT_SECRET_FILE: {self.client_secret_file} cannot be read: {reason}.",
                "Give the path of a text file that holds the secret alone.",
            ) from error
        if not text:
            raise ConfigurationError(
                f"GENESYS_CLIENT_SECRET_FILE: {self.client_secret_file} is empty.", "Put the secret there."
            )
        return Secret(text)

    def kafka(self) -> dict[str, str]:
        """What of Kafka is set, by the names that librdkafka gives its properties. It holds passwords.

        Raises:
            ConfigurationError: there is a user name or password, and a protocol that would not use it.
        """
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name.startswith("kafka_")}
        sasl = [name for name, value in given.items() if name.startswith("kafka_sasl_") and value is not None]
        if sasl and not self.kafka_security_protocol.startswith("SASL_"):
            raise ConfigurationError(
                f"{_variable(sasl[0])} is set, but {self.kafka_security_protocol} has no log-in.",
                "Set EBINGEST_KAFKA_SECURITY_PROTOCOL to SASL_SSL.",
            )
        return {
            name.removeprefix("kafka_").replace("_", "."): value.get_secret_value()
            if isinstance(value, Secret)
            else str(value)
            for name, value in given.items()
            if value is not None
        }

    def against(self, url: str, client_id: str, client_secret: str) -> "Settings":
        """The same settings for another platform, whatever the environment says of where to send."""
        return replace(
            self,
            env=url,
            client_id=client_id,
            client_secret=Secret(client_secret),
            client_secret_file=None,
            access_token=None,
            token_url=None,
            ingest_url=None,
        )

    @property
    def identity(self) -> str:
        """What tells one client from another: its id, or where only a ready token is given, a digest of that."""
        if self.client_id or self.access_token is None:
            return self.client_id or ""
        return blake2b(
            self.access_token.get_secret_value().encode(), digest_size=16, person=b"access token"
        ).hexdigest()

    @property
    def state_folder(self) -> Path:
        """The folder of the delivered keys and the outboxes."""
        from platformdirs import user_state_path  # noqa: PLC0415 - not for those who only check records

        return self.state or user_state_path("ebingest")

    @property
    def requests_per_second(self) -> float | None:
        """The ceiling that `rate` sets."""
        return parse_rate(self.rate) if self.rate else None


def load(**flags: Any) -> Settings:
    """Resolve the settings; a flag that is None was not given.

    Raises:
        UsageError: names every flag that is wrong.
        ConfigurationError: names every setting that is wrong, all at once.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    values = _over(_over(_named(_env_file()), _named(os.environ)), given)
    try:
        return Settings(**_checker().validate_python(values))
    except ValidationError as error:
        problems = {
            str(detail["loc"][0]): detail["msg"].removeprefix("Value error, ")
            for detail in error.errors(include_url=False, include_input=False)
        }
    if wrong_flags := [f"--{name.replace('_', '-')}: {problems[name]}." for name in problems if name in given]:
        raise UsageError("\n".join(wrong_flags), "See --help for what it takes.")
    wrong = "\n".join(f"  {_variable(name)}: {problem}." for name, problem in problems.items())
    raise ConfigurationError(
        f"These settings are wrong:\n{wrong}",
        "They come from the environment or from the file .env in this folder.",
    )


def _over(values: dict[str, Any], winners: dict[str, Any]) -> dict[str, Any]:
    """What is set in two places, of which one wins; the secret and the file that holds it are one setting."""
    if "client_secret_file" in winners:
        values = {name: value for name, value in values.items() if name != "client_secret"}
    return values | winners


@cache
def _checker() -> SchemaValidator:
    kinds = {each.name: each.metadata["kind"] for each in fields(Settings)}
    return SchemaValidator(
        core_schema.typed_dict_schema(
            {name: core_schema.typed_dict_field(kind, required=False) for name, kind in kinds.items()}
        )
    )


def _env_file() -> Mapping[str, str | None]:
    """What `.env` in this folder holds, if it is there.

    Raises:
        ConfigurationError: it can't be read, or is no text.
    """
    if not (_ENV_FILE.is_file() or _ENV_FILE.is_fifo()):
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - takes its time to import

    try:
        return dotenv_values(_ENV_FILE, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError("The file .env in this folder is not text in UTF-8.", "Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The file .env in this folder can't be read: {error.strerror}.", "Mend its rights, or remove it."
        ) from error


def _named(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """The settings among some variables, whose names may be written in any case. An empty one is none."""
    there = {name.upper(): value for name, value in variables.items() if value}
    found = {each.name: next(filter(None, map(there.get, _variables(each))), None) for each in fields(Settings)}
    return {name: value for name, value in found.items() if value is not None}


def _variables(setting: "Field[Any]") -> tuple[str, ...]:
    """What a setting is called in the environment; the first is its main name."""
    names: tuple[str, ...] = setting.metadata["names"]
    return names or (f"EBINGEST_{setting.name.upper()}",)


def _variable(name: str) -> str:
    return next(_variables(each)[0] for each in fields(Settings) if each.name == name)


def variables() -> dict[str, str]:
    """Every environment variable's main name, with what it is for."""
    return {_variables(each)[0]: each.metadata["description"] for each in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Given:
    """The names of the variables that are set, by where; `unknown` are named like settings, but are none."""

    environment: tuple[str, ...]
    env_file: tuple[str, ...]
    unknown: tuple[str, ...]


def given() -> Given:
    """Which variables are set, and where. One that stands in both places counts for the environment, which wins."""
    found = _env_file()
    environment = {_variable(name) for name in _named(os.environ)}
    env_file = {_variable(name) for name in _named(found)} - environment
    odd = {*_like_ours(os.environ), *_like_ours(found)} - set(variables())
    return Given(tuple(sorted(environment)), tuple(sorted(env_file)), tuple(sorted(odd)))


def _like_ours(names: Mapping[str, str | None]) -> Iterator[str]:
    return (name.upper() for name in names if name.upper().startswith("EBINGEST_"))
