"""What is sent and what comes back: the head of a request as bytes, and an answer for whoever asked."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from email.utils import parsedate_to_datetime

import httpx
from msgspec import Struct, field

_PACKED_PIECE = 4 * 1024  # may unpack to a thousand times that
# RFC 9110, section 5.5: visible characters with spaces and tabs between them, and obs-text.
_FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")


def head(method: bytes, path: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first part of a request.

    Raises:
        httpx.LocalProtocolError: a header has a character that may not be there.
    """
    lines = [b"%s %s HTTP/1.1" % (method, path)]
    for name, value in headers:
        if not _FIELD_VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"the header {name.decode()} has a character that may not be there")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Reply(Struct):
    """An answer as far as it has come in, and what it comes in by; `broken_by` says why no more of its body came."""

    stream: asyncio.BaseTransport
    status: int = 0
    broken_by: httpx.TransportError | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    has_length: bool = False

    @property
    def named(self) -> dict[str, str]:
        """The headers by their names in lower case; those of the same name as one, as httpx gives them."""
        named: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
            named[name] = f"{named[name]}, {value}" if name in named else value
        return named

    def as_response(self) -> httpx.Response:
        """The same for httpx, which unpacks the body where it is packed."""
        return httpx.Response(
            self.status,
            headers=self.headers,
            stream=_Body(bytes(self.body)),
            extensions={"network_stream": self.stream},
        )


class _Body(httpx.AsyncByteStream):
    """The body of an answer, in pieces, so that one that was packed small is not unpacked all at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), _PACKED_PIECE):
            yield self._data[start : start + _PACKED_PIECE]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def date_of(headers: Mapping[str, str]) -> float | None:
    """What the clock of whoever answered said, in seconds since 1970; None if the answer has no date."""
    return _seconds_since_1970(headers.get("date", ""))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3): a number or an HTTP-date.

    None for nonsense and for what is not in the future. A date is held against the answer's own, since clocks differ,
    or against `now` if it has none.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    until, answered = _seconds_since_1970(text), date_of(headers)
    if until is None:
        return None
    seconds = until - (now if answered is None else answered)
    return seconds if seconds > 0 else None


def _seconds_since_1970(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
