"""The tutorial's way to validate a file of events: a loop over its lines.

python benchmarks/peers/tutorial_validate.py FILE
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator


class RoutingMetadata(BaseModel):
    """Where an interaction was when the event happened."""

    queueId: str  # noqa: N815 - the wire's own name
    skill: str
    actionType: Literal["ANSWER", "TRANSFER", "DISCONNECT", "QUEUE", "REQUEUE"]  # noqa: N815 - likewise


class EventBridgeEvent(BaseModel):
    """One event as the endpoint takes it."""

    eventType: str  # noqa: N815 - likewise
    eventTime: str  # noqa: N815 - likewise
    interactionId: str  # noqa: N815 - likewise
    routingMetadata: RoutingMetadata  # noqa: N815 - likewise
    attributes: dict[str, Any] = Field(default_factory=dict)
    schemaVersion: int = Field(ge=1, le=3)  # noqa: N815 - likewise

    @field_validator("eventTime")
    @classmethod
    def is_time(cls, text: str) -> str:
        """Refuse what is no time."""
        datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162 - as the tutorial does it
        return text


if __name__ == "__main__":
    valid = []
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            valid.append(EventBridgeEvent(**raw).model_dump())
