"""Where settings come from, and what is said of wrong ones."""

import os
import threading
from pathlib import Path

import pytest

from eventbridge_cli.endpoints import endpoints
from eventbridge_cli.errors import ConfigurationError, UsageError
from eventbridge_cli.secret import Secret
from eventbridge_cli.settings import given, load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def env_file(text: str) -> None:
    Path(".env").write_text(text, encoding="utf-8")


def test_flags_win_over_the_environment_which_wins_over_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest word counts; what nobody says is the default."""
    env_file("EBINGEST_CONCURRENCY=2\nEBINGEST_CHUNK_EVENTS=20\nEBINGEST_TIMEOUT=1.5\n")
    monkeypatch.setenv("EBINGEST_CONCURRENCY", "3")
    monkeypatch.setenv("EBINGEST_CHUNK_EVENTS", "30")
    found = load(concurrency=4, chunk_events=None)
    assert (found.concurrency, found.chunk_events, found.timeout, found.max_attempts) == (4, 30, 1.5, 8)


def test_the_secret_and_its_file_are_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the environment names wins over a secret in .env; where both stand there, the secret does."""
    Path("secret").write_text("of the file\n", encoding="utf-8")
    env_file("GENESYS_CLIENT_SECRET=of .env\n")
    monkeypatch.setenv("GENESYS_CLIENT_SECRET_FILE", "secret")
    found = load().secret()
    assert found is not None
    assert found.get_secret_value() == "of the file"
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", "of the environment")
    found = load().secret()
    assert found is not None
    assert found.get_secret_value() == "of the environment"


def test_each_name_counts_in_any_case_and_empty_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool's own name comes before the platform CLI's; an empty variable is as good as none."""
    env_file("OURS=euw2\nGENESYS_ENV=${OURS}.pure.cloud\ngenesys_client_id=file\n")
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_ID", "environment")
    monkeypatch.setenv("GENESYSCLOUD_ACCESS_TOKEN", "theirs")
    monkeypatch.setenv("GENESYS_ACCESS_TOKEN", "ours")
    monkeypatch.setenv("EBINGEST_RATE", "")
    monkeypatch.setenv("EBINGEST_RETAE", "1")
    found = load()
    assert (found.client_id, found.env, found.rate) == ("environment", "euw2.pure.cloud", None)
    assert found.access_token is not None
    assert found.access_token.get_secret_value() == "ours"
    names = given()
    assert names.environment == ("GENESYS_ACCESS_TOKEN", "GENESYS_CLIENT_ID")
    assert (names.env_file, names.unknown) == (("GENESYS_ENV",), ("EBINGEST_RETAE",))


def test_texts_become_what_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, switches, paths, lists and secrets; a secret never shows itself."""
    texts = {"JOBS": " 3 ", "OTLP": "on", "SYNC_REQUIRED": "0", "STATE": "~state", "KEY": "interactionId, eventType"}
    texts |= {"SYNC": "file:///a, kafka://b:1,c:2/t  s3://d", "WEBHOOK_SECRET": "hush", "SYNC_CONTENT": "events"}
    for name, text in texts.items():
        monkeypatch.setenv(f"EBINGEST_{name}", text)
    found = load()
    assert (found.jobs, found.otlp, found.sync_required, found.state) == (3, True, False, Path("~state"))
    assert found.key == ("interactionId", "eventType")
    assert found.sync == ("file:///a", "kafka://b:1,c:2/t", "s3://d")
    assert found.sync_content == "events"
    assert isinstance(found.webhook_secret, Secret)
    assert "hush" not in repr(found) + str(found.webhook_secret)


def test_all_wrong_settings_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables' names, with what each takes; no value is quoted, for it may be a secret."""
    env_file("EBINGEST_CHUNK_EVENTS=many\n")
    monkeypatch.setenv("EBINGEST_CONCURRENCY", "0")
    monkeypatch.setenv("EBINGEST_RATE", "fast")
    monkeypatch.setenv("EBINGEST_SYNC_FORMAT", "xml")
    monkeypatch.setenv("EBINGEST_OTLP", "perhaps")
    with pytest.raises(ConfigurationError) as told:
        load()
    text = str(told.value)
    others = "RATE: a rate is written as in", "OTLP: Input should be on or off"
    for said in ("CHUNK_EVENTS: ", "CONCURRENCY: ", "SYNC_FORMAT: ", *others):
        assert f"EBINGEST_{said}" in text
    assert not [value for value in ("many", "fast", "xml", "perhaps") if value in text]


def test_a_wrong_flag_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by the flag's name, before what is wrong elsewhere."""
    monkeypatch.setenv("EBINGEST_CONCURRENCY", "0")
    with pytest.raises(UsageError, match=r"--rate: a rate is written as in"):
        load(rate="fast")


@pytest.mark.parametrize("name", ["audit", "dead_letters", "metrics_textfile"])
def test_what_is_appended_to_or_replaced_is_a_file(name: str) -> None:
    """`-` would make a file of that name, where standard output was meant."""
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}: it has to be a file"):
        load(**{name: Path("-")})


def test_an_env_file_that_is_no_text() -> None:
    """It is refused by name."""
    Path(".env").write_bytes(b"GENESYS_CLIENT_ID=\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_an_env_file_that_is_a_named_pipe() -> None:
    """As keepers of secrets make it: what comes out of it counts."""
    os.mkfifo(".env")
    writer = threading.Thread(target=env_file, args=("GENESYS_CLIENT_ID=from a pipe\n",))
    writer.start()
    assert load().client_id == "from a pipe"
    writer.join()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("https://user:s3cr3t@host:99999/x", "no URL of a server"),
        ("foo..bar", "no URL of a server"),
        ("https://" + "a" * 64 + ".example", "no URL of a server"),
        ("http://127.0.0.1:1/base/?q=1", "a query or a fragment"),
        ("https://host/#f", "a query or a fragment"),
    ],
)
def test_an_address_that_is_none(env: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at once, and without the password that may stand in it."""
    monkeypatch.setenv("GENESYS_ENV", env)
    with pytest.raises(ConfigurationError, match=said) as caught:
        endpoints(load())
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["GENESYS_TOKEN_URL", "GENESYS_INGEST_URL"])
def test_an_endpoint_that_is_none_is_told_by_its_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is about what was given."""
    monkeypatch.setenv("GENESYS_ENV", "mypurecloud.de")
    monkeypatch.setenv(name, "foo?key=s3cr3t")
    with pytest.raises(ConfigurationError, match="foo is no URL") as caught:
        endpoints(load())
    assert name in caught.value.remedy


@pytest.mark.parametrize(
    "env", ["mypurecloud.de", "https://mypurecloud.de", "https://apps.mypurecloud.de/", "eu-central-1"]
)
def test_the_platform_by_any_of_its_names(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain, a URL of it or the region: the platform's own hosts."""
    monkeypatch.setenv("GENESYS_ENV", env)
    assert endpoints(load()).ingest_url == "https://api.mypurecloud.de/api/v2/events/ingest"


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`~` in a setting or a flag is the user's home, which no shell has put there; with no home it stays."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EBINGEST_AUDIT", "~/a.jsonl")
    found = load(state=Path("~/state"), summary_file=Path("~no-such-user/s.json"))
    assert (found.audit, found.state) == (tmp_path / "a.jsonl", tmp_path / "state")
    assert found.summary_file == Path("~no-such-user/s.json")
