"""Erasing a person from every service's log, and from what the services keep beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

import psycopg

from eventstore import Actor, EventStore, Metadata, SubjectErased
from eventstore.privacy.holdings import Holdings, holdings
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.settings import SERVICES, Settings
from lonja.wiring import AnyService, build_service
from projections import ReactorRunner
from subgraphs.users.app import UsersService

BESIDE_SECONDS_MAX = 120.0
"""How long the read models and reactors may take to forget."""
ASK_SECONDS = 0.5
"""Between two looks at the checkpoint of a reactor that another process runs."""


class UnknownSubject(LonjaError):
    """No service has ever kept anything personal of this id."""

    code = "UNKNOWN_SUBJECT"


class Beside(StrEnum):
    """Whether what is kept beside a log (read models, mails, sessions) has forgotten, too."""

    FORGOTTEN = "forgotten"
    BEHIND = "behind"
    PARKED = "parked"


class OrdersUnderWay(LonjaError):
    """Somebody whose orders have not ended is not to be forgotten."""

    code = "ORDERS_UNDER_WAY"


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a person in one service. `before` is what its log held until then; `again` if
    they had been erased there before.
    """

    service: str
    before: Holdings
    position: int
    again: bool
    beside: Beside


class Eraser:
    """The services, opened to erase somebody: they may be running elsewhere, or not at all. Their
    read models follow.
    """

    def __init__(self, services: Sequence[AnyService]) -> None:
        self._services = services

    async def held(self, subject: str) -> dict[str, Holdings]:
        """What each service's log holds. Raises UnknownSubject when none ever knew the person."""
        found = {each.name: await _held(each.store, subject) for each in self._services}
        if not any(each.known for each in found.values()):
            raise UnknownSubject(
                f"no service holds anything of {subject!r}: give the id of a user, as `lonja log "
                "search` and the journal show it (usr_…)"
            )
        return found

    async def check_orders(self, subject: str) -> None:
        """Raises OrdersUnderWay while the person waits for something that we owe them."""
        users = next(each for each in self._services if isinstance(each, UsersService))
        if under_way := await users.resources.users.orders_under_way(subject):
            raise OrdersUnderWay(
                f"{subject} has orders under way: {', '.join(under_way)}. Let them end or cancel "
                "them, or give --force: what is still to be sent would have no address"
            )

    async def erase(
        self, subject: str, held: dict[str, Holdings], *, reason: str, by: str
    ) -> list[Erased]:
        """In every service, so that nothing more is stored of them anywhere. Harmless again."""
        now = datetime.now(UTC)
        command = f"cmd_{uuid4().hex}"
        metadata = Metadata(
            actor=Actor("staff", by),
            command_id=command,
            correlation_id=command,
            occurred_at=now,
            reason=reason,
        )
        done = [
            await service.store.persons.erase(subject, reason=reason, metadata=metadata)
            for service in self._services
        ]
        beside = await asyncio.gather(
            *(
                forgotten_beside(service, appended.position)
                for service, appended in zip(self._services, done, strict=True)
            )
        )
        return [
            Erased(service.name, held[service.name], appended.position, appended.replayed, state)
            for service, appended, state in zip(self._services, done, beside, strict=True)
        ]


async def _held(store: EventStore, subject: str) -> Holdings:
    return await store.reading(
        lambda connection: holdings(connection, store.layout, store.types, subject)
    )


@asynccontextmanager
async def eraser(settings: Settings) -> AsyncIterator[Eraser]:
    """Raises NoDatabase and the errors of a store that cannot be opened."""
    conninfos = running_server(settings, SERVICES)
    async with AsyncExitStack() as stack:
        services = [build_service(name, settings, conninfos[name], {}) for name in SERVICES]
        for service in services:
            await stack.enter_async_context(service.catching_up())
        yield Eraser(services)


async def forgotten_beside(service: AnyService, position: int) -> Beside:
    """Have the read models and the reactors to erasures come to a position: those that nobody runs
    are run here meanwhile, the others are waited for.
    """
    reactors = [
        reactor
        for reactor in service.reactors
        if not reactor.source and SubjectErased.TYPE in reactor.reads
    ]
    async with ReactorRunner(service.store, {}, reactors) as runner:
        try:
            async with asyncio.timeout(BESIDE_SECONDS_MAX):
                if not await service.runner.wait_for(position, BESIDE_SECONDS_MAX):
                    return Beside.BEHIND
                for reactor in reactors:
                    await _until_done(service, runner, reactor.name, position)
                head = await service.store.head()  # reactors append, too
                if not await service.runner.wait_for(head, BESIDE_SECONDS_MAX):
                    return Beside.BEHIND
        except TimeoutError:
            return Beside.BEHIND
        parked = {stream.reactor for stream in await runner.parked()}
    names = {reactor.name for reactor in reactors}
    return Beside.PARKED if parked & names else Beside.FORGOTTEN


async def _until_done(
    service: AnyService, runner: ReactorRunner, reactor: str, position: int
) -> None:
    """Wait until a reactor to the service's own log is at a position, whoever runs it."""
    while not await runner.wait_for("", position, ASK_SECONDS, [reactor]):
        if await service.store.reading(lambda c: _kept(c, service.name, reactor)) >= position:
            return


def _kept(connection: psycopg.Connection[Any], service: str, reactor: str) -> int:
    row = connection.execute(
        "SELECT position FROM projections.reactor_checkpoints WHERE reactor = %s AND source = %s",
        [reactor, service],
    ).fetchone()
    return 0 if row is None else int(row[0])
