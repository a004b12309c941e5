"""A service over HTTP: /graphql ahead of all routing, then feed, health, readiness and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from eventstore import EventStoreError, feed_endpoint
from subgraphs.shared.auth import check_feed_authorization
from subgraphs.shared.errors import InvalidValue, Unauthenticated
from subgraphs.shared.graphql_ws import PATH, serve_socket
from subgraphs.shared.http_audit import answer
from subgraphs.shared.log_audit import LogUnreachable, NotSealedYet, StateUnreadable

if TYPE_CHECKING:
    from subgraphs.shared.service import Service

BODY_BYTES_MAX = 2_000_000

Endpoint = Callable[[Request], Awaitable[Response]]
_JSON: Final = b"application/json"
_GRAPHQL_JSON: Final = b"application/graphql-response+json"


class _Operation(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the name in GraphQL over HTTP


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


def build_app(service: Service[Any], routes: Sequence[BaseRoute]) -> ASGIApp:
    """The service's ASGI application; `routes` are its own, beside those that all services have."""
    rest = Starlette(routes=[*_routes(service), *routes])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await _graphql(service, scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == PATH:
            await serve_socket(service, scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


async def _graphql(service: Service[Any], scope: Scope, receive: Receive, send: Send) -> None:
    headers: dict[str, str] = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
    }
    media = _GRAPHQL_JSON if "graphql-response+json" in headers.get("accept", "") else _JSON
    try:
        if scope["method"] != "POST":
            raise _Refused(405, "POST a JSON object with `query` to /graphql")
        operation = _decoded(await _body(receive))
    except _Refused as refused:
        answer: dict[str, Any] = {"errors": [{"message": refused.message}]}
        await _send(send, refused.status, media, answer)
        return
    answer = await service.execute(
        operation.query, operation.variables, operation.operationName, headers
    )
    bad_request = "data" not in answer and media is _GRAPHQL_JSON
    await _send(send, 400 if bad_request else 200, media, answer)


def _decoded(body: bytes) -> _Operation:
    try:
        return msgspec.json.decode(body, type=_Operation)
    except msgspec.DecodeError as error:
        raise _Refused(400, f"the body is not a GraphQL request: {error}") from None


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "the request ended before its body did")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise _Refused(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, status: int, media: bytes, answer: dict[str, Any]) -> None:
    body = orjson.dumps(answer)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _routes(service: Service[Any]) -> list[BaseRoute]:
    def guarded(endpoint: Endpoint) -> Endpoint:
        async def inside(request: Request) -> Response:
            try:
                check_feed_authorization(
                    request.headers.get("authorization"), service.context.internal_secret
                )
            except Unauthenticated as error:
                return JSONResponse({"error": str(error), "code": error.code}, status_code=401)
            return await endpoint(request)

        return inside

    async def audit(request: Request) -> Response:
        try:
            found = await answer(service.audit, request.path_params["what"], request.query_params)
        except NotSealedYet as error:
            return JSONResponse({"code": error.code, "message": str(error)}, status_code=409)
        except StateUnreadable as error:
            return JSONResponse({"code": error.code, "message": str(error)}, status_code=422)
        except LogUnreachable as error:
            return JSONResponse({"code": error.code, "message": str(error)}, status_code=503)
        except (InvalidValue, ValueError, KeyError) as error:
            return JSONResponse({"code": "BAD_REQUEST", "message": str(error)}, status_code=400)
        return Response(found, media_type="application/json")

    async def health(_: Request) -> Response:
        return JSONResponse({"service": service.name, "status": "ok"})

    async def ready(_: Request) -> Response:
        """Ready when started and the database answers."""
        if not service.started:
            return JSONResponse({"service": service.name, "status": "starting"}, status_code=503)
        try:
            head = await service.head()
        except (EventStoreError, OSError) as error:
            return JSONResponse(
                {"service": service.name, "status": "no database", "reason": type(error).__name__},
                status_code=503,
            )
        return JSONResponse({"service": service.name, "status": "ready", "head": head})

    async def metrics(_: Request) -> Response:
        await service.measure()
        return Response(generate_latest(service.registry), media_type="text/plain; version=0.0.4")

    async def sdl(_: Request) -> Response:
        return Response(service.sdl, media_type="application/graphql")

    return [
        Route("/feed", guarded(feed_endpoint(service.feed))),
        Route("/feed/full", guarded(feed_endpoint(service.full_feed))),
        Route("/audit/{what}", guarded(audit)),
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics),
        Route("/sdl", sdl),
    ]
