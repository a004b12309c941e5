"""Subscriptions through `lonja router`: its server, a subgraph of strawberry elsewhere."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import strawberry
from strawberry.asgi import GraphQL
from strawberry.federation import Schema

from router.composition import Subgraph, compose
from tests.lonja.test_router_command import serving
from tests.router.http.test_websocket import Client, client
from tests.support.served import served
from tests.support.streams import WAIT_SECONDS, streaming

TICKS = "subscription { ticks }"
SLOW = "subscription { slow: ticks }"
"""Another operation: it has a stream of its own."""


class Ticking:
    """A subgraph that ticks when told."""

    def __init__(self) -> None:
        self.streams: list[asyncio.Queue[str]] = []
        self._changed = asyncio.Condition()
        ticking = self

        @strawberry.type
        class Query:
            @strawberry.field
            def ok(self) -> bool:
                return True

        @strawberry.type
        class Subscription:
            @strawberry.subscription
            async def ticks(self) -> AsyncGenerator[str, None]:
                queue: asyncio.Queue[str] = asyncio.Queue()
                await ticking._change(ticking.streams.append, queue)
                try:
                    while True:
                        yield await queue.get()
                finally:
                    await ticking._change(ticking.streams.remove, queue)

            @strawberry.subscription
            async def count(self, to: int) -> AsyncGenerator[int, None]:
                for number in range(to):
                    yield number + 1

        self.schema = Schema(Query, subscription=Subscription)
        self.app = GraphQL(self.schema)

    async def _change(self, change: Any, queue: Any) -> None:
        async with self._changed:
            change(queue)
            self._changed.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.streams) == count)

    def tick(self, text: str) -> None:
        for queue in self.streams:
            queue.put_nowait(text)


@asynccontextmanager
async def routed(
    tmp_path: Path, settings: str = "", more: Sequence[str] = ()
) -> AsyncIterator[tuple[Ticking, int, Any]]:
    """The subgraph, the router's port, its process."""
    ticking = Ticking()
    async with served(ticking.app) as port:
        url = f"http://127.0.0.1:{port}/graphql"
        composed = compose([Subgraph("ticking", ticking.schema.as_str(), url)])
        assert composed.supergraph_sdl is not None
        path, config = tmp_path / "supergraph.graphql", tmp_path / "router.yaml"
        path.write_text(composed.supergraph_sdl)
        config.write_text(settings)
        given = ("--supergraph", str(path), "--router-config", str(config), *more)
        with serving(*given) as (at, process, _):
            yield ticking, int(at.rpartition(":")[2]), process


async def gone(process: Any) -> int:
    code: int = await asyncio.to_thread(process.wait, WAIT_SECONDS)
    return code


@pytest.mark.slow
async def test_clients_that_leave_and_a_stop_reach_the_subgraph(tmp_path: Path) -> None:
    async with routed(tmp_path) as (ticking, port, process):
        async with streaming(port, TICKS) as stream:
            await ticking.until(1)
            ticking.tick("a")
            assert await stream.event() == ("next", {"data": {"ticks": "a"}})
        await ticking.until(0)
        async with client(port) as ws:
            await ws.subscribe(TICKS)
            await ticking.until(1)
            ticking.tick("b")
            assert (await ws.hear())["payload"] == {"data": {"ticks": "b"}}
        await ticking.until(0)
        async with streaming(port, TICKS) as stream, client(port) as ws:
            await ws.subscribe(SLOW)
            await ticking.until(2)
            ticking.tick("c")
            await stream.event()
            await ws.hear()
            process.send_signal(signal.SIGTERM)
            code = "SUBSCRIPTION_SERVER_SHUTDOWN"
            _, last = await stream.event()
            assert last["errors"][0]["extensions"]["code"] == code
            assert (await ws.hear())["payload"][0]["extensions"]["code"] == code
            assert (await ws.closed())[0] == 1001
            assert await gone(process) == 0
        await ticking.until(0)


async def too_slow(port: int) -> bool:
    """Whether the router has ended somebody for it."""
    page = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics")
    with page:
        return b'ended_total{reason="SUBSCRIPTION_TOO_SLOW"}' in page.read()


@pytest.mark.slow
@pytest.mark.parametrize("over", ["http", "websocket"])
async def test_a_client_that_does_not_read_is_ended_alone(tmp_path: Path, over: str) -> None:
    settings = "subscriptions: {buffer_events_max: 10}"
    text = "x" * 100_000
    async with routed(tmp_path, settings) as (ticking, port, _):
        slow = (
            streaming(port, TICKS) if over == "http" else client(port, max_size=None, max_queue=1)
        )
        async with slow as other, client(port, max_size=None) as quick:
            if isinstance(other, Client):
                await other.subscribe(TICKS)
            await ticking.until(1)
            await quick.subscribe(TICKS)
            await quick.subscribe("{ ok }", "2")
            await quick.hear()
            await quick.hear()
            ticks = 0
            while not await too_slow(port):
                ticking.tick(text)
                assert (await quick.hear())["payload"] == {"data": {"ticks": text}}
                ticks += 1
                assert ticks < 1_000
            assert len(ticking.streams) == 1  # they shared it
            size = 0
            if isinstance(other, Client):
                while (message := await other.hear())["type"] == "next":
                    size += 1
                (error,) = message["payload"]
            else:
                while "data" in (message := (await other.event())[1]):
                    size += 1
                (error,) = message["errors"]
            assert error["extensions"]["code"] == "SUBSCRIPTION_TOO_SLOW"
            assert 10 <= size <= ticks
            ticking.tick("last")
            assert (await quick.hear())["payload"] == {"data": {"ticks": "last"}}


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False])
async def test_a_new_supergraph_is_served_when_told_or_when_its_file_changes(
    tmp_path: Path, told: bool
) -> None:
    more = () if told else ("--hot-reload",)
    async with routed(tmp_path, more=more) as (ticking, port, process), client(port) as ws:
        path = tmp_path / "supergraph.graphql"
        good = path.read_text()

        def replace(text: str) -> None:
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").rename(path)
            if told:
                process.send_signal(signal.SIGHUP)

        async def heard() -> str:
            line: bytes = await asyncio.to_thread(process.stderr.readline)
            return line.decode()

        await ws.subscribe(TICKS)
        await ticking.until(1)
        replace("nonsense")
        assert "was not replaced" in await heard()
        ticking.tick("a")
        assert (await ws.hear())["type"] == "next"
        replace(good.replace("type Query", "type Query ", 1))
        assert "was replaced" in await heard()
        last = await ws.hear()
        assert last["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_SCHEMA_RELOAD"
        await ws.subscribe("{ ok }")
        assert (await ws.hear())["payload"] == {"data": {"ok": True}}
