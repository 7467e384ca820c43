"""Every setting, resolved in one place: flags win over the environment, which wins over `.env`."""

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from eventbridge_cli.errors import ConfigurationError, UsageError

REGIONS = {
    "mypurecloud.com": "us-east-1",
    "use2.us-gov-pure.cloud": "us-east-2",
    "usw2.pure.cloud": "us-west-2",
    "cac1.pure.cloud": "ca-central-1",
    "sae1.pure.cloud": "sa-east-1",
    "mxc1.pure.cloud": "mx-central-1",
    "mypurecloud.ie": "eu-west-1",
    "euw2.pure.cloud": "eu-west-2",
    "mypurecloud.de": "eu-central-1",
    "euc2.pure.cloud": "eu-central-2",
    "edee1.eusc-pure.cloud": "eusc-de-east-1",
    "mec1.pure.cloud": "me-central-1",
    "aps1.pure.cloud": "ap-south-1",
    "mypurecloud.jp": "ap-northeast-1",
    "apne2.pure.cloud": "ap-northeast-2",
    "apne3.pure.cloud": "ap-northeast-3",
    "apse1.pure.cloud": "ap-southeast-1",
    "mypurecloud.com.au": "ap-southeast-2",
}
"""The platform's domains and the AWS region of each, as the platform publishes them."""

_DOMAINS = {region: domain for domain, region in REGIONS.items()}
_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "hour": 3600.0}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([a-z]+)")
_BETWEEN_URLS = re.compile(r"\s+|,(?=\s|[A-Za-z][A-Za-z0-9+.-]*:/)")
_ENVIRONMENT_REMEDY = "Give GENESYS_ENV a domain such as mypurecloud.de, an AWS region such as eu-central-1, or a URL."


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


def _split_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _split_urls(value: object) -> object:
    """URLs with spaces or commas between them; a comma within one, as between Kafka's brokers, is part of it."""
    return tuple(filter(None, _BETWEEN_URLS.split(value))) if isinstance(value, str) else value


def _genesys(name: str, *platform_cli: str) -> AliasChoices:
    return AliasChoices(f"GENESYS_{name}", *(f"GENESYSCLOUD_{other}" for other in platform_cli))


class Settings(BaseSettings):
    """All settings of a run. Frozen; made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix="EBINGEST_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    env: str | None = Field(
        None,
        validation_alias=_genesys("ENV", "REGION"),
        description="Genesys Cloud domain, AWS region name, another host, or a URL.",
    )
    client_id: str | None = Field(
        None, validation_alias=_genesys("CLIENT_ID", "OAUTHCLIENT_ID"), description="OAuth client id."
    )
    client_secret: SecretStr | None = Field(
        None,
        validation_alias=_genesys("CLIENT_SECRET", "OAUTHCLIENT_SECRET"),
        description="OAuth client secret.",
    )
    client_secret_file: Path | None = Field(
        None,
        validation_alias=_genesys("CLIENT_SECRET_FILE"),
        description="A file that holds the secret, used where the secret itself is not given.",
    )
    access_token: SecretStr | None = Field(
        None,
        validation_alias=_genesys("ACCESS_TOKEN", "ACCESS_TOKEN"),
        description="A token to use as it is; id and secret are then not needed.",
    )
    scope: str = Field("eventbridge:ingest", validation_alias=_genesys("SCOPE"), description="OAuth scope to ask for.")
    token_url: str | None = Field(
        None, validation_alias=_genesys("TOKEN_URL"), description="Token endpoint, in place of GENESYS_ENV's."
    )
    ingest_url: str | None = Field(
        None,
        validation_alias=_genesys("INGEST_URL"),
        description="Ingest endpoint, in place of GENESYS_ENV's.",
    )

    audit: Path = Field(Path("ingestion_audit.jsonl"), description="Audit file; appended to.")
    dead_letters: Path = Field(Path("dead_letters.ndjson"), description="Where bad records are kept.")
    summary_file: Path | None = Field(None, description="Write the summary there as JSON.")
    metrics_textfile: Path | None = Field(
        None, description="Write Prometheus metrics there, for the textfile collector; the name ends in .prom."
    )
    otlp: bool = Field(
        default=False,
        description="Send traces to an OpenTelemetry collector; the OTEL_ variables say where (on or off).",
    )
    state: Path | None = Field(None, description="Folder of the delivered keys; by default the user's state folder.")
    remember: float = Field(7, ge=0, description="Days for which delivered keys are kept.")
    key: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)] = Field(
        ("interactionId", "eventType", "eventTime"),
        description="Field paths, with commas between them, that make two events copies of each other.",
    )
    window: float | None = Field(None, gt=0, description="Seconds of event time for which a key is remembered.")
    window_size: int | None = Field(None, ge=1, description="How many keys are remembered.")
    max_record_bytes: int = Field(1_000_000, ge=100, description="A longer record is rejected.")
    jobs: int | None = Field(
        None, ge=1, le=64, description="Processes that share the work; by default as many as there are cores to use."
    )
    chunk_events: int = Field(100, ge=1, le=100, description="Events in a request, at most.")
    chunk_bytes: int = Field(500_000, ge=200, le=500_000, description="Bytes in a request, at most.")
    concurrency: int = Field(5, ge=1, le=100, description="Requests in flight at once, at most.")
    rate: Annotated[str, AfterValidator(_rate_text)] | None = Field(
        None, description="Requests, at most, as in 240/min."
    )
    timeout: float = Field(30, gt=0, description="Seconds to wait for an answer.")
    max_attempts: int = Field(8, ge=1, description="POSTs of a chunk before it is left pending.")
    max_elapsed: float = Field(300, gt=0, description="Seconds of retries before a chunk is left pending.")
    max_wait: float = Field(180, ge=0, description="A longer Retry-After (seconds) ends the run, all pending.")

    max_duration: float | None = Field(None, gt=0, description="Seconds after which the run ends, the rest pending.")
    grace: float = Field(30, ge=0, description="Seconds for requests in flight to settle when a run is interrupted.")
    lock_wait: float = Field(0, ge=0, description="Seconds to wait for another run that holds the state.")

    sync: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_urls)] = Field(
        (), description="URLs of the data lake that gets what is delivered, with spaces or commas between them."
    )
    sync_content: Literal["receipts", "events"] = Field(
        "receipts", description="What it gets: receipts, or the events themselves."
    )
    sync_format: Literal["ndjson", "parquet"] = Field("ndjson", description="How: ndjson, or (events) parquet.")
    sync_grace: float = Field(30, ge=0, description="Seconds for the data lake to get the rest when a run ends.")
    sync_required: bool = Field(
        default=False, description="Exit code 5 if the data lake did not get everything (on or off)."
    )
    webhook_secret: SecretStr | None = Field(None, description="Secret that signs what is posted to a webhook.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to speak to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How to log in to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_sasl_username: str | None = Field(None, description="User name for Kafka.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password for Kafka.")
    kafka_ssl_ca_location: Path | None = Field(None, description="File of the authorities that vouch for Kafka.")
    kafka_ssl_certificate_location: Path | None = Field(None, description="File of the client's certificate for Kafka.")
    kafka_ssl_key_location: Path | None = Field(None, description="File of that certificate's private key.")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="Password of that private key.")

    def secret(self) -> SecretStr | None:
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
        return SecretStr(text)

    def kafka(self) -> dict[str, str]:
        """What of Kafka is set, by the names that librdkafka gives its properties. It holds passwords.

        Raises:
            ConfigurationError: there is a user name or password, and a protocol that would not use it.
        """
        given = {name: getattr(self, name) for name in type(self).model_fields if name.startswith("kafka_")}
        sasl = [name for name, value in given.items() if name.startswith("kafka_sasl_") and value is not None]
        if sasl and not self.kafka_security_protocol.startswith("SASL_"):
            raise ConfigurationError(
                f"{_variable(sasl[0])} is set, but {self.kafka_security_protocol} has no log-in.",
                "Set EBINGEST_KAFKA_SECURITY_PROTOCOL to SASL_SSL.",
            )
        return {
            name.removeprefix("kafka_").replace("_", "."): value.get_secret_value()
            if isinstance(value, SecretStr)
            else str(value)
            for name, value in given.items()
            if value is not None
        }

    def against(self, url: str, client_id: str, client_secret: str) -> "Settings":
        """The same settings for another platform, whatever the environment says of where to send."""
        platform = {"env": url, "client_id": client_id, "client_secret": SecretStr(client_secret)}
        overrides = dict.fromkeys(("access_token", "token_url", "ingest_url", "client_secret_file"))
        return self.model_copy(update={**overrides, **platform})

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
    try:
        return Settings(**given)
    except UnicodeDecodeError as error:
        raise ConfigurationError("The file .env in this folder is not text in UTF-8.", "Save it as UTF-8.") from error
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


def _variable(name: str) -> str:
    """What a setting is called in the environment."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"EBINGEST_{name.upper()}"


def variables() -> dict[str, str]:
    """Every environment variable's main name, with what it is for."""
    return {_variable(name): field.description or "" for name, field in Settings.model_fields.items()}


@dataclass(frozen=True, slots=True)
class Given:
    """The names of the variables that are set, by where; `unknown` are named like settings, but are none."""

    environment: tuple[str, ...]
    env_file: tuple[str, ...]
    unknown: tuple[str, ...]


def given() -> Given:
    """Which variables are set, and where. One that stands in both places counts for the environment, which wins."""
    known = set(variables())
    environment = {_variable(name) for name in EnvSettingsSource(Settings)()}
    env_file = {_variable(name) for name in DotEnvSettingsSource(Settings)()} - environment
    odd = {name.upper() for name in os.environ if name.upper().startswith("EBINGEST_")} - known
    odd |= {f"EBINGEST_{name.upper()}" for name in env_file - known}
    return Given(tuple(sorted(environment)), tuple(sorted(env_file & known)), tuple(sorted(odd)))


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to get a token and where to send events."""

    token_url: str
    ingest_url: str
    region: str


def endpoints(settings: Settings) -> Endpoints:
    """Where `settings` say the platform is.

    Raises:
        ConfigurationError: there is no such region, a URL is no URL, or it is plain http to another machine.
    """
    token_url, ingest_url = _default_urls(settings.env) if settings.env else ("", "")
    found = Endpoints(
        settings.token_url or token_url,
        settings.ingest_url or ingest_url,
        settings.env or "as given by its URL",
    )
    for url in filter(None, (found.token_url, found.ingest_url)):
        _check_url(url)
    return found


def _default_urls(env: str) -> tuple[str, str]:
    name = env.strip().rstrip("/")
    domain = _DOMAINS.get(name.lower(), re.sub(r"^(https://)?(api|login|apps)\.", "", name.lower()))
    if domain in REGIONS:
        return f"https://login.{domain}/oauth/token", f"https://api.{domain}/api/v2/events/ingest"
    if "://" not in name:
        host = name.split(":")[0]
        if "." not in host and host != "localhost":
            raise ConfigurationError(f"GENESYS_ENV: {env} is no region that this version knows.", _ENVIRONMENT_REMEDY)
        name = f"https://{name}"
    return f"{name}/login/oauth2/token", f"{name}/api/v2/events/ingest"


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(f"{url} is no URL of a server.", _ENVIRONMENT_REMEDY)
    if parts.username or parts.password:
        raise ConfigurationError(
            f"The URL of {host} holds a user name or password.", "Give credentials by their own settings."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"{url} would send the secret and customer data in the clear.",
            "Use https. Plain http is taken for this machine (127.0.0.1, ::1, localhost) alone.",
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
