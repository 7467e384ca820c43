"""An object store as data lake: moto's S3 on a real socket, in a process of its own, read back with obstore."""

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from lake_support import batch, entry, moto_server, refusing, silent, target
from obstore.store import S3Store
from support import line

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.lake.payload import encoder, event_lines, ndjson
from eventbridge_cli.lake.target import Content, Format


def request(method: str, url: str, body: bytes = b"") -> None:
    call = urllib.request.Request(url, body, {"Content-Type": "text/plain"}, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(call) as answer:  # noqa: S310 - loopback
        answer.read()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An S3 with one bucket, `lake`. Gives its URL."""
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket, and the environment that leads to it."""
    use(monkeypatch, moto)
    request("POST", f"{moto}/moto-api/reset")
    request("PUT", f"{moto}/lake")
    return S3Store("lake", client_options={"allow_http": True})


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP", "AWS_SESSION_TOKEN", "AWS_CONDITIONAL_PUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-c4n4ry")


def objects(store: S3Store) -> dict[str, bytes]:
    return {each["path"]: bytes(store.get(each["path"]).bytes()) for part in store.list() for each in part}


def test_a_batch_arrives_once(s3: S3Store) -> None:
    """One object for each date, under the prefix; a second put changes nothing, the name stays."""
    whole = batch(entry(0, line(0), line(1, eventTime="2026-03-05T00:00:00Z")), entry(1))
    lake = target("s3://lake/deep/er/", Content.EVENTS)
    asyncio.run(lake.put(whole))
    expected = {f"deep/er/{each.path}": each.data for each in event_lines(whole)}
    assert len(expected) == 2
    assert objects(s3) == expected
    before = list(s3.list())
    asyncio.run(lake.put(whole))
    assert list(s3.list()) == before
    asyncio.run(lake.aclose())


@pytest.mark.parametrize(
    ("content", "form"),
    [(Content.RECEIPTS, Format.NDJSON), (Content.EVENTS, Format.NDJSON), (Content.EVENTS, Format.PARQUET)],
)
def test_everything_can_be_put(s3: S3Store, content: Content, form: Format) -> None:
    """Receipts, events and Parquet arrive byte for byte, in a bucket without a prefix."""
    whole = batch()
    asyncio.run(target("s3://lake", content, form).put(whole))
    assert objects(s3) == {each.path: each.data for each in encoder(content, form)(whole)}


def test_what_is_there_is_not_written_again(s3: S3Store) -> None:
    """An object that has the name already counts as arrived, and stays."""
    whole = batch()
    path = f"date=2026-03-02/{whole.name}.ndjson"
    s3.put(path, b"first")
    asyncio.run(target("s3://lake").put(whole))
    assert objects(s3) == {path: b"first"}


def test_a_server_without_conditional_put(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put plainly, as often as one likes."""
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    lake, whole = target("s3://lake"), batch()
    asyncio.run(lake.put(whole))
    asyncio.run(lake.put(whole))
    assert objects(s3) == {f"date=2026-03-02/{whole.name}.ndjson": ndjson(whole, Content.RECEIPTS)}


def test_a_large_batch_is_one_object(s3: S3Store) -> None:
    """Twelve megabytes go in one piece."""
    whole = batch(entry(0, *(line(number, attributes={"text": "x" * 400_000}) for number in range(30))))
    asyncio.run(target("s3://lake", Content.EVENTS).put(whole))
    [data] = objects(s3).values()
    assert data == ndjson(whole, Content.EVENTS)


def test_the_check_writes_its_marker_alone(s3: S3Store) -> None:
    """The right to write is proved by writing, again and again; the marker is no data to readers of lakes."""
    lake = target("s3://lake/deep")
    asyncio.run(lake.check())
    asyncio.run(lake.check())
    assert list(objects(s3)) == ["deep/_ebingest"]


def test_a_missing_bucket(s3: S3Store) -> None:
    """The check fails with exit 3, a put for good."""
    lake = target("s3://nowhere/deep")
    with pytest.raises(ConfigurationError, match=r"s3://nowhere/deep .* NoSuchBucket") as caught:
        asyncio.run(lake.check())
    assert "Make the bucket or container" in caught.value.remedy
    with pytest.raises(TargetError, match="NoSuchBucket") as failed:
        asyncio.run(lake.put(batch()))
    assert failed.value.permanent
    assert objects(s3) == {}


def test_refused_credentials(moto: str, s3: S3Store) -> None:
    """A server that knows its users: the check fails with exit 3, a put for good, and no secret is shown."""
    lake = target("s3://lake")
    request("POST", f"{moto}/moto-api/reset-auth", b"0")
    try:
        with pytest.raises(ConfigurationError, match="HTTP 403 InvalidAccessKeyId") as caught:
            asyncio.run(lake.check())
        with pytest.raises(TargetError, match="HTTP 403 InvalidAccessKeyId") as failed:
            asyncio.run(lake.put(batch()))
    finally:
        request("POST", f"{moto}/moto-api/reset-auth", b"Infinity")
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    assert failed.value.permanent
    assert "c4n4ry" not in f"{caught.value}{failed.value}"
    assert objects(s3) == {}


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection fails the check, and is a passing fault of a put."""
    with refusing() as address:
        use(monkeypatch, f"http://{address}")
        lake = target("s3://lake")
        with pytest.raises(ConfigurationError, match="s3://lake can't be written to: Connection refused"):
            asyncio.run(lake.check())
        with pytest.raises(TargetError, match=r"s3://lake did not take batch .*: Connection refused") as caught:
            asyncio.run(lake.put(batch()))
    assert not caught.value.permanent


def test_plain_http_to_another_machine_is_asked_for(moto: str, s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is not that of loopback is spoken to in the clear with AWS_ALLOW_HTTP alone."""
    use(monkeypatch, moto.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104 - reaches loopback, and is not its address
    with pytest.raises(ConfigurationError, match="plain http is taken for this machine alone"):
        asyncio.run(target("s3://lake").check())
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    asyncio.run(target("s3://lake").check())
    assert list(objects(s3)) == ["_ebingest"]


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check says which variables to set. The machine's role is asked for at the address that is set for that."""
    with refusing() as address:
        use(monkeypatch, f"http://{address}")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://{address}")
        with pytest.raises(ConfigurationError, match="no credentials were found") as caught:
            asyncio.run(target("s3://lake").check())
    assert "Set AWS_ACCESS_KEY_ID" in caught.value.remedy


def test_a_put_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers holds up neither the event loop nor whoever waits no longer."""
    with silent() as address:
        use(monkeypatch, f"http://{address}")
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
        use(monkeypatch, f"http://{address}")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        codes = [subprocess.run([sys.executable, "-c", code], check=False).returncode for _ in range(10)]
    assert codes == [5] * 10
