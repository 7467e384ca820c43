"""Kafka as data lake: librdkafka's stand-in for a cluster, in a process of its own, read back with a consumer."""

import asyncio
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import KafkaError
from lake_support import SECRET, batch, consume, entry, refusing, served, silent, target

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.lake.kafka import KafkaTarget
from eventbridge_cli.lake.target import Content

TOPIC = "receipts"


@pytest.fixture
def brokers() -> Iterator[str]:
    """A cluster of two brokers that has one topic."""
    with served("kafka_cluster.py", TOPIC) as addresses:
        yield addresses


def kafka(brokers: str, timeout: float = 30.0, properties: Mapping[str, str] | None = None) -> KafkaTarget:
    return KafkaTarget(urlsplit(f"kafka://{brokers}/{TOPIC}"), Content.RECEIPTS, properties or {}, timeout=timeout)


async def hand_over(lake: Any, *batches: Any) -> None:
    await lake.check()
    for each in batches:
        await lake.put(each)
    await lake.aclose()


def test_receipts_arrive_under_their_request_ids(brokers: str) -> None:
    """One message for each entry: key, value and header are as promised once put has returned."""
    whole = batch(*map(entry, range(20)))
    asyncio.run(hand_over(target(f"kafka://{brokers}/{TOPIC}"), whole))
    found = {message.key(): (message.value(), message.headers()) for message in consume(brokers, TOPIC)}
    assert found == {
        each.request_id.encode(): (each.receipt, [("request_id", each.request_id.encode())]) for each in whole.entries
    }


def test_events_arrive_one_by_one(brokers: str) -> None:
    """One message for each event, keyed by a digest of its bytes; the copy that a second try makes has the same key."""
    whole = batch(*map(entry, range(5)))
    asyncio.run(hand_over(target(f"kafka://{brokers}/{TOPIC}", Content.EVENTS), whole, whole))
    found = consume(brokers, TOPIC)
    bodies = {body: each.request_id.encode() for each in whole.entries for body in each.bodies}
    assert len(found) == 2 * len(bodies) == 20
    keys = {blake2b(body, digest_size=16).hexdigest().encode(): body for body in bodies}
    assert {message.key(): message.value() for message in found} == keys
    assert all(message.headers() == [("request_id", bodies[message.value() or b""])] for message in found)


def test_a_missing_topic_fails_the_check_and_is_not_made(brokers: str) -> None:
    """A typing error in the URL makes no topic, even where brokers make topics by themselves."""
    lake = target(f"kafka://{brokers}/receipt")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="There is no topic receipt at kafka://"):
            asyncio.run(lake.check())


def test_a_message_that_is_too_large_fails_for_good(brokers: str) -> None:
    """The error names what to change; what came before it has been settled."""
    large = entry(1, b'{"text":"' + b"x" * 2_000_000 + b'"}')
    lake = target(f"kafka://{brokers}/{TOPIC}", Content.EVENTS)
    with pytest.raises(TargetError, match="too large") as caught:
        asyncio.run(lake.put(batch(entry(0), large, entry(2))))
    assert caught.value.permanent
    assert "--chunk-bytes" in caught.value.remedy
    assert len(consume(brokers, TOPIC)) == 2


def test_a_cluster_that_went_away_is_a_passing_fault() -> None:
    """No report within the time limit: the batch is to be tried again."""
    with served("kafka_cluster.py", TOPIC) as brokers:
        lake = kafka(brokers, timeout=0.5)
        asyncio.run(lake.check())
    with pytest.raises(TargetError, match="timed out") as caught:
        asyncio.run(lake.put(batch()))
    assert not caught.value.permanent


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection fails the check, and is a passing fault of a put."""
    monkeypatch.setattr("eventbridge_cli.lake.kafka._CHECK_TRIES", 1)
    with refusing() as address:
        lake = kafka(address, timeout=0.5)
        with pytest.raises(ConfigurationError, match=r"can't be reached: .*Connection refused"):
            asyncio.run(lake.check())
        with pytest.raises(TargetError, match=r"timed out; .*Connection refused") as caught:
            asyncio.run(lake.put(batch()))
    assert not caught.value.permanent


def test_a_put_can_be_given_up(capfd: pytest.CaptureFixture[str]) -> None:
    """A broker that never answers holds up neither the event loop nor whoever waits no longer; nothing is printed."""

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lake.put(batch()), 0.2)
        await lake.aclose()

    with silent() as address:
        lake = kafka(address)
        asyncio.run(give_up())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere.pem"}, "ssl.ca.location"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, "sasl.username and sasl.password must be set"),
    ],
)
def test_settings_that_make_no_sense(properties: dict[str, str], said: str) -> None:
    """The words of librdkafka, and where to look."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        kafka("127.0.0.1:9", properties=properties)
    assert "EBINGEST_KAFKA_" in caught.value.remedy


def test_more_messages_than_the_queue_takes(brokers: str) -> None:
    """They wait their turn: all arrive, once."""
    lake = kafka(brokers, properties={"queue.buffering.max.messages": "3"})
    whole = batch(*map(entry, range(50)))
    asyncio.run(lake.put(whole))
    assert sorted(message.value() or b"" for message in consume(brokers, TOPIC)) == sorted(
        e.receipt for e in whole.entries
    )


def fails(brokers: str, protocol: str, mechanism: str, said: str) -> TargetError:
    """The check fails with exit 3 and the words `said`, and so does a put. No password is shown."""
    log_in = {"sasl.mechanism": mechanism, "sasl.username": "someone", "sasl.password": SECRET.get_secret_value()}
    lake = kafka(brokers, 1.0, {"security.protocol": protocol, **log_in})
    with pytest.raises(ConfigurationError, match=f"can't be reached: .*{said}") as caught:
        asyncio.run(lake.check())
    assert "EBINGEST_KAFKA_" in caught.value.remedy
    with pytest.raises(TargetError, match=f"timed out; .*{said}") as failed:
        asyncio.run(lake.put(batch()))
    assert "c4n4ry" not in f"{caught.value}{failed.value}"
    return failed.value


def test_a_broker_that_speaks_another_protocol(brokers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS where the broker has none."""
    monkeypatch.setattr("eventbridge_cli.lake.kafka._CHECK_TRIES", 1)
    fails(brokers, "SASL_SSL", "PLAIN", "SSL")


@pytest.mark.parametrize(
    ("mechanism", "said"),
    [("PLAIN", "No such user, or another password"), ("SCRAM-SHA-256", "broker's supported mechanisms: PLAIN")],
)
def test_a_broker_that_does_not_let_us_in(mechanism: str, said: str) -> None:
    """A log-in that is refused, or one of a kind that the broker does not know: trying again is of no use."""
    with served("kafka_login.py") as address:
        error = fails(address, "SASL_PLAINTEXT", mechanism, said)
    assert error.permanent
    assert "EBINGEST_KAFKA_" in error.remedy


@pytest.mark.parametrize(
    ("code", "permanent", "remedy"),
    [
        (KafkaError._MSG_TIMED_OUT, False, "brokers are up"),
        (KafkaError.NOT_ENOUGH_REPLICAS, False, "brokers are up"),
        (KafkaError._UNKNOWN_TOPIC, True, "topic is there"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True, "this user's rights"),
        (KafkaError.MSG_SIZE_TOO_LARGE, True, "--chunk-bytes"),
    ],
)
def test_what_a_broker_may_say(code: int, permanent: bool, remedy: str) -> None:  # noqa: FBT001
    """Whether trying again can help, and what does."""
    error = kafka("127.0.0.1:9")._error(batch(), KafkaError(code))
    assert error.permanent is permanent
    assert remedy in error.remedy
