"""`/ready` of a process that runs the services and the router together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from eventstore import EventStoreError
from lonja.wiring import AnyService

ANSWER_SECONDS_MAX = 2.0
"""How long a service's database has to answer."""
STATUS_NOT_READY = 503


class Readiness:
    """The router's application, but `/ready` also asks each service for its database.

    A router by itself is ready while it serves, whatever its services do: it gives partial
    answers. Whoever runs all of it in one process asks for all of it.
    """

    def __init__(self, app: ASGIApp, services: Mapping[str, AnyService]) -> None:
        self._app, self._services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/ready" and scope["method"] == "GET":
            answer = await self._answer(Request(scope, receive))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> JSONResponse:
        states = await asyncio.gather(*map(_state, self._services.values()))
        by_name = dict(zip(self._services, states, strict=True))
        if all(state == "ready" for state in states):
            return JSONResponse({"status": "ready", "services": by_name})
        return JSONResponse(
            {"status": "not ready", "services": by_name}, status_code=STATUS_NOT_READY
        )


async def _state(service: AnyService) -> str:
    if not service.started:
        return "starting"
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await service.head()
    except (EventStoreError, OSError, TimeoutError):
        return "no database"
    return "ready"
