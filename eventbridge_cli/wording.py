"""How text, numbers, durations and sizes are shown to people, on whatever surface."""

_TWO_MINUTES = 120
_STEP = 1000
_LEAST, _MOST = 0.1, 99.9  # per cent


def safe(text: str) -> str:
    """Text without anything that a terminal could act on: control characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """A number of things: `1 retry`, `2,000 days`."""
    several = f"{noun[:-2]}ries" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else several}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best: `95 ms`, `84.8 s`, `3.5 min`."""
    if seconds < 1:
        return f"{seconds * 1000:,.0f} ms"
    return f"{seconds:,.1f} s" if seconds < _TWO_MINUTES else f"{seconds / 60:,.1f} min"


def size(count: float) -> str:
    """Bytes in the unit that reads best, with powers of 1,000: `8.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _STEP:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= _STEP
    return f"{count:,.1f} TB"


def share(part: int, whole: int) -> str:
    """Per cent of a whole, or nothing for none of it: `100.0 %` means all, so that one missing in a million shows."""
    if not part:
        return ""
    percent = 100 * part / max(whole, 1)
    if part < whole and percent > _MOST:
        return f"> {_MOST} %"
    return f"{percent:.1f} %" if percent >= _LEAST else f"< {_LEAST} %"
