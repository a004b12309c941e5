"""The services' projections, for commands that operate on them while the shop runs or not."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eventstore import EventStore, EventStoreError
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.settings import SERVICES, Settings
from lonja.wiring import AnyService, build_service
from projections import Operations, ProjectionError
from projections.catalogue import Build


class Refused(LonjaError):
    """What the engine refused, with its reason."""

    def __init__(self, error: ProjectionError | EventStoreError) -> None:
        self.code = error.code
        super().__init__(str(error))


class UnknownName(LonjaError):
    """No projection of that name, or several."""

    code = "UNKNOWN_PROJECTION"


@dataclass(frozen=True, slots=True)
class Served:
    """One service's projections and reactors, its store open; nothing else of it runs."""

    service: AnyService
    operations: Operations

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def reactors(self) -> list[str]:
        return [reactor.name for reactor in self.service.reactors]


def store_of(service: str, settings: Settings, conninfo: str) -> EventStore:
    """The store of a service, in a worker's process of a rebuild."""
    return build_service(service, settings, conninfo, {}).store


@asynccontextmanager
async def opened(
    settings: Settings, services: Sequence[str] = SERVICES
) -> AsyncIterator[list[Served]]:
    """The services, for operating on their projections. Raises NoDatabase, Refused."""
    conninfos = running_server(settings, services)
    async with AsyncExitStack() as stack:
        served = []
        try:
            for name in services:
                service = build_service(name, settings, conninfos[name], {})
                await stack.enter_async_context(service.store)
                operations = Operations(
                    service.store,
                    service.projections,
                    reactors=[reactor.name for reactor in service.reactors],
                    crew=functools.partial(store_of, name, settings, conninfos[name]),
                )
                served.append(Served(service, operations))
            yield served
        except (ProjectionError, EventStoreError) as error:
            raise Refused(error) from error


@asynccontextmanager
async def found(settings: Settings, name: str) -> AsyncIterator[tuple[Served, str]]:
    """The service that has the projection (or reactor) NAME, or SERVICE/NAME."""
    service, _, plain = name.rpartition("/")
    services = [each for each in SERVICES if service in ("", each)]
    async with opened(settings, services) as all_served:
        having = [
            served
            for served in all_served
            if plain in served.operations.declared.names or plain in served.reactors
        ]
        if len(having) == 1:
            yield having[0], plain
            return
        names = [f"{s.name}/{each}" for s in all_served for each in s.operations.declared.names]
        if having:
            several = ", ".join(f"{served.name}/{plain}" for served in having)
            raise UnknownName(f"several services have a projection {plain!r}: say {several}")
        raise UnknownName(f"there is no projection {name!r}; there are {', '.join(names)}")


def identity(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["service"], row["projection"], row["build"]


async def rows_of_builds(
    all_served: Sequence[Served], before: dict[tuple[str, str, int], int], seconds: float
) -> list[dict[str, Any]]:
    rows = []
    for served in all_served:
        head = await served.service.store.head()
        sizes = await served.operations.sizes()
        for build in await served.operations.builds():
            row = _row(served.name, build, head, sizes.get(build.id, 0))
            if identity(row) in before and seconds > 0:
                row["rate"] = round((build.position - before[identity(row)]) / seconds)
            rows.append(row)
    return rows


def _row(service: str, build: Build, head: int, size: int) -> dict[str, Any]:
    lag = max(0, head - build.position)
    seconds = 0.0
    if lag and build.recorded_at is not None:
        seconds = max(0.0, (datetime.now(UTC) - build.recorded_at).total_seconds())
    return {
        "service": service,
        "projection": build.name,
        "version": build.version,
        "build": build.number,
        "state": str(build.state),
        "position": build.position,
        "lag": lag,
        "lag_seconds": round(seconds, 1),
        "rate": None,
        "missing": build.position - build.seen,
        "parked": build.parked_keys,
        "megabytes": round(size / 1_048_576, 1),
    }


async def rows_of_parked(all_served: Sequence[Served]) -> list[dict[str, Any]]:
    """What is parked, of projections and of reactors."""
    rows: list[dict[str, Any]] = []
    for served in all_served:
        rows += [
            {
                "service": served.name,
                "name": key.projection,
                "key": key.key,
                "events": key.events,
                "first_position": key.first_position,
                "attempts": key.attempts,
                "parked_at": key.parked_at.isoformat(timespec="seconds"),
                "error": key.error,
                "traceback": key.traceback,
            }
            for key in await served.operations.parked()
        ]
        rows += [
            {
                "service": served.name,
                "name": stream.reactor,
                "key": stream.stream,
                "events": stream.messages,
                "first_position": stream.first_position,
                "attempts": stream.attempts,
                "parked_at": stream.parked_at.isoformat(timespec="seconds"),
                "error": stream.error,
                "traceback": stream.traceback,
            }
            for stream in await served.operations.parked_messages()
        ]
    return rows
