"""A service that runs for a test: its feeds written by the test, its clock the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from eventstore import Recorded
from subgraphs.shared.auth import Role, sign_actor
from subgraphs.shared.service import Service, ServiceContext
from tests.support.following import Following, following
from tests.support.keys import KEYRING
from tests.support.memory_feed import MemoryFeed

SECRET = b"a secret of the tests, long enough"
WAIT_SECONDS = 10.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Running:
    """A started service, and what a test does with it."""

    def __init__(
        self, service: Service[Any], feeds: Mapping[str, MemoryFeed], clock: Clock
    ) -> None:
        self.service, self.feeds, self.clock = service, feeds, clock

    def headers(self, user: str | None, *roles: Role, **more: str) -> dict[str, str]:
        """The headers a router would send for a user with roles."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if user is not None:
            headers["x-router-actor"] = sign_actor(
                SECRET, user_id=user, roles=roles, now=self.clock()
            )
        return headers

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        roles: Sequence[Role] = (),
        fresh: bool = True,
        **headers: str,
    ) -> dict[str, Any]:
        """The answer; with `fresh`, read models first show all that was appended."""
        if fresh:
            await self.settle()
        given = self.headers(user, *roles, **headers)
        return await self.service.execute(query, variables, None, given)

    async def data(self, query: str, variables: Any = None, **more: Any) -> dict[str, Any]:
        """The data of an answer that has no errors."""
        answer = await self.ask(query, variables, **more)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    async def errors(self, query: str, variables: Any = None, **more: Any) -> list[str]:
        """The codes of an answer's errors."""
        answer = await self.ask(query, variables, **more)
        return [error["extensions"]["code"] for error in answer.get("errors", ())]

    @asynccontextmanager
    async def following(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        roles: Sequence[Role] = (),
    ) -> AsyncIterator[Following]:
        """A subscription, once the read models show all that was appended before."""
        await self.settle()
        headers = self.headers(user, *roles)
        async with following(self.service, query, variables, headers) as found:
            yield found

    async def entities(
        self, representations: Sequence[Mapping[str, Any]], selection: str, **more: Any
    ) -> list[Any]:
        """What `_entities` gives, as a router would ask."""
        data = await self.data(
            f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}",
            {"r": [dict(one) for one in representations]},
            **more,
        )
        found: list[Any] = data["_entities"]
        return found

    async def settle(self) -> None:
        """Wait until the read models show all that is in the log."""
        head = await self.service.store.head()
        assert await self.service.runner.wait_for(head, timeout_seconds=WAIT_SECONDS)

    async def digest(self, source: str) -> None:
        """Wait until the reactors have done all that a feed holds."""
        done = await self.service.reactor_runner.wait_for(
            source, len(self.feeds[source].events), WAIT_SECONDS
        )
        assert done, f"the reactors did not get through the feed of {source}"
        parked = await self.service.reactor_runner.parked()
        assert not [stream for stream in parked if stream.source == source], parked

    async def events(self, *types: str) -> list[Recorded[Any]]:
        """The service's own log, or some types of it."""
        return await self.service.store.read(0, limit=10_000, types=list(types) or None)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition, a coroutine function, to give something true; give that."""
        with anyio.fail_after(WAIT_SECONDS):
            while not (found := await condition()):
                await self.service.store.wait(await self.service.store.head(), 0.02)
            return found


@asynccontextmanager
async def running(
    build: Callable[[ServiceContext], Service[Any]],
    name: str,
    conninfo: str,
    *,
    feeds: Sequence[str] = (),
    given: Mapping[str, MemoryFeed] | None = None,
    clock: Clock | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Running]:
    """Build and start a service over a database; feeds are `given` or new and empty, with
    that of users, which all follow.
    """
    clock = clock or Clock()
    sources = {feed: MemoryFeed(feed) for feed in (*feeds, "users")} | dict(given or {})
    service = build(
        ServiceContext(
            name=name,
            conninfo=conninfo,
            feeds=sources,
            internal_secret=SECRET,
            keyring=KEYRING,
            clock=clock,
            settings={"timer_poll_seconds": 0.02, **(settings or {})},
        )
    )
    async with service:
        yield Running(service, sources, clock)
