"""JSON in ASCII, so that no terminal takes a file's name, or what stands in data, for an escape."""

import json
from contextlib import suppress

import msgspec

_DELETE = b"\x7f"  # the one control character that JSON lets stand as it is

_quickly = msgspec.json.Encoder().encode
_anything = json.JSONEncoder(separators=(",", ":")).encode  # made once, which is half the work


def ascii_json(value: object) -> bytes:
    """`value`, which may hold msgspec's structs, without spaces."""
    with suppress(UnicodeEncodeError):  # half a surrogate: a file's name that is no UTF-8
        text = _quickly(value)
        if text.isascii() and _DELETE not in text:
            return text
    return _anything(msgspec.to_builtins(value)).encode()
