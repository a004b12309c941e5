"""Feeds: the same pages from a store in this process and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from eventstore import (
    Append,
    EventStore,
    Feed,
    FeedFailed,
    ForeignPosition,
    HttpFeed,
    InvalidRead,
    LocalFeed,
    feed_endpoint,
)
from eventstore.feed import from_lines
from eventstore.recent import Recent
from tests.support.served import served
from tests.support.shelf import BoxMoved, BoxPlaced, BoxWeighed, metadata


@asynccontextmanager
async def serve(store: EventStore, port: int = 0) -> AsyncIterator[int]:
    app = Starlette(routes=[Route("/feed", feed_endpoint(LocalFeed(store)))])
    async with served(app, port) as listening:
        yield listening


@pytest.fixture(params=["local", "http"])
async def feed(store: EventStore, request: pytest.FixtureRequest) -> AsyncIterator[Feed]:
    if request.param == "local":
        yield LocalFeed(store)
        return
    async with serve(store) as port:
        over_http = HttpFeed(f"http://127.0.0.1:{port}/feed", "shelf", {"authorization": "me"})
        yield over_http
        await over_http.close()


async def fill(store: EventStore) -> None:
    events = [BoxPlaced("ü"), BoxWeighed(1.5), BoxMoved("here"), BoxWeighed(2.0)]
    await store.append(Append("box_1", events, 0), metadata=metadata(reason="x"))


async def test_public_events_as_json(store: EventStore, feed: Feed) -> None:
    await fill(store)
    page = await feed.read(0, limit=100, wait_seconds=0)
    assert [(event.position, event.type) for event in page.events] == [
        (1, "box.placed"),
        (3, "box.moved"),
    ]
    assert (page.position, page.head) == (4, 4)
    first = page.events[0]
    assert msgspec.json.decode(first.data) == {"label": "ü", "grams": 0}
    stored = (await store.read(0))[0]
    assert (first.id, first.stream, first.version) == (stored.id, "box_1", 1)
    assert (first.metadata, first.recorded_at) == (stored.metadata, stored.recorded_at)


async def test_pages_lead_on_to_the_end(store: EventStore, feed: Feed) -> None:
    await fill(store)
    first = await feed.read(0, limit=1, wait_seconds=0)
    assert (len(first.events), first.position) == (1, 1)
    second = await feed.read(first.position, limit=1, wait_seconds=0)
    assert (second.events[0].position, second.position) == (3, 3)
    last = await feed.read(second.position, limit=1, wait_seconds=0)
    assert (last.events, last.position, last.head) == ([], 4, 4)


async def test_only_some_types(store: EventStore, feed: Feed) -> None:
    await fill(store)
    page = await feed.read(0, limit=10, wait_seconds=0, types=["box.moved", "box.weighed"])
    assert ([event.position for event in page.events], page.position) == ([3], 4)
    nothing = await feed.read(0, limit=10, wait_seconds=0, types=["box.weighed"])
    assert (nothing.events, nothing.position) == ([], 4)


async def test_waiting_for_the_next_event(store: EventStore, feed: Feed) -> None:
    waiting = asyncio.create_task(feed.read(0, limit=10, wait_seconds=10))
    await asyncio.sleep(0)
    await fill(store)
    async with asyncio.timeout(5):
        assert len((await waiting).events) == 2
    empty = await feed.read(4, limit=10, wait_seconds=0.01)
    assert (empty.events, empty.position) == ([], 4)


async def test_a_position_the_log_never_had(store: EventStore, feed: Feed) -> None:
    await fill(store)
    with pytest.raises(ForeignPosition):
        await feed.read(5, limit=10, wait_seconds=0)


async def test_old_payloads_are_given_in_their_newest_shape(store: EventStore, feed: Feed) -> None:
    await fill(store)
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER refuse_change")
        connection.execute(
            """UPDATE eventstore.events SET type_version = 1, payload = '{"to": "there"}'
               WHERE position = 3"""
        )
    store.recent = Recent()  # as in a process that did not append them
    page = await feed.read(2, limit=1, wait_seconds=0)
    assert (page.events[0].type_version, page.events[0].data) == (2, b'{"place":"there"}')


async def test_everything_for_the_journal(store: EventStore) -> None:
    await fill(store)
    page = await LocalFeed(store, public_only=False).read(0, limit=10, wait_seconds=0)
    assert [event.type for event in page.events][1] == "box.weighed"
    assert len(page.events) == 4


@pytest.mark.parametrize(
    "query", ["after=-1", "limit=x", "limit=0", "limit=99999999", "wait=-1", "after=1e3", "wait=n"]
)
async def test_absurd_requests_get_400(store: EventStore, query: str) -> None:
    async with serve(store) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /feed?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"INVALID_READ" in answer


@pytest.mark.slow
async def test_a_service_that_restarts_is_waited_for(store: EventStore) -> None:
    await fill(store)
    async with serve(store) as port:
        feed = HttpFeed(f"http://127.0.0.1:{port}/feed", "shelf")
        assert len((await feed.read(0)).events) == 2
    reading = asyncio.create_task(feed.read(0))
    async with serve(store, port):
        async with asyncio.timeout(10):
            assert len((await reading).events) == 2
        await feed.close()


async def test_a_service_that_stays_away(store: EventStore) -> None:
    async with serve(store) as port:
        pass
    feed = HttpFeed(f"http://127.0.0.1:{port}/feed", "shelf", unavailable_seconds=0.1)
    with pytest.raises(FeedFailed, match="shelf"):
        await feed.read(0)


async def test_a_page_that_is_something_else(store: EventStore) -> None:
    async with serve(store) as port:
        feed = HttpFeed(f"http://127.0.0.1:{port}/nowhere", "shelf", unavailable_seconds=0)
        with pytest.raises(FeedFailed, match="404"):
            await feed.read(0)
        await feed.close()
    for cut in (b"", b'{"position":1}\n', b'{"posi', b"<html>"):
        with pytest.raises(msgspec.MsgspecError):
            from_lines(cut)


@pytest.mark.parametrize("url", ["feed", "ftp://x/feed", "http:///feed"])
def test_a_feed_needs_an_address(url: str) -> None:
    with pytest.raises(InvalidRead):
        HttpFeed(url, "shelf")
