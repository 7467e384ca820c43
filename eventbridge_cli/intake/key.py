"""What makes two events copies of each other: a 128-bit digest of the values at some field paths."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from eventbridge_cli.bulk import Named
from eventbridge_cli.errors import UsageError
from eventbridge_cli.fields import FIELDS, ROUTING_FIELDS
from eventbridge_cli.flow import Origin, Problem, Reason, Rejection, Stage
from eventbridge_cli.intake.spelling import DENSE, Number, in_order, written

DEFAULT_KEY = ("interactionId", "eventType", "eventTime")
_DEFAULT_PARTS = attrgetter(*DEFAULT_KEY)
_FREE_FORM = "attributes"


class Key:
    """The values at some field paths, as a digest.

    Args:
        paths: field paths with dots, as in `attributes.call.id`.

    Raises:
        UsageError: a path that no event can have.
    """

    def __init__(self, paths: Sequence[str] = DEFAULT_KEY) -> None:
        for path in paths:
            _check_path(path)
        self.paths = tuple(paths)
        self.is_default = self.paths == DEFAULT_KEY
        # Keys made of other fields must never meet in the store of delivered keys.
        salt = blake2b(",".join(paths).encode(), digest_size=16).digest()
        self._blank = blake2b(digest_size=16, person=salt)

    def of_events(self, events: Sequence[Named]) -> list[bytes]:
        """The digests of the default key."""
        parts = list(map(_DEFAULT_PARTS, events))
        texts = list(map("\n".join, parts))
        if "\n".join(texts).count("\n") != len(texts) * len(DEFAULT_KEY) - 1:
            texts = list(map(_text, parts))
        return self._digests(map(str.encode, texts))

    def of_body(self, body: bytes) -> bytes:
        """The digest of an event's key.

        Raises:
            KeyError: the event lacks the path that the error names.
        """
        from pydantic_core import from_json  # noqa: PLC0415 - takes its time to import, and only other keys want it

        event = from_json(body, cache_strings="none")
        values = [_value_at(event, path.split(".")) for path in self.paths]
        if any(isinstance(value, float | list | dict) for value in values):
            event = json.loads(body, parse_float=_exactly)
            values = [_value_at(event, path.split(".")) for path in self.paths]
        parts = values if self.is_default else list(map(_text_of, values))
        return self._digests([_text(parts).encode()])[0]

    def _digests(self, texts: Iterable[bytes]) -> list[bytes]:
        digests = []
        for text in texts:
            digest = self._blank.copy()  # half the time of making one
            digest.update(text)
            digests.append(digest.digest())
        return digests


def _text(parts: Sequence[str]) -> str:
    """Parts, none of which is empty, as one text that no others have: line by line, or else with their lengths."""
    text = "\n".join(parts)
    if text.count("\n") == len(parts) - 1:
        return text
    return "".join(["\n", *(f"{len(part)}:{part}" for part in parts)])


def missing_key(origin: Origin, data: bytes, missing: KeyError) -> Rejection:
    """The rejection of an event that lacks a part of its key."""
    path, remedy = str(missing.args[0]), "add the field, or choose another --key"
    problem = Problem("missing_key", path, "nothing", "a value: it is part of --key", remedy)
    return Rejection(origin, Stage.DEDUPE, Reason.MISSING_KEY, (problem,), data)


def _check_path(path: str) -> None:
    if not path:
        raise UsageError(
            "--key: a field is missing.", "Name fields with commas between them, as in interactionId,eventType."
        )
    first, _, rest = path.partition(".")
    if first not in FIELDS or (first == "routingMetadata" and rest and rest not in ROUTING_FIELDS):
        raise UsageError(
            f"--key: events have no field {path}.",
            f"The fields are {', '.join(FIELDS)}; "
            f"routingMetadata has {', '.join(ROUTING_FIELDS)}; "
            "below attributes any path goes, as in attributes.call.id.",
        )
    if path.endswith(".") or (rest and first not in {_FREE_FORM, "routingMetadata"}):
        raise UsageError(f"--key: {first} has nothing below it that {path} could mean.", f"Use {first}.")


def _value_at(value: Any, path: list[str]) -> Any:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            raise KeyError(".".join(path))
        value = value[part]
    return value


def _exactly(text: str) -> float | Number:
    """A number; in its own digits where a float would not hold them all, and be that of other numbers, too."""
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - hardly any key wants it

    number = float(text)
    with suppress(InvalidOperation):  # an exponent that is too large for Decimal
        if Decimal(text) == Decimal(repr(number)):
            return number
    return Number(text)


def _text_of(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Number):
        return "s" + value
    return "j" + written(in_order(value), ascii_only=True, marks=DENSE)
