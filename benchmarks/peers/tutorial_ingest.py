"""The tutorial's way to ingest a file of events: all of it in memory, one client, five requests at once.

    python benchmarks/peers/tutorial_ingest.py FILE URL AUDIT_FILE

It keeps the tutorial's steps and their order: duplicates dropped, events validated, batches of 100 encoded by the
client, a bearer token in a cache, answers of 429 tried again, one audit line a batch. Its key for duplicates is the
one of `ebingest`, so that both send the same events.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from tutorial_validate import EventBridgeEvent  # type: ignore[import-not-found] # Python looks beside the script

BATCH = 100
CONCURRENCY = 5
ATTEMPTS = 5
TOO_MANY = 429


class GenesysAuth:
    """Gets a token and keeps it until shortly before it runs out."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/login/oauth2/token"
        self._lock = asyncio.Lock()
        self._token = ""
        self._expires = 0.0

    async def token(self) -> str:
        """The token, a new one if need be."""
        async with self._lock:
            if time.time() >= self._expires - 60:
                form = {"grant_type": "client_credentials", "scope": "eventbridge:ingest"}
                answer = await self._client.post(self._url, data=form, auth=("someone", "secret"))
                answer.raise_for_status()
                document = answer.json()
                self._token, self._expires = document["access_token"], time.time() + document["expires_in"]
            return self._token


class EventBridgeIngester:
    """Sends batches and writes a line of audit for each."""

    def __init__(self, client: httpx.AsyncClient, url: str, audit: Path) -> None:
        self._client = client
        self._auth = GenesysAuth(client, url)
        self._url = f"{url}/api/v2/events/ingest"
        self._audit = audit
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def send(self, batch: list[EventBridgeEvent]) -> None:
        """Send a batch, again after a 429."""
        async with self._slots:
            request = str(uuid4())
            started = time.perf_counter()
            for attempt in range(ATTEMPTS):
                answer = await self._client.post(
                    self._url,
                    json={"events": [event.model_dump() for event in batch]},
                    headers={"Authorization": f"Bearer {await self._auth.token()}", "X-Request-Id": request},
                )
                if answer.status_code != TOO_MANY:
                    break
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)) * 1.5**attempt)
            answer.raise_for_status()
            self._log(request, len(batch), answer.status_code, time.perf_counter() - started)

    def _log(self, request: str, events: int, status: int, seconds: float) -> None:
        entry = {"event": "INGESTION_SUCCEEDED", "request": request, "events": events, "status": status}
        with self._audit.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time.time(), **entry, "latency_ms": seconds * 1000}) + "\n")


def read(path: Path) -> list[EventBridgeEvent]:
    """Every event of a file once."""
    seen: set[tuple[Any, ...]] = set()
    events = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            key = (raw["interactionId"], raw["eventType"], raw["eventTime"])
            if key not in seen:
                seen.add(key)
                events.append(EventBridgeEvent(**raw))
    return events


def batches(events: list[EventBridgeEvent]) -> Iterator[list[EventBridgeEvent]]:
    """Cut events into batches."""
    for start in range(0, len(events), BATCH):
        yield events[start : start + BATCH]


async def ingest(path: Path, url: str, audit: Path) -> None:
    """Send all events of a file."""
    events = read(path)
    async with httpx.AsyncClient(timeout=30) as client:
        ingester = EventBridgeIngester(client, url, audit)
        await asyncio.gather(*(ingester.send(batch) for batch in batches(events)))


if __name__ == "__main__":
    asyncio.run(ingest(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
