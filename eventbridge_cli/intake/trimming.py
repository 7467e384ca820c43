"""Leave out of events what the schema does not have. Values that stay keep their own text, digits and spacing."""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Raw

from eventbridge_cli.fields import FIELDS, ROUTING_FIELDS
from eventbridge_cli.members import members_of

_ROUTING = "routingMetadata"


def _beginnings(names: Iterable[str]) -> dict[str, bytes]:
    """How members with these names begin; none of them needs an escape."""
    return {name: f'"{name}":'.encode() for name in names}


_EVENT_MEMBERS, _ROUTING_MEMBERS = _beginnings(FIELDS), _beginnings(ROUTING_FIELDS)


class Trimmed(NamedTuple):
    """An event without its unknown fields, and what those are called, with dots."""

    body: bytes
    dropped: tuple[str, ...]


def trimmed(data: bytes) -> Trimmed:
    """The event without the fields that the schema does not have. Of a field that stands there twice, the last counts.

    Raises:
        MsgspecError: it is no event.
        UnicodeDecodeError: a name is not UTF-8.
        RecursionError: it is nested too deeply.
    """
    members = members_of(data)
    dropped: list[str] = []
    if (routing := members.get(_ROUTING)) is not None:
        below = members_of(routing)
        if unknown := below.keys() - _ROUTING_MEMBERS:
            dropped += [f"{_ROUTING}.{name}" for name in below if name in unknown]
            members[_ROUTING] = Raw(_object(below, _ROUTING_MEMBERS))
    dropped += [name for name in members if name not in _EVENT_MEMBERS]
    return Trimmed(_object(members, _EVENT_MEMBERS), tuple(dropped))


def _object(members: dict[str, Raw], known: dict[str, bytes]) -> bytes:
    """Those of `members` that are known, in their own order."""
    return b"{%b}" % b",".join([known[name] + value for name, value in members.items() if name in known])
