"""Build a service on a test database, and talk GraphQL to it.

async with running(build, database, name="users") as users:
    data = await staff(users).ask("mutation { … }")
    await settled(users)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from eventstore import Feed
from eventstore.event import Actor
from projections import Operations
from subgraphs.shared.auth import Role, sign_actor
from subgraphs.shared.events import CommandRefused
from subgraphs.shared.ids import new_id
from subgraphs.shared.log_audit import LogAudit, Trust
from subgraphs.shared.service import Service, ServiceContext
from tests.support.following import Following, following
from tests.support.keys import KEYRING
from tests.support.memory_feed import MemoryFeed

SECRET = b"the internal secret of the tests"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAIT_SECONDS_MAX = 10.0

S = TypeVar("S", bound=Service[Any])


@dataclass
class Clock:
    """A clock that a test moves. It moves a microsecond by itself each time it is read."""

    now: datetime = START

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **by: float) -> None:
        """Move on: forward(minutes=5)."""
        self.now += timedelta(**by)


@asynccontextmanager
async def running(
    build: Callable[[ServiceContext], S],
    conninfo: str,
    *,
    name: str,
    feeds: Mapping[str, Feed] | None = None,
    settings: Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] | None = None,
    audits: Mapping[str, LogAudit] | None = None,
    trust: Trust | None = None,
) -> AsyncIterator[S]:
    """The service, started; stopped at the end."""
    service = build(
        ServiceContext(
            name=name,
            conninfo=conninfo,
            feeds={"users": MemoryFeed("users"), "orders": MemoryFeed("orders"), **(feeds or {})},
            internal_secret=SECRET,
            keyring=KEYRING,
            clock=clock or Clock(),
            settings=settings or {},
            audits=audits or {},
            trust=trust,
        )
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def settled(service: Service[Any]) -> int:
    """Wait until the read models show all that is in the log; gives its head."""
    head = await service.store.head()
    assert await service.runner.wait_for(head, timeout_seconds=WAIT_SECONDS_MAX), (
        f"{service.name}: {service.runner.positions()} of {head}"
    )
    return head


async def written(service: Service[Any]) -> int:
    """How many events the service appended, but for the refusals that it recorded."""
    events = await service.store.read(0, limit=10_000)
    return sum(event.type != CommandRefused.TYPE for event in events)


async def rebuilt_alike(service: Service[Any]) -> None:
    """Rebuild every read model from the log; the rows must be those of the live one."""
    operations = Operations(service.store, service.projections)
    await settled(service)
    for projection in service.projections:
        await operations.rebuild(projection.name, by=Actor("service", "tests"))
        found = await operations.verify(projection.name)
        assert found.equal, found.examples
        assert sum(table.live_rows for table in found.tables) > 0, f"{projection.name} has no rows"


async def same_versions(service: Service[Any], table: str) -> None:
    """The version that a read model shows is that of the stream: clients send it back."""
    await settled(service)
    rows = await service.reads.fetch(f"SELECT id, version FROM {table}")
    assert rows, f"{table} is empty"
    for row in rows:
        (last,) = await service.store.read_stream(row["id"], backwards=True, limit=1)
        assert row["version"] == last.version, f"{row['id']}: {last.type}"


@dataclass
class Client:
    """Somebody who talks to a service, past the router: signed by its secret."""

    service: Service[Any]
    user_id: str | None = None
    roles: tuple[Role, ...] = ()
    session_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def signed(self) -> dict[str, str]:
        """The headers that a router would send."""
        headers = dict(self.headers)
        if self.user_id is not None:
            headers["x-router-actor"] = sign_actor(
                SECRET,
                user_id=self.user_id,
                roles=self.roles,
                session_id=self.session_id,
                now=self.service.context.clock(),
            )
        return headers

    async def answer(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer, errors and all."""
        return await self.service.execute(query, variables, None, self.signed())

    @asynccontextmanager
    async def following(self, query: str, **variables: Any) -> AsyncIterator[Following]:
        """A subscription, ended at the end."""
        async with following(self.service, query, variables, self.signed()) as answers:
            yield answers

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data. There must be no errors; a single root field is unpacked."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data

    async def code(self, query: str, **variables: Any) -> str:
        """The code of the one error that there must be."""
        answer = await self.answer(query, **variables)
        (error,) = answer["errors"]
        return str(error["extensions"]["code"])

    async def entities(self, selection: str, *representations: Mapping[str, Any]) -> list[Any]:
        """What `_entities` gives, as a router would ask it: "... on User { email }"."""
        query = f"query($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}"
        found = await self.ask(query, r=[dict(each) for each in representations])
        assert isinstance(found, list)
        return found


def anonymous(service: Service[Any]) -> Client:
    """Somebody who has not signed in."""
    return Client(service)


def customer(service: Service[Any], user_id: str | None = None) -> Client:
    """A signed-in customer."""
    return Client(service, user_id or new_id("usr"), (Role.CUSTOMER,), new_id("ses"))


def staff(service: Service[Any], *roles: Role) -> Client:
    """Somebody with the role STAFF, or with those named instead."""
    return Client(service, new_id("usr"), roles or (Role.STAFF,), new_id("ses"))
