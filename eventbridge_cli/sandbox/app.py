"""The stand-in platform as a web application: routes, and what makes a reply a response."""

import asyncio
from collections.abc import Iterator
from importlib.resources import files
from uuid import uuid4

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventbridge_cli.sandbox.answers import Reply, error
from eventbridge_cli.sandbox.platform import Platform

INGEST = "/api/v2/events/ingest"
TOKENS = ("/oauth/token", "/login/oauth2/token")
DESCRIPTION = "/openapi.json"
CUT = "cut"
"""The name under which the server hands over what cuts a request's connection."""


class _Cut(Response):
    """No answer: the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol
        scope["state"][CUT]()
        while (await receive())["type"] != "http.disconnect":
            pass


class _Correlated:
    """Gives every answer an ININ-Correlation-Id that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def correlated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("inin-correlation-id", str(uuid4()))
            await send(message)

        await self._app(scope, receive, correlated)


def build_app(platform: Platform) -> Starlette:
    """The application over one platform."""

    def respond(reply: Reply) -> Response:
        platform.statuses["cut" if reply.cut else str(reply.status)] += 1
        return _Cut() if reply.cut else _response(reply)

    async def token(request: Request) -> Response:
        return _response(platform.token(request.headers, await request.body()))

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
                yield event + b"\n"

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
        ],
        middleware=[Middleware(_Correlated)],
        exception_handlers={HTTPException: _no_such_thing},
    )


async def _no_such_thing(request: Request, exception: Exception) -> Response:
    """A path or method that is not there, in the platform's shape."""
    assert isinstance(exception, HTTPException)  # noqa: S101 - it is registered for no other
    code = "not.found" if exception.status_code == 404 else "method.not.allowed"  # noqa: PLR2004
    message = f"There is no {request.method} here."
    return _response(error(exception.status_code, code, message, headers=dict(exception.headers or {})))


def _response(reply: Reply) -> Response:
    return JSONResponse(reply.document, reply.status, reply.headers)
