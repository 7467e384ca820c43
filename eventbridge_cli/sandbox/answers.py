"""What the stand-in answers with: the platform's own shapes of success and error."""

from typing import Any
from uuid import uuid4

from msgspec import Struct, field


class Reply(Struct, frozen=True):
    """An answer. `cut` closes the connection instead of giving it."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def accepted(count: int, errors: list[dict[str, Any]]) -> Reply:
    """The answer to a request of which `count` events were taken and those of `errors` were not."""
    return Reply(200, {"accepted": count, "errors": errors, "contextId": str(uuid4())})


def error(
    status: int,
    code: str,
    message: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> Reply:
    """An error of the platform; `errors` names single events."""
    document = {"message": message, "code": code, "status": status, "contextId": str(uuid4()), "errors": errors or []}
    return Reply(status, document, headers or {})


def event_error(index: int, event_id: object, message: str, *, retryable: bool) -> dict[str, Any]:
    """What is said about one event; its interaction id is repeated only where it is a text."""
    known = event_id if isinstance(event_id, str) else None
    return {"index": index, "eventId": known, "message": message, "retryable": retryable}


def oauth_error(status: int, code: str, description: str) -> Reply:
    """An error of the token endpoint (RFC 6749, section 5.2), with the platform's second name for its description."""
    return Reply(status, {"error": code, "description": description, "error_description": description})
