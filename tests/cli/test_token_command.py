"""`ebingest token`, run as a user runs it, against the stand-in platform."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import ebingest, lines, scripted

from eventbridge_cli.sandbox.process import SandboxProcess


def settings(sandbox: SandboxProcess) -> dict[str, str]:
    return {
        "GENESYS_ENV": sandbox.url,
        "GENESYS_CLIENT_ID": sandbox.client_id,
        "GENESYS_CLIENT_SECRET": sandbox.client_secret,
    }


def test_masked_by_default(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Without --reveal only the last four characters are shown, in text and in JSON."""
    run = ebingest("token", cwd=tmp_path, env=settings(sandbox), check=[0])
    assert run.stdout.startswith(b"****")
    assert len(run.stdout.strip()) == 8
    document = json.loads(ebingest("token", "-o", "json", cwd=tmp_path, env=settings(sandbox), check=[0]).stdout)
    assert document["access_token"].startswith("****")
    assert document["scope"] == "eventbridge:ingest"
    assert 0 < document["seconds_left"] <= 3600


def test_reveal_prints_the_bare_token_and_nothing_else(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """--reveal: one line, ready for a shell variable; stderr stays empty."""
    run = ebingest("token", "--reveal", cwd=tmp_path, env=settings(sandbox), check=[0])
    assert run.stderr == b""
    assert len(run.stdout.split()) == 1
    assert len(run.stdout) > 40


def test_header_is_ready_to_use(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """--header prints an Authorization line."""
    run = ebingest("token", "--header", cwd=tmp_path, env=settings(sandbox), check=[0])
    assert run.stdout.startswith(b"Authorization: Bearer ")


def test_the_secret_may_come_from_a_file(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """GENESYS_CLIENT_SECRET_FILE is read, its line break left out; the platform CLI's names work as well."""
    (tmp_path / "secret").write_text(sandbox.client_secret + "\n", encoding="utf-8")
    env = {
        "GENESYSCLOUD_REGION": sandbox.url,
        "GENESYSCLOUD_OAUTHCLIENT_ID": sandbox.client_id,
        "GENESYS_CLIENT_SECRET_FILE": "secret",
    }
    ebingest("token", cwd=tmp_path, env=env, check=[0])


def test_wrong_credentials_name_id_secret_and_region(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Exit 3, and the message names what to check, without the secret."""
    env = settings(sandbox) | {"GENESYS_CLIENT_SECRET": "wr0ng-c4n4ry"}
    run = ebingest("token", cwd=tmp_path, env=env, check=[3])
    for word in (b"GENESYS_CLIENT_ID", b"GENESYS_CLIENT_SECRET", b"region", sandbox.url.encode()):
        assert word in run.stderr
    assert b"wr0ng-c4n4ry" not in run.stderr


@pytest.mark.parametrize(
    "lifetime", [str(10**400), "1e999", "Infinity", "-Infinity", "NaN", "-1", "0", "null", '"soon"', "1e11"]
)
def test_a_lifetime_that_makes_no_sense_is_not_known(tmp_path: Path, lifetime: str) -> None:
    """The token serves, and nothing is said of its lifetime."""
    body = f'{{"access_token": "t0k3n", "expires_in": {lifetime}}}'
    with scripted({"tokens": [{"body": body}] * 3}) as url:
        env = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "y"}
        run = ebingest("token", "-o", "json", cwd=tmp_path, env=env, check=[0])
        assert json.loads(run.stdout)["seconds_left"] is None
        assert b"good for" not in ebingest("token", cwd=tmp_path, env=env, check=[0]).stderr
        ebingest("ingest", cwd=tmp_path, env=env, stdin=lines(3), check=[0])


PAGE = "<!doctype html><title>No</title>"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "body": {"message": "not found"}},
        {"status": 404, "body": PAGE},
        {"status": 405, "body": ""},
        {"status": 410, "body": ""},
        {"status": 302, "headers": {"Location": "/"}, "body": ""},
        {"status": 406, "body": PAGE},
        {"body": PAGE},
    ],
    ids=lambda answer: f"{answer.get('status', 200)} {'page' if answer['body'] == PAGE else ''}",
)
def test_what_is_no_token_endpoint_is_named(tmp_path: Path, answer: dict[str, Any]) -> None:
    """Exit 3 with the URL and the settings that give it, and not a word of the credentials."""
    with scripted({"tokens": [answer]}) as url:
        env = {"GENESYS_TOKEN_URL": f"{url}/some/token", "GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "y"}
        said = ebingest("token", cwd=tmp_path, env=env, check=[3]).stderr.decode()
    for word in (f"{url}/some/token", "GENESYS_TOKEN_URL", "GENESYS_ENV"):
        assert word in said
    assert "GENESYS_CLIENT" not in said
    assert "<" not in said


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "body": {"error": "invalid_client", "error_description": "got Basic aWQ6czNjcjN0LWM0bjRyeQ=="}},
        {"status": 401, "body": "who is Basic aWQ6czNjcjN0LWM0bjRyeQ==, or s3cr3t-c4n4ry?"},
        {"status": 201, "body": "access_token=t0k3n-c4n4ry&token_type=bearer"},
    ],
    ids=["json", "text", "a token"],
)
def test_an_answer_that_quotes_a_secret_gives_nothing_away(tmp_path: Path, answer: dict[str, Any]) -> None:
    """Neither the secret, as it is and as it was sent, nor a token in an answer that can't be understood is shown."""
    with scripted({"tokens": [answer]}) as url:
        env = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s3cr3t-c4n4ry"}
        said = ebingest("token", cwd=tmp_path, env=env, check=[3]).stderr.decode()
    assert f"HTTP {answer['status']}" in said
    assert not [word for word in ("aWQ6czNjcjN0", "c4n4ry") if word in said]


@pytest.mark.parametrize("status", [400, 401, 403, 422])
@pytest.mark.parametrize("body", [{"error": "invalid_client"}, PAGE], ids=["json", "page"])
def test_a_refusal_is_one_of_the_credentials(tmp_path: Path, status: int, body: dict[str, str] | str) -> None:
    """Exit 3 with the credentials; a page says that the URL may be wrong as well, or that it is."""
    with scripted({"tokens": [{"status": status, "body": body}]}) as url:
        env = {"GENESYS_TOKEN_URL": f"{url}/token", "GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "y"}
        said = ebingest("token", cwd=tmp_path, env=env, check=[3]).stderr.decode()
    assert ("GENESYS_CLIENT_SECRET" in said) == (body != PAGE or status != 422)
    assert ("GENESYS_TOKEN_URL" in said) == (body == PAGE)
    assert "<" not in said


def test_all_missing_settings_are_named_at_once(tmp_path: Path) -> None:
    """Exit 3, every missing setting by name, and a way to try the tool without a platform."""
    run = ebingest("ingest", "-", cwd=tmp_path, check=[3])
    for word in (b"GENESYS_ENV", b"GENESYS_CLIENT_ID", b"GENESYS_CLIENT_SECRET", b"--sandbox"):
        assert word in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://events.example.com", "https://user:pw@host.example", "nowhere-1"])
def test_a_place_that_can_not_be_right_is_refused(tmp_path: Path, url: str) -> None:
    """Plain http to another machine, a password in a URL, an unknown region: exit 3 before anything is sent."""
    env = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "y"}
    run = ebingest("token", cwd=tmp_path, env=env, check=[3])
    assert b"pw" not in run.stderr


def test_a_ready_token_is_used_as_it_is(tmp_path: Path) -> None:
    """GENESYS_ACCESS_TOKEN needs no platform."""
    run = ebingest("token", "--reveal", cwd=tmp_path, env={"GENESYS_ACCESS_TOKEN": "ready-made"}, check=[0])
    assert run.stdout == b"ready-made\n"
