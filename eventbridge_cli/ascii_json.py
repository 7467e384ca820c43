"""JSON in ASCII, so that no terminal takes a file's name, or what stands in data, for an escape."""

import json
from collections.abc import Sequence
from contextlib import suppress

import msgspec

_DELETE = b"\x7f"  # the one control character that JSON lets stand as it is

_encoder = msgspec.json.Encoder()
_anything = json.JSONEncoder(separators=(",", ":")).encode  # made once, which is half the work


def ascii_json(value: object) -> bytes:
    """`value`, which may hold msgspec's structs, without spaces."""
    with suppress(UnicodeEncodeError):  # half a surrogate: a file's name that is no UTF-8
        text = _encoder.encode(value)
        if _is_safe(text):
            return text
    return _anything(msgspec.to_builtins(value)).encode()


def ascii_json_each(values: Sequence[object]) -> list[bytes]:
    """Each of `values`, all at once where they are what most are."""
    with suppress(UnicodeEncodeError):
        text = _encoder.encode_lines(values)
        if _is_safe(text):
            return text.splitlines()
    return list(map(ascii_json, values))


def _is_safe(text: bytes) -> bool:
    return text.isascii() and _DELETE not in text
