"""Check one record with all care: RFC 8259, the wire schema, and what is wrong in words."""

import json
import re
from typing import Any
from zlib import crc32

from pydantic_core import ErrorDetails, ValidationError, from_json

from eventbridge_cli.flow import Event, Problem, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.envelope import ENVELOPE
from eventbridge_cli.intake.key import Key, missing_key
from eventbridge_cli.intake.spacing import dense, one_line
from eventbridge_cli.intake.trimming import trimmed
from eventbridge_cli.schema import bulk_validator

_PARSER_ERROR = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
_UNICODE_ERROR = "invalid unicode code point"
_NAN, _INFINITY = re.compile(rb"NaN"), re.compile(rb"Infinity")  # found twice as fast as with `in`
_FOUND_LENGTH = 40
_REQUIRED = 5  # fields that every event has

_FIELDS = {
    "eventType": ("a string that is not empty", "say what happened, as in conversation.answered"),
    "eventTime": ("an RFC 3339 date-time, as in 2026-03-02T09:15:03.123Z", "write the time so"),
    "interactionId": ("a string that is not empty", "give the id of the interaction"),
    "routingMetadata": (
        "an object with queueId, skill and actionType",
        "give the queue, the skill and the action",
    ),
    "routingMetadata.queueId": ("a string", "give the queue's id in quotes"),
    "routingMetadata.skill": ("a string", "give the skill's name in quotes"),
    "routingMetadata.actionType": (
        "ANSWER, TRANSFER, DISCONNECT, QUEUE or REQUEUE",
        "use one of these, in capitals",
    ),
    "attributes": ("an object", "put the attributes in braces, or leave the field out"),
    "schemaVersion": ("an integer from 1 to 3", "write the version as a bare number"),
}
_CODES = {
    "missing": "missing_field",
    "string_too_short": "empty_string",
    "literal_error": "not_allowed",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "extra_forbidden": "unknown_field",
    "bad_time": "bad_time",
    "no_offset": "no_offset",
}


class CarefulValidator:
    """See `validate.Validator`, which gives it what is not plainly valid."""

    def __init__(self, *, strict: bool, key: Key | None) -> None:
        self._strict = strict
        self._key = key
        self._validator = bulk_validator(strict=strict)

    def check(self, record: RawRecord) -> Event | Rejection:
        """The event, or all that is wrong with the record."""
        data = record.data
        try:
            fields = self._validator.validate_json(data)
        except ValidationError as error:
            return self._explain(record, error)
        if _not_finite(data) and (problem := _json_problem(record)):
            return _rejection(record, *problem)
        return self._event(record, data, fields)

    def _event(
        self, record: RawRecord, text: bytes, fields: dict[str, Any], dropped: tuple[str, ...] = ()
    ) -> Event | Rejection:
        body = one_line(text)
        digest, content = b"", 0
        if self._key is not None:
            try:
                digest = self._key.of_body(body)
            except KeyError as missing:
                return missing_key(record.origin, record.data, missing)
            content = crc32(body if body is record.data else dense(body))
        columns = fields["interactionId"], fields["eventType"], fields["eventTime"]
        return Event(record.origin, record.data, body, *columns, dropped, digest, content)

    def _explain(self, record: RawRecord, error: ValidationError) -> Event | Rejection:
        """All that is wrong with a record; or the event, if it merely has fields too many and that is allowed."""
        if problem := _json_problem(record):
            return _rejection(record, *problem)
        details = error.errors(include_url=False)
        unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
        if len(unknown) == len(details) and not self._strict:
            without = trimmed(record.data)
            fields = self._validator.validate_json(without.body)
            return self._event(record, without.body, fields, without.dropped)
        if _is_envelope(details):
            envelope = _INNER_ENVELOPE if ENVELOPE.match(record.data) else _ENVELOPE
            return _rejection(record, Reason.SCHEMA_VIOLATION, envelope)
        counted = details if self._strict else [detail for detail in details if detail not in unknown]
        return _rejection(record, Reason.SCHEMA_VIOLATION, *(_schema_problem(detail) for detail in counted))


_ENVELOPE = Problem(
    "envelope",
    "",
    'an object with a list "events" that is not its first field',
    "",
    'put "events" first, as in {"events": [...], "page": 1}',
)
_INNER_ENVELOPE = Problem(
    "envelope", "", 'an object with a list "events" in place of an event', "", "take it out of what it stands in"
)


def _is_envelope(details: list[ErrorDetails]) -> bool:
    """Whether a record that has nothing of an event has a list of them."""
    no_event = sum(detail["type"] == "missing" and len(detail["loc"]) == 1 for detail in details) == _REQUIRED
    return no_event and any(detail["loc"] == ("events",) and isinstance(detail["input"], list) for detail in details)


def _not_finite(data: bytes) -> bool:
    """Whether there may be a NaN or Infinity, which pydantic's parser takes for numbers and RFC 8259 does not."""
    return bool(_NAN.search(data) or _INFINITY.search(data))


def _rejection(record: RawRecord, reason: Reason, *problems: Problem) -> Rejection:
    return Rejection(record.origin, Stage.VALIDATE, reason, problems, record.data)


def _json_problem(record: RawRecord) -> tuple[Reason, Problem] | None:
    """What is wrong with a record as JSON (RFC 8259, UTF-8), with its line and column; None if nothing is."""
    try:
        from_json(record.data, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        match = _PARSER_ERROR.fullmatch(str(error))
        what = match["what"] if match else str(error)
        line, column = (int(match["line"]), int(match["column"])) if match else (1, 1)
        place = _place(record, line, column)
        if what == _UNICODE_ERROR:
            problem = Problem("utf8", "", "a byte that is no UTF-8", "", "save the file as UTF-8", *place)
            return Reason.INVALID_ENCODING, problem
        remedy = "mend the line, or leave it out" if record.origin.index is None else "mend the item"
        return Reason.INVALID_JSON, Problem("syntax", "", f"text that is not JSON ({what})", "", remedy, *place)
    return None


def _place(record: RawRecord, line: int, column: int) -> tuple[int, int]:
    """A place in the record as a place in its file. The parser counts columns in bytes, people in characters."""
    before = record.data.split(b"\n")[line - 1][: max(column - 1, 0)]
    characters = len(before.decode(errors="replace")) + 1
    if line == 1:
        characters += record.origin.column - 1
    return record.origin.line + line - 1, characters


def _schema_problem(detail: ErrorDetails) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    code = _CODES.get(detail["type"], "wrong_type")
    if not path:
        return Problem("not_an_object", "", _kind(detail["input"]), "an object", "put the event's fields in braces")
    if code == "unknown_field":
        remedy = "leave it out, or run without --strict to have it left out"
        return Problem(code, path, "a field that the schema does not have", "", remedy)
    allowed, remedy = _FIELDS[path]
    if code == "no_offset":
        remedy = "add the offset, as in Z or +01:00"
    found = "nothing" if code == "missing_field" else _found(path, detail["input"])
    return Problem(code, path, found, allowed, remedy)


def _found(path: str, value: object) -> str:
    """A value as its author wrote it, shortened. Never a value of `attributes`: those are customer data."""
    if path == "attributes" or not isinstance(value, str | int | float | None):
        return _kind(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _FOUND_LENGTH else text[: _FOUND_LENGTH - 1] + "…"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"
