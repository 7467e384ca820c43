"""Envelopes: objects whose first field is a list of events, as in `{"events": [...], "page": 1}`."""

import re

from msgspec import MsgspecError

from eventbridge_cli.fields import FIELDS
from eventbridge_cli.flow import Problem
from eventbridge_cli.members import members_of

ENVELOPE = re.compile(rb'\{[ \t\r\n]*+"events"[ \t\r\n]*+:[ \t\r\n]*+\[')
"""How one begins, up to the bracket of its list."""

ENVELOPE_SO_FAR = re.compile(
    rb'\{[ \t\r\n]*+(?:"(?:e(?:v(?:e(?:n(?:t(?:s(?:"[ \t\r\n]*+(?::[ \t\r\n]*+)?)?)?)?)?)?)?)?)?'
)
"""What may still become that."""


def fault_behind_events(rest: bytes | None) -> Problem | None:
    """What is wrong with what follows the list of an envelope, up to its closing brace.

    None if nothing is, or if it is too much to be held: it holds no events.
    """
    if rest is None:
        return None
    found, remedy = "", "mend the file at this place"
    try:
        rest.decode()
        members = members_of(b'{"events":[]' + rest)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        found = "text that is not JSON behind a list of events"
    else:
        if bytes(members["events"]) != b"[]":
            found, remedy = "a second list of events in one object", "give each list an object of its own"
        elif any(name in FIELDS for name in members):
            found, remedy = (
                'fields of an event behind a list called "events"',
                'put "events" behind them, or leave it out',
            )
    return Problem("envelope", "", found, "", remedy) if found else None
