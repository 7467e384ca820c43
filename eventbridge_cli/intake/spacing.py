"""White space in JSON, outside of strings."""

from msgspec.json import format as formatted


def one_line(data: bytes) -> bytes:
    """A valid JSON object without line breaks. They can't stand in a string, so that no value changes."""
    if b"\n" not in data and b"\r" not in data:
        return data
    return b"".join([line.strip(b" \t") for line in data.splitlines()])


def dense(data: bytes) -> bytes:
    """Valid JSON without white space outside of strings."""
    return formatted(data, indent=-1)
