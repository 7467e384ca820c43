"""What may be shown of a URL, and of an answer: a short line, without what had been sent."""

import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from eventbridge_cli.fields import FIELDS, ROUTING_FIELDS

_MOST = 160  # characters
_WORD = re.compile(r"[\w.+@-]{3,}")
_LONG_WORD = 6  # characters from which on even a part of a longer word gives something away
_KNOWN = {*FIELDS, *ROUTING_FIELDS}


def bare(url: str) -> str:
    """A URL without its query and fragment, which may hold a key."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def excerpt(body: bytes, *, sent: Iterable[bytes] = ()) -> str:
    """What an error body says, in short and without anything that a terminal could act on.

    Args:
        body: JSON with a `message`, or any other text.
        sent: what the server may be quoting: secrets, and events. Words of it are left out.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    message = document.get("message") if isinstance(document, dict) else None
    text = message if isinstance(message, str) else body[: 4 * _MOST].decode(errors="replace")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = _without(text, "\n".join(map(_readable, sent)))
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _readable(sent: bytes) -> str:
    """JSON without escapes, since nobody quotes those; other text as it is."""
    try:
        return json.dumps(json.loads(sent), ensure_ascii=False)
    except (ValueError, RecursionError):
        return sent.decode(errors="replace")


def _without(text: str, sent: str) -> str:
    words = set(_WORD.findall(sent)) - _KNOWN

    def shown(match: re.Match[str]) -> str:
        word = match[0]
        given_away = word in words or (len(word) >= _LONG_WORD and word not in _KNOWN and word in sent)
        return "…" if given_away else word

    return _WORD.sub(shown, text)
