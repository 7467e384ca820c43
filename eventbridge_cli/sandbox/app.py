"""The stand-in platform as a web application: routes, and what makes a reply a response."""

import asyncio
import json
from collections.abc import Iterator
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from eventbridge_cli.sandbox.platform import Platform, Reply

INGEST = "/api/v2/events/ingest"
TOKENS = ("/oauth/token", "/login/oauth2/token")
DESCRIPTION = "/openapi.json"


class _Cut(Response):
    """No answer: the connection is closed in the middle of one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol
        # A body shorter than its Content-Length: the server can only close the connection.
        headers = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def build_app(platform: Platform) -> Starlette:
    """The application over one platform."""

    def respond(reply: Reply) -> Response:
        platform.statuses["cut" if reply.cut else str(reply.status)] += 1
        return _Cut() if reply.cut else JSONResponse(reply.document, reply.status, reply.headers)

    async def token(request: Request) -> Response:
        reply = platform.token(request.headers, await request.body())
        return JSONResponse(reply.document, reply.status, reply.headers)

    async def ingest(request: Request) -> Response:
        platform.in_flight += 1
        platform.most_in_flight = max(platform.most_in_flight, platform.in_flight)
        try:
            body = await request.body()
            await asyncio.sleep(platform.rules.latency)
            return respond(platform.ingest(request.headers, body))
        finally:
            platform.in_flight -= 1

    async def stats(_: Request) -> Response:
        return JSONResponse(platform.stats())

    async def events(_: Request) -> Response:
        def lines() -> Iterator[bytes]:
            for event in list(platform.events):
                yield json.dumps(event, ensure_ascii=False).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def description(_: Request) -> Response:
        text = files("eventbridge_cli.sandbox").joinpath("openapi.json").read_bytes()
        return Response(text, media_type="application/json")

    return Starlette(
        routes=[
            *(Route(path, token, methods=["POST"]) for path in TOKENS),
            Route(INGEST, ingest, methods=["POST"]),
            Route("/sandbox/stats", stats),
            Route("/sandbox/events", events),
            Route(DESCRIPTION, description),
        ]
    )
