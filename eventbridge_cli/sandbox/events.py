"""What the stand-in takes for a request: strict JSON, one envelope, events that keep the schema."""

import json
import re
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from eventbridge_cli.sandbox.answers import event_error

_SPACE = r"[ \t\n\r]*"
_OPENING = re.compile(rf'{_SPACE}\{{{_SPACE}"events"{_SPACE}:{_SPACE}\[{_SPACE}')
_COMMA = re.compile(rf"{_SPACE},{_SPACE}")
_CLOSING = re.compile(rf"{_SPACE}\]{_SPACE}\}}{_SPACE}\Z")
_LONG_INTEGER = 1000  # digits; Python refuses to read more than 4,300, which JSON allows

_EXACT = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)
_Text = Annotated[str, Field(min_length=1)]


class _Routing(BaseModel):
    model_config = _EXACT
    queue_id: str
    skill: str
    action_type: Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]


class _Event(BaseModel):
    model_config = _EXACT
    event_type: _Text
    event_time: _Text
    interaction_id: _Text
    routing_metadata: _Routing
    attributes: dict[str, Any] = Field(default_factory=dict)
    schema_version: Annotated[int, Field(ge=1, le=3)]


class MalformedError(ValueError):
    """The body is not JSON."""


class EnvelopeError(ValueError):
    """The body is JSON, but not `{"events": [...]}` with at least one event."""


class Posted(Struct, frozen=True):
    """An event of a request: its value, and the bytes that it came as."""

    value: Any
    raw: bytes

    @property
    def event_id(self) -> object:
        """What it gives for its interaction id."""
        return self.value.get("interactionId") if isinstance(self.value, dict) else None


def read_events(body: bytes) -> list[Posted]:
    """The events of a request.

    Raises:
        MalformedError: the body is not JSON as RFC 8259 has it.
        EnvelopeError: it is, but it is no envelope with events in it.
    """
    try:
        text = body.decode()
        try:
            return _walk(text)
        except (json.JSONDecodeError, EnvelopeError):
            _DECODER.decode(text)  # fails in its turn where the body is no JSON at all
    except (ValueError, RecursionError) as error:
        raise MalformedError from error
    raise EnvelopeError


def schema_error(index: int, posted: Posted) -> dict[str, Any] | None:
    """What is wrong with an event, if anything is."""
    try:
        _Event.model_validate(posted.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        return event_error(index, posted.event_id, message, retryable=False)
    return None


def _walk(text: str) -> list[Posted]:
    """One event after the other, so that each keeps its own text: values lose digits, and one of two equal names."""
    found: list[Posted] = []
    step = _OPENING.match(text)
    end = 0
    while step is not None:
        value, end = _DECODER.raw_decode(text, step.end())
        found.append(_posted(value, text[step.end() : end]))
        step = _COMMA.match(text, end)
    if _CLOSING.match(text, end) is None:
        raise EnvelopeError
    return found


def _posted(value: Any, text: str) -> Posted:
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails on a lone surrogate
    # Line breaks stand only between the tokens of JSON, and an event is to be one line.
    return Posted(value, text.replace("\r", " ").replace("\n", " ").encode())


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN, Infinity


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONG_INTEGER else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer)
