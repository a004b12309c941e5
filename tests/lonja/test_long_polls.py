"""A process that stops sends away who waits for news, and nobody else."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from lonja.long_polls import LongPolls
from tests.support.asgi import ask, socket

ANSWER_SECONDS_MAX = 10.0


class Service:
    """One feed that waits until it is told, and a page that does as well."""

    def __init__(self) -> None:
        self.news, self.stop, self.asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        routes = [
            Route("/feed", self._wait),
            Route("/page", self._wait),
            WebSocketRoute("/graphql", self._subscribed),
        ]
        self.app = LongPolls(Starlette(routes=routes), self.stop)

    async def _wait(self, request: Request) -> Response:
        self.asked.set()
        await self.news.wait()
        return PlainTextResponse("news")

    async def _subscribed(self, websocket: WebSocket) -> None:
        await websocket.accept("graphql-transport-ws")
        await self.news.wait()


async def test_who_waits_is_told_to_ask_again() -> None:
    service = Service()
    waiting = asyncio.create_task(ask(service.app, "GET", "/feed"))
    await service.asked.wait()
    service.stop.set()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        reply = await waiting
    assert (reply.status, reply.json()["code"]) == (503, "STOPPING")


async def test_subscribers_are_told_that_it_ends() -> None:
    service = Service()
    async with socket(service.app) as connection:
        await connection.event()
        service.stop.set()
        assert await connection.closed() == 1001


async def test_who_has_an_answer_gets_it() -> None:
    service = Service()
    service.news.set()
    assert (await ask(service.app, "GET", "/feed")).body == b"news"
    service.stop.set()
    assert (await ask(service.app, "GET", "/page")).body == b"news"


async def test_other_requests_are_let_end() -> None:
    service = Service()
    waiting = asyncio.create_task(ask(service.app, "GET", "/page"))
    await service.asked.wait()
    service.stop.set()
    service.news.set()
    assert (await waiting).body == b"news"
