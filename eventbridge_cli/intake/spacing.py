"""White space in JSON, outside of strings."""

from msgspec.json import format as formatted

PRETTY_BEGIN, PRETTY_END = b"{\n", b"\n}\n"
"""How an object begins and ends that is pretty-printed, and is no part of another one."""


def pretty_values(text: bytes) -> list[bytes]:
    """What pretty-printed objects are likely to be, cut where a closing bracket has a line of its own."""
    end = PRETTY_END.rstrip()
    return [piece.lstrip(b" \t\r\n") + end for piece in text.removesuffix(end).split(PRETTY_END)]


def one_line(data: bytes) -> bytes:
    """A valid JSON object without line breaks. They can't stand in a string, so that no value changes."""
    if b"\n" not in data and b"\r" not in data:
        return data
    return b"".join([line.strip(b" \t") for line in data.splitlines()])


def dense(data: bytes) -> bytes:
    """Valid JSON without white space outside of strings."""
    return formatted(data, indent=-1)
