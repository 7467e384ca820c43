"""An object store as data lake: two S3, an Azure and a Google, each on a real socket, in a process of its own."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from lake_support import (
    AZURE_ACCOUNT,
    AZURE_KEY,
    S3RVER_KEY,
    azurite_server,
    batch,
    call,
    entry,
    make_container,
    moto_server,
    refusing,
    s3rver_server,
    served,
    silent,
    target,
)
from obstore.store import AzureStore, GCSStore, S3Store
from support import line

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.lake.payload import encoder, event_lines, ndjson
from eventbridge_cli.lake.target import Content, Format

CANARY = b64encode(b"s3cr3t-c4n4ry").decode()

_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket or container, and what reads it back."""

    scheme: str
    name: str
    store: S3Store | AzureStore | GCSStore

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}"

    def objects(self) -> dict[str, bytes]:
        return {
            each["path"]: bytes(self.store.get(each["path"]).bytes()) for part in self.store.list() for each in part
        }

    def versions(self) -> list[object]:
        """What changes with each put."""
        return list(self.store.list())


@dataclass(frozen=True, slots=True)
class GoogleBucket(Bucket):
    """A bucket that is read by the JSON API, which obstore does not speak."""

    server: str

    def objects(self) -> dict[str, bytes]:
        return {each["name"]: read(each["mediaLink"]) for each in self._listed()}

    def versions(self) -> list[object]:
        return [each["generation"] for each in self._listed()]

    def _listed(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(read(f"{self.server}/storage/v1/b/{self.name}/o")).get("items", [])
        return items


def read(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An S3 that knows If-None-Match and takes any credentials."""
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def s3rver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 that knows its user and passes over If-None-Match."""
    with s3rver_server(tmp_path_factory.mktemp("s3rver")) as url:
        yield url


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    """An Azure Blob Storage that knows its account."""
    with azurite_server() as url:
        yield url


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    """A Google Cloud Storage that takes any credentials."""
    with served("google_storage.py") as url:
        yield url


@pytest.fixture(params=["moto", "s3rver", "azurite", "google"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of its own for each test at each server, and the environment that leads to it."""
    url, name = request.getfixturevalue(request.param), f"lake-{next(_NUMBERS)}"
    if request.param == "azurite":
        use_azure(monkeypatch, url)
        make_container(url, name)
        return Bucket("az", name, AzureStore(name, account_name=AZURE_ACCOUNT, client_options={"allow_http": True}))
    if request.param == "google":
        use_google(monkeypatch, url)
        call("POST", f"{url}/storage/v1/b", json.dumps({"name": name}).encode(), {"Content-Type": "application/json"})
        return GoogleBucket("gs", name, GCSStore(name, client_options={"allow_http": True}), url)
    use_s3(monkeypatch, url)
    call("PUT", f"{url}/{name}")
    return Bucket("s3", name, S3Store(name, client_options={"allow_http": True}))


def at(*servers: str) -> pytest.MarkDecorator:
    """A test that is for some of the servers."""
    return pytest.mark.parametrize("bucket", servers, indirect=True)


def use_s3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP", "AWS_SESSION_TOKEN", "AWS_CONDITIONAL_PUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3RVER_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3RVER_KEY)


def use_azure(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("AZURE_ENDPOINT", "AZURE_ALLOW_HTTP", "AZURE_STORAGE_SAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", url)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)


def use_google(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    monkeypatch.delenv("GOOGLE_ALLOW_HTTP", raising=False)
    monkeypatch.setenv("GOOGLE_BASE_URL", url)


def test_a_batch_arrives_once(bucket: Bucket) -> None:
    """One object for each date, under the prefix; a second put leaves the same, the name stays."""
    whole = batch(entry(0, line(0), line(1, eventTime="2026-03-05T00:00:00Z")), entry(1))
    lake = target(f"{bucket.url}/deep/er/", Content.EVENTS)
    asyncio.run(lake.put(whole))
    expected = {f"deep/er/{each.path}": each.data for each in event_lines(whole)}
    assert len(expected) == 2
    assert bucket.objects() == expected
    asyncio.run(lake.put(whole))
    assert bucket.objects() == expected
    asyncio.run(lake.aclose())


@pytest.mark.parametrize(
    ("content", "form"),
    [(Content.RECEIPTS, Format.NDJSON), (Content.EVENTS, Format.NDJSON), (Content.EVENTS, Format.PARQUET)],
)
def test_everything_can_be_put(bucket: Bucket, content: Content, form: Format) -> None:
    """Receipts, events and Parquet arrive byte for byte, in a bucket without a prefix."""
    whole = batch()
    asyncio.run(target(bucket.url, content, form).put(whole))
    assert bucket.objects() == {each.path: each.data for each in encoder(content, form)(whole)}


@at("moto", "azurite", "google")
def test_what_is_there_is_not_written_again(bucket: Bucket) -> None:
    """An object that has the name already counts as arrived, and stays."""
    whole = batch()
    path = f"date=2026-03-02/{whole.name}.ndjson"
    bucket.store.put(path, b"first")
    before = bucket.versions()
    asyncio.run(target(bucket.url).put(whole))
    assert bucket.objects() == {path: b"first"}
    assert bucket.versions() == before


@at("moto", "s3rver")
def test_a_server_without_conditional_put(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put plainly, as often as one likes."""
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    lake, whole = target(bucket.url), batch()
    asyncio.run(lake.put(whole))
    asyncio.run(lake.put(whole))
    assert bucket.objects() == {f"date=2026-03-02/{whole.name}.ndjson": ndjson(whole, Content.RECEIPTS)}


def test_a_large_batch_is_one_object(bucket: Bucket) -> None:
    """Twelve megabytes go in one piece."""
    whole = batch(entry(0, *(line(number, attributes={"text": "x" * 400_000}) for number in range(30))))
    asyncio.run(target(bucket.url, Content.EVENTS).put(whole))
    [data] = bucket.objects().values()
    assert data == ndjson(whole, Content.EVENTS)


def test_the_check_writes_its_marker_alone(bucket: Bucket) -> None:
    """The right to write is proved by writing, again and again; the marker is no data to readers of lakes."""
    lake = target(f"{bucket.url}/deep")
    asyncio.run(lake.check())
    asyncio.run(lake.check())
    assert list(bucket.objects()) == ["deep/_ebingest"]


def test_a_missing_bucket(bucket: Bucket) -> None:
    """The check fails with exit 3, a put for good."""
    lake = target(f"{bucket.scheme}://nowhere/deep")
    missing = r"://nowhere/deep .*: HTTP 404"
    with pytest.raises(ConfigurationError, match=missing) as caught:
        asyncio.run(lake.check())
    assert "Make the bucket or container" in caught.value.remedy
    with pytest.raises(TargetError, match=missing) as failed:
        asyncio.run(lake.put(batch()))
    assert failed.value.permanent
    assert bucket.objects() == {}


@at("moto")
def test_refused_credentials(moto: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has been told to know nobody."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    call("POST", f"{moto}/moto-api/reset-auth", b"0")
    try:
        assert_refused(bucket, "AWS_SECRET_ACCESS_KEY", "InvalidAccessKeyId")
    finally:
        call("POST", f"{moto}/moto-api/reset-auth", b"Infinity")
    assert bucket.objects() == {}


@pytest.mark.parametrize(
    ("bucket", "variable", "code"),
    [
        ("s3rver", "AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
        ("azurite", "AZURE_STORAGE_ACCOUNT_KEY", "AuthorizationFailure"),
    ],
    indirect=["bucket"],
)
def test_wrong_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variable: str, code: str) -> None:
    """S3rver looks at who signed, Azurite at the signature too."""
    monkeypatch.setenv(variable, CANARY)
    assert_refused(bucket, variable, code)
    assert bucket.objects() == {}


def assert_refused(bucket: Bucket, variable: str, code: str) -> None:
    """The check fails with exit 3, a put for good; the remedy names the variable, and nothing shows what it holds."""
    lake = target(bucket.url)
    with pytest.raises(ConfigurationError, match=f"HTTP 403 {code}") as caught:
        asyncio.run(lake.check())
    with pytest.raises(TargetError, match=f"HTTP 403 {code}") as failed:
        asyncio.run(lake.put(batch()))
    assert variable in caught.value.remedy
    assert failed.value.permanent
    assert CANARY not in f"{caught.value}{failed.value}"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection fails the check, and is a passing fault of a put."""
    with refusing() as address:
        use_s3(monkeypatch, f"http://{address}")
        lake = target("s3://lake")
        with pytest.raises(ConfigurationError, match="s3://lake can't be written to: Connection refused"):
            asyncio.run(lake.check())
        with pytest.raises(TargetError, match=r"s3://lake did not take batch .*: Connection refused") as caught:
            asyncio.run(lake.put(batch()))
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("bucket", "endpoint", "permission"),
    [
        ("moto", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"),
        ("azurite", "AZURE_STORAGE_ENDPOINT", "AZURE_ALLOW_HTTP"),
    ],
    indirect=["bucket"],
)
def test_plain_http_to_another_machine_is_asked_for(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, endpoint: str, permission: str
) -> None:
    """An address that is not that of loopback is spoken to in the clear with the cloud's own permission alone."""
    loopback = os.environ[endpoint]
    monkeypatch.setenv(endpoint, loopback.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104 - leads there all the same
    with pytest.raises(ConfigurationError, match="plain http is taken for this machine alone") as caught:
        asyncio.run(target(bucket.url).check())
    assert f"{permission}=true" in caught.value.remedy
    monkeypatch.setenv(permission, "true")
    asyncio.run(target(bucket.url).check())
    assert list(bucket.objects()) == ["_ebingest"]


def test_google_is_spoken_to_in_the_clear_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although its client would take plain http from everywhere. On loopback it gets as far as the socket."""
    with refusing() as address:
        use_google(monkeypatch, f"http://{address}")
        with pytest.raises(ConfigurationError, match="gs://lake can't be written to: Connection refused"):
            asyncio.run(target("gs://lake").check())
        monkeypatch.setenv("GOOGLE_BASE_URL", f"http://{address.replace('127.0.0.1', '0.0.0.0')}")  # noqa: S104
        with pytest.raises(ConfigurationError, match="plain http is taken for this machine alone") as caught:
            asyncio.run(target("gs://lake").check())
        assert "GOOGLE_ALLOW_HTTP=true" in caught.value.remedy
        monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
        with pytest.raises(ConfigurationError, match="gs://lake can't be written to: Connection refused"):
            asyncio.run(target("gs://lake").check())


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check says which variables to set. The machine's role is asked for at the address that is set for that."""
    with refusing() as address:
        use_s3(monkeypatch, f"http://{address}")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://{address}")
        with pytest.raises(ConfigurationError, match="no credentials were found") as caught:
            asyncio.run(target("s3://lake").check())
    assert "Set AWS_ACCESS_KEY_ID" in caught.value.remedy


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("s3://lake", "AWS_ACCESS_KEY_ID"),
        ("s3://lake", "AWS_SESSION_TOKEN"),
        ("s3://lake", "AWS_REGION"),
        ("s3://lake", "AWS_DEFAULT_REGION"),
        ("az://lake", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://lake", "AZURE_STORAGE_TOKEN"),
    ],
)
def test_a_line_end_in_a_variable(monkeypatch: pytest.MonkeyPatch, url: str, variable: str) -> None:
    """As a secret that was read from a file has it: the variable is named, what it holds is not shown."""
    monkeypatch.setenv(variable, f"{CANARY}\n")
    with pytest.raises(
        ConfigurationError, match=f"{url} can't be opened: {variable} holds the end of a line"
    ) as caught:
        target(url)
    assert CANARY not in str(caught.value)


def test_a_put_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers holds up neither the event loop nor whoever waits no longer."""
    with silent() as address:
        use_s3(monkeypatch, f"http://{address}")
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(target("s3://lake").put(batch()), 0.2))


def test_the_process_ends_in_order_right_after_a_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is its own, although a failed put was the last thing it did."""
    code = (
        "import asyncio, sys\n"
        "from lake_support import batch, target\n"
        "from eventbridge_cli.errors import TargetError\n"
        "try: asyncio.run(target('s3://lake').put(batch()))\n"
        "except TargetError as error: sys.exit(error.exit_code)\n"
    )
    with refusing() as address:
        use_s3(monkeypatch, f"http://{address}")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        codes = [subprocess.run([sys.executable, "-c", code], check=False).returncode for _ in range(10)]
    assert codes == [5] * 10
