"""What an answer means: the pure function, by a table."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import event as wire_event

from eventbridge_cli.delivery.verdict import (
    Accepted,
    Answer,
    Halve,
    NoAnswer,
    Renew,
    Retry,
    Sift,
    Stop,
    Verdict,
    verdict,
)
from eventbridge_cli.errors import CredentialsError, EndpointError
from eventbridge_cli.excerpt import excerpt
from eventbridge_cli.flow import Event, Origin
from eventbridge_cli.transport.message import retry_after

NOW = 1_790_000_000.0


def events(*interactions: str) -> list[Event]:
    return [Event(Origin("f", n), b"", b"", each, "type", "time") for n, each in enumerate(interactions, 1)]


FOUR = events("a", "b", "b", "d")


def judge(status: int, body: Any = b"", **headers: str) -> Verdict:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return verdict(Answer(status, names, data), FOUR, url="https://host/ingest", now=NOW)


def errors(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"errors": [{"message": "no", **entry} for entry in entries]}


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
def test_any_2xx_without_errors_is_delivery(status: int) -> None:
    """Any 2xx is success, not 200 alone."""
    assert judge(status, {"errors": []}) == Accepted()


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"<html>", [], "text", 7, {"errors": "none"}, {"errors": [7]}, b"\xff" * 50]
)
def test_an_unreadable_2xx_is_delivery_with_a_warning(body: Any) -> None:
    """A 2xx that can't be read counts as delivered, with a warning."""
    found = judge(200, body)
    assert isinstance(found, Accepted)
    assert (found.refused, found.again) == ({}, ())
    assert found.warning


@pytest.mark.parametrize(
    ("entries", "refused", "again", "unclear"),
    [
        ([{"index": 1}], {1}, (), ()),
        ([{"index": 1, "retryable": True}], set(), (1,), ()),
        ([{"eventId": "d"}], {3}, (), ()),
        ([{"eventId": "b"}], set(), (), (1, 2)),  # which of the two is not said
        ([{"eventId": "b", "retryable": True}], set(), (1, 2), ()),
        ([{"eventId": "b"}, {"index": 2}], {2}, (), (1,)),
        ([{"index": 2, "eventId": "b"}], {2}, (), ()),
        ([{"index": 2, "eventId": "another id of theirs"}], {2}, (), ()),
        ([{"index": 2, "eventId": "a"}], set(), (), (0, 2)),  # one of the two is wrong
        ([{"index": 0}, {"index": 3, "retryable": True}], {0}, (3,), ()),
        ([{"index": 0, "retryable": True}, {"index": 0}], {0}, (), ()),  # said twice: no is no
        ([{"index": True}], set(), (), ()),
        ([{"index": 9}], set(), (), ()),
        ([{"index": 9, "eventId": "a"}], {0}, (), ()),
        ([{"index": 1, "message": "\ud800"}], {1}, (), ()),
    ],
)
def test_errors_name_events(
    entries: list[dict[str, Any]], refused: set[int], again: tuple[int, ...], unclear: tuple[int, ...]
) -> None:
    """errors[] of a 2xx are read event by event: by index, else by event id."""
    found = judge(200, errors(*entries))
    assert isinstance(found, Accepted)
    assert (set(found.refused), found.again, found.unclear) == (refused, again, unclear)
    assert bool(found.warning) == (not refused and not again and not unclear)


def test_messages_may_be_in_any_encoding() -> None:
    """errors[] are read although a message in them is no UTF-8."""
    found = judge(200, '{"errors":[{"index":1,"message":"ung\xfcltig"}]}'.encode("latin-1"))
    assert isinstance(found, Accepted)
    assert set(found.refused) == {1}


def test_an_id_of_the_exchange_is_short() -> None:
    """A correlation id stands in every line of the audit file about the request."""
    assert len(Answer(200, {}, json.dumps({"contextId": "y" * 900_000}).encode()).correlation_id) == 200


@pytest.mark.parametrize("status", [400, 409, 422])
def test_what_is_about_the_events(status: int) -> None:
    """400 and its kin: the named events are bad, or it takes halving to find them."""
    assert judge(status, errors({"index": 3})) == Sift({3: "no"}, judge(status, errors({"index": 3})).message)  # type: ignore[union-attr]
    assert judge(status, {"message": "bad"}) == Sift({}, "bad")
    assert judge(status, {"message": "bad", **errors({"eventId": "b"})}) == Sift({}, "bad")
    assert judge(status, errors({"index": 3, "retryable": True})) == Retry(f"http_{status}")
    assert set(judge(status, errors({"index": 3, "retryable": True}, {"index": 0})).refused) == {0}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"message": "Maximum bytes: 9000"}, 9000),
        (b"maximum BYTES:12", 12),
        (b"<html>too big</html>", None),
        (b"Maximum bytes: " + b"9" * 5000, None),
    ],
)
def test_413_halves_and_learns(body: Any, limit: int | None) -> None:
    """413: send in halves; the limit is learned where the answer names it."""
    assert judge(413, body) == Halve(limit)


def test_401_renews() -> None:
    """401: another token, please."""
    assert judge(401) == Renew()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 599])
def test_passing_failures_are_retried(status: int) -> None:
    """408, 425, 429 and 5xx pass; 429 and 503 ask all senders to slow down; Retry-After is heard."""
    found = judge(status, retry_after="7")
    assert found == Retry(f"http_{status}", 7.0, throttled=status in {429, 503})


@pytest.mark.parametrize(
    ("kind", "sent", "throttled"),
    [("timeout", True, True), ("connection_lost", True, False), ("no_connection", False, False)],
)
def test_no_answer_is_retried(kind: str, *, sent: bool, throttled: bool) -> None:
    """Without an answer it is tried again; if the request may have arrived the outcome is unknown, not failed."""
    found = verdict(NoAnswer(kind, sent), FOUR, url="u", now=NOW)
    assert found == Retry(kind, throttled=throttled)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, CredentialsError),
        *((each, EndpointError) for each in (301, 302, 307, 304, 404, 405, 406, 410, 415, 418, 501)),
    ],
)
def test_what_can_not_get_better_stops_the_run(status: int, kind: type[EndpointError]) -> None:
    """403, 404, redirects, 501 and whatever else is no answer to a bulk loader: the run ends, with a remedy."""
    found = judge(status, {"message": "because"})
    assert isinstance(found, Stop)
    assert isinstance(found.error, kind)
    assert str(status) in found.error.message
    assert found.error.remedy


@settings(deadline=None)
@given(
    st.integers(100, 599),
    st.binary(max_size=60) | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode),
)
def test_no_answer_is_beyond_it(status: int, body: bytes) -> None:
    """Whatever comes back there is a verdict, and no index beyond the request's events."""
    found = judge(status, body)
    if isinstance(found, Accepted | Sift):
        assert set(found.refused) <= set(range(4))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 2.5 ", 2.5),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("1e3", None),
        ("٣", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Mon, 21 Sep 2026 14:13:30 GMT", 10.0),
        ("Mon, 99 Sep 2026 14:13:30 GMT", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    """Retry-After is a number of seconds or an HTTP-date; nonsense, negatives and the past are ignored."""
    assert retry_after({} if text is None else {"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize("ahead", [-86_400, 0, 86_400])
def test_retry_after_by_the_clock_of_the_server(ahead: float) -> None:
    """A date is held against the one that the answer itself bears, whatever our clock says."""
    dates = [format_datetime(datetime.fromtimestamp(NOW + ahead + each, UTC), usegmt=True) for each in (0, 10)]
    assert retry_after({"date": dates[0], "retry-after": dates[1]}, NOW) == 10


def test_an_excerpt_is_short_and_harmless() -> None:
    """What is shown of an error body is one short line of printable text."""
    assert excerpt(b'{"message": "no\\u001b[31m\\n way"}') == "no [31m way"
    assert len(excerpt(b"<html>" + b"x" * 100_000)) <= 160
    assert excerpt(b"[" * 100_000).isprintable()
    assert excerpt(b"\xff\x00\x07") == "\ufffd"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Bad value 'Kündigung' of skill", "Bad value '…' of skill"),
        ("interaction-0 is known", "… is known"),
        ("token s3cr3t-t0ken!", "token …!"),
        ("s3cr3t", "…"),  # a part of it
        ("the voice is bad", "the … is bad"),
        ("voices", "voices"),
    ],
)
def test_an_excerpt_quotes_nothing_that_was_sent(said: str, shown: str) -> None:
    """Words of a secret or an event are left out, however the event spells them; names of fields stay."""
    sent = json.dumps(wire_event(attributes={"a": "Kündigung", "b": "voice"})).encode()
    assert excerpt(json.dumps({"message": said}).encode(), sent=[sent, b"s3cr3t-t0ken"]) == shown
