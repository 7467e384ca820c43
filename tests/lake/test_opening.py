"""Which URLs open which target, and what is said of the others."""

import sys

import pytest
from lake_support import SECRET, target

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.lake.opening import open_target
from eventbridge_cli.lake.target import Content, Format
from eventbridge_cli.settings import load


@pytest.fixture(autouse=True)
def _clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("az://container/a", "az://container/a"),
        ("kafka://127.0.0.1/topic", "kafka://127.0.0.1:9092/topic"),
        ("kafka://127.0.0.1:9,[::1]:10/topic", "kafka://127.0.0.1:9,[::1]:10/topic"),
        ("https://lake.example.com/in", "https://lake.example.com/in"),
        ("http://127.0.0.1:8080/in", "http://127.0.0.1:8080/in"),
    ],
)
def test_a_target_is_named_by_its_url(url: str, name: str) -> None:
    """The name stays the same from run to run, and however the URL is written."""
    assert target(url).name == name


def test_a_query_is_not_shown() -> None:
    """It may hold a key; two queries are two targets all the same."""
    first, second = (target(f"https://lake.example.com/in?code={code}").name for code in ("k3y-one", "k3y-two"))
    assert first != second
    assert first.startswith("https://lake.example.com/in?")
    assert "k3y" not in first + second


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/data/lake", "file:"),
        ("ftp://host/x", "ftp: is no kind of data lake"),
        ("file:data", "file:data names no folder of this machine"),
        ("file://server/data", "no folder of this machine"),
        ("file:///data/%00", "no folder of this machine"),
        ("s3://", "no place in a bucket"),
        ("s3://bucket/a//b", "no place in a bucket"),
        ("s3://bucket/../b", "no place in a bucket"),
        ("s3://bucket/a?region=x", "goes on after"),
        ("kafka://host:9092", "names no topic"),
        ("kafka://host:9092/a/b", "names no topic"),
        ("kafka://host:9092/a%20b", "names no topic"),
        ("kafka://host:9092/caf\udce9", "names no topic"),
        ("kafka:///topic", "names no broker"),
        ("kafka://host:port/topic", "names no broker"),
        ("kafka://caf\udce9/topic", "names no broker"),
        ("kafka://host:9092,/topic", "names no broker"),
        ("https:///path", "no URL of a server"),
        ("https://host:port/path", "no URL of a server"),
        ("https://host:65536/path", "no URL of a server"),
        ("https://[::1/path", "can't be read"),
        ("http://lake.example.com/in", "in the clear"),
    ],
)
def test_a_wrong_url_is_explained(url: str, said: str) -> None:
    """Each names what is wrong and what to do, and nothing has been asked of any server."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        target(url)
    assert caught.value.remedy


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "kafka", "https", "http", "file"])
def test_passwords_in_urls_are_refused(scheme: str) -> None:
    """And not repeated."""
    with pytest.raises(ConfigurationError, match="user name or password") as caught:
        target(f"{scheme}://someone:s3cr3t-c4n4ry@127.0.0.1/x")
    assert "c4n4ry" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("lake.example.com/in?code=k3y-c4n4ry", "without a scheme"),
        ("some_one:s3cr3t-c4n4ry@lake.example.com/in", "without a scheme"),
        ("https://someone:s3cr3t-c4n4ry-\N{ACCOUNT OF}@lake.example.com/in", "can't be read"),
    ],
)
def test_a_wrong_url_keeps_its_secrets(url: str, said: str) -> None:
    """Whatever is wrong with it, its key or password is not repeated."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        target(url)
    assert "c4n4ry" not in f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("url", "content", "said"),
    [
        ("s3://bucket", Content.RECEIPTS, "Receipts can't be written as Parquet"),
        ("kafka://127.0.0.1/topic", Content.EVENTS, "Parquet can't be sent to a kafka: target"),
        ("https://lake.example.com/in", Content.EVENTS, "Parquet can't be sent to a https: target"),
    ],
)
def test_parquet_is_for_events_in_files(url: str, content: Content, said: str) -> None:
    """Receipts are no table, and a message or a POST no file."""
    with pytest.raises(ConfigurationError, match=said):
        target(url, content, Format.PARQUET)


@pytest.mark.parametrize(
    ("module", "url", "form", "extra"),
    [
        ("obstore", "s3://bucket", Format.NDJSON, "s3"),
        ("confluent_kafka", "kafka://127.0.0.1/topic", Format.NDJSON, "kafka"),
        ("pyarrow", "file:///data", Format.PARQUET, "parquet"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, form: Format, extra: str
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=f"needs {module}") as caught:
        target(url, Content.EVENTS, form)
    assert caught.value.remedy == f"Install it with: pip install 'ebingest[{extra}]'"


def test_azure_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cloud's variables lack is said before anything is sent."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(ConfigurationError, match="az://container can't be opened") as caught:
        target("az://container")
    assert "AZURE_STORAGE_ACCOUNT_NAME" in caught.value.remedy


def test_a_webhook_needs_a_secret() -> None:
    """Nothing goes out unsigned."""
    with pytest.raises(ConfigurationError, match="no secret") as caught:
        open_target("https://lake.example.com/in", content=Content.RECEIPTS, form=Format.NDJSON)
    assert "EBINGEST_WEBHOOK_SECRET" in caught.value.remedy


def test_settings_of_kafka_go_by_librdkafkas_names() -> None:
    """What is not set is left to librdkafka."""
    assert load().kafka() == {"security.protocol": "PLAINTEXT"}
    settings = load(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="someone",
        kafka_sasl_password=SECRET.get_secret_value(),
        kafka_ssl_ca_location="ca.pem",
    )
    assert settings.kafka() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "someone",
        "sasl.password": "s3cr3t-c4n4ry",
        "ssl.ca.location": "ca.pem",
    }
    assert "c4n4ry" not in repr(settings)


def test_a_log_in_that_would_not_be_used_is_refused() -> None:
    """A password without SASL would be left out in silence."""
    with pytest.raises(ConfigurationError, match="EBINGEST_KAFKA_SASL_USERNAME is set, but SSL has no log-in"):
        load(kafka_security_protocol="SSL", kafka_sasl_username="someone").kafka()
