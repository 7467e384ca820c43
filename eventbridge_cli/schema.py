"""The wire schema of an interaction event for bulk.

It is written for pydantic's core, without its models: importing those takes longer than checking ten thousand events.
`models.py` has the same schema for people; a test holds the two equal. `intake/plain.py` knows at a glance most of the
events that it takes.
"""

from datetime import datetime
from typing import get_args

from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from eventbridge_cli.fields import ActionType, parse_rfc3339


def lenient_time(text: str) -> str:
    """`text`, if it may be an `eventTime`.

    Raises:
        PydanticCustomError: it may not.
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return strict_time(text)
    return text


def strict_time(text: str) -> str:
    """`text`, if it may be an `eventTime` under --strict.

    Raises:
        PydanticCustomError: it may not.
    """
    try:
        parse_rfc3339(text)
    except ValueError:
        try:
            without_offset = datetime.fromisoformat(text).tzinfo is None
        except ValueError:
            without_offset = False
        raise PydanticCustomError("no_offset" if without_offset else "bad_time", "no date-time") from None
    return text


def bulk_validator(*, strict: bool) -> SchemaValidator:
    """The validator for JSON in bulk; `strict` takes RFC 3339 times alone.

    It forbids unknown fields in either mode: the validate stage tells them apart. `attributes` are checked as JSON but
    never built as Python objects.
    """
    routing: dict[str, core_schema.CoreSchema] = {
        "queueId": _text(),
        "skill": _text(),
        "actionType": core_schema.literal_schema(list(get_args(ActionType))),
    }
    check = strict_time if strict else lenient_time
    fields: dict[str, core_schema.CoreSchema] = {
        "eventType": _text(1),
        "eventTime": core_schema.no_info_after_validator_function(check, _text(1)),
        "interactionId": _text(1),
        "routingMetadata": _object(routing),
        "attributes": core_schema.typed_dict_schema({}, strict=True, extra_behavior="ignore"),
        "schemaVersion": core_schema.int_schema(strict=True, ge=1, le=3),
    }
    return SchemaValidator(_object(fields), core_schema.CoreConfig(cache_strings="none"))


def _object(fields: dict[str, core_schema.CoreSchema]) -> core_schema.TypedDictSchema:
    members = {
        name: core_schema.typed_dict_field(schema, required=name != "attributes") for name, schema in fields.items()
    }
    return core_schema.typed_dict_schema(members, strict=True, extra_behavior="forbid")


def _text(min_length: int | None = None) -> core_schema.StringSchema:
    return core_schema.str_schema(strict=True, min_length=min_length)
