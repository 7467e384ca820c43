"""Bulk loader for Genesys Cloud interaction events that accounts for every record.

The names below are the tool as a library. They are loaded when they are first used, so that a command that needs
no network never loads the HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventbridge_cli.chunks import Chunk
    from eventbridge_cli.delivery.backoff import Policy
    from eventbridge_cli.delivery.client import build_client
    from eventbridge_cli.delivery.ingester import EventBridgeIngester
    from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth
    from eventbridge_cli.delivery.pacing import Pace
    from eventbridge_cli.errors import EbingestError
    from eventbridge_cli.facts import Receipt
    from eventbridge_cli.flow import Duplicate, Event, Rejection
    from eventbridge_cli.intake.dedupe import DeduplicationCache
    from eventbridge_cli.intake.key import Key
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.intake.sources import Meter, Source, resolve
    from eventbridge_cli.ledger.appending import AppendedLines
    from eventbridge_cli.ledger.audit import AuditLogger
    from eventbridge_cli.models import EventBatch, EventBridgeEvent, RoutingMetadata

__version__ = "0.1.0"

__all__ = [
    "AppendedLines",
    "AuditLogger",
    "Chunk",
    "Credentials",
    "DeduplicationCache",
    "Duplicate",
    "EbingestError",
    "Event",
    "EventBatch",
    "EventBridgeEvent",
    "EventBridgeIngester",
    "GenesysAuth",
    "Intake",
    "Key",
    "Meter",
    "Pace",
    "Policy",
    "Receipt",
    "Rejection",
    "RoutingMetadata",
    "Source",
    "build_client",
    "resolve",
]

_HOMES = {
    "AppendedLines": "ledger.appending",
    "AuditLogger": "ledger.audit",
    "Chunk": "chunks",
    "Credentials": "delivery.oauth",
    "DeduplicationCache": "intake.dedupe",
    "Duplicate": "flow",
    "EbingestError": "errors",
    "Event": "flow",
    "EventBatch": "models",
    "EventBridgeEvent": "models",
    "EventBridgeIngester": "delivery.ingester",
    "GenesysAuth": "delivery.oauth",
    "Intake": "intake.pipeline",
    "Key": "intake.key",
    "Meter": "intake.sources",
    "Pace": "delivery.pacing",
    "Policy": "delivery.backoff",
    "Receipt": "facts",
    "Rejection": "flow",
    "RoutingMetadata": "models",
    "Source": "intake.sources",
    "build_client": "delivery.client",
    "resolve": "intake.sources",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"eventbridge_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
