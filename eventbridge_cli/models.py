"""The wire schema of an interaction event as pydantic models, for those who use the tool as a library."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from eventbridge_cli.fields import ActionType
from eventbridge_cli.schema import lenient_time

NonEmpty = Annotated[str, Field(min_length=1)]


class RoutingMetadata(BaseModel):
    """How the interaction was routed when the event happened."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    queueId: str
    skill: str
    actionType: ActionType


class EventBridgeEvent(BaseModel):
    """One interaction event, as the ingestion endpoint takes it. Types are exact: `"2"` is no `2`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    eventType: NonEmpty
    eventTime: Annotated[NonEmpty, AfterValidator(lenient_time)]
    interactionId: NonEmpty
    routingMetadata: RoutingMetadata
    attributes: dict[str, Any] = Field(default_factory=dict)
    schemaVersion: Annotated[int, Field(ge=1, le=3)]


class EventBatch(BaseModel):
    """The body of one request: what the endpoint takes at most 100 of."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    events: list[EventBridgeEvent]
