"""`lonja log`: read the services' event logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from eventstore import EventStore, Recorded
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.output import AS_JSON, DATA_DIR, console, print_json, print_rows
from lonja.settings import SERVICES, Settings, load
from lonja.trace import Traced, drawn, tree_of
from lonja.wiring import build_service

EVENTS_SHOWN = 20
EVENTS_MAX = 10_000

SERVICE = click.option(
    "--service", "services", multiple=True, type=click.Choice(SERVICES), help="Default: all."
)


class NothingFound(LonjaError):
    """No log has what was asked for."""

    code = "NOTHING_FOUND"


@click.group()
def log() -> None:
    """The event logs: who did what, when, and what led to it."""


@log.command()
@SERVICE
@click.option("--last", type=click.IntRange(1, EVENTS_MAX), default=EVENTS_SHOWN, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on as events come, until Ctrl-C.")
@DATA_DIR
@AS_JSON
def tail(
    services: Sequence[str], last: int, follow: bool, data_dir: Path | None, as_json: bool
) -> None:
    """The newest events, oldest first; JSON lines with --json."""
    settings = load(data_dir=data_dir)
    try:
        asyncio.run(_tail(settings, services or SERVICES, last, follow, as_json))
    except KeyboardInterrupt:
        if not follow:
            raise


@log.command()
@click.argument("stream")
@DATA_DIR
@AS_JSON
def show(stream: str, data_dir: Path | None, as_json: bool) -> None:
    """Every event of STREAM, such as an order's id, with its payload."""
    found = asyncio.run(_show(load(data_dir=data_dir), stream))
    if as_json:
        print_json(found)
        return
    for event in found:
        print_rows([{name: event[name] for name in ("version", "type", "recorded_at", "actor")}])
        console.print(orjson.dumps(event["data"], option=orjson.OPT_INDENT_2).decode())


@log.command()
@click.argument("correlation")
@DATA_DIR
@AS_JSON
def trace(correlation: str, data_dir: Path | None, as_json: bool) -> None:
    """What one intent led to, over all services: a tree with times since its first event."""
    root = tree_of(asyncio.run(_trace(load(data_dir=data_dir), correlation)))
    if root is None:
        raise NothingFound(f"no service has events with the correlation id {correlation!r}")
    if as_json:
        print_json(asdict(root))
    else:
        console.print(drawn(root))


@asynccontextmanager
async def _stores(
    settings: Settings, services: Sequence[str]
) -> AsyncIterator[dict[str, EventStore]]:
    conninfos = running_server(settings, services)
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                build_service(name, settings, conninfos[name], {}).store
            )
            for name in services
        }


async def _tail(
    settings: Settings, services: Sequence[str], last: int, follow: bool, as_json: bool
) -> None:
    async with _stores(settings, services) as stores:
        heads = {name: await store.head() for name, store in stores.items()}
        pages = await asyncio.gather(
            *(store.read(0, limit=last, backwards=True) for store in stores.values())
        )
        newest = [
            _described(name, event)
            for name, page in zip(stores, pages, strict=True)
            for event in page
        ]
        newest.sort(key=lambda event: event["recorded_at"])
        _print(newest[-last:], as_json)
        if follow:
            async with asyncio.TaskGroup() as group:
                for name, store in stores.items():
                    group.create_task(_follow(name, store, heads[name], as_json))


async def _follow(name: str, store: EventStore, after: int, as_json: bool) -> None:
    async for page in store.tail(after):
        _print([_described(name, event) for event in page], as_json)


async def _show(settings: Settings, stream: str) -> list[dict[str, Any]]:
    async with _stores(settings, SERVICES) as stores:
        for name, store in stores.items():
            events = await store.read_stream(stream)
            if events:
                return [_described(name, event) for event in events]
    raise NothingFound(f"no service has a stream {stream!r}")


async def _trace(settings: Settings, correlation: str) -> list[Traced]:
    async with _stores(settings, SERVICES) as stores:
        pages = await asyncio.gather(
            *(
                store.read(0, limit=EVENTS_MAX, correlation_id=correlation)
                for store in stores.values()
            )
        )
    return [
        Traced(
            str(event.id),
            name,
            event.type,
            event.stream,
            event.metadata.actor.kind,
            event.metadata.causation_id,
            event.recorded_at,
        )
        for name, page in zip(stores, pages, strict=True)
        for event in page
    ]


def _described(service: str, event: Recorded[Any]) -> dict[str, Any]:
    metadata = event.metadata
    return {
        "service": service,
        "position": event.position,
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "type_version": event.type_version,
        "id": str(event.id),
        "recorded_at": event.recorded_at.isoformat(timespec="milliseconds"),
        "occurred_at": metadata.occurred_at.isoformat(timespec="milliseconds"),
        "actor": f"{metadata.actor.kind} {metadata.actor.id}",
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "reason": metadata.reason,
        "data": msgspec.to_builtins(event.event),
    }


def _print(events: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for event in events:
            click.echo(orjson.dumps(event, default=str).decode())
    elif events:
        shown = ("recorded_at", "service", "position", "type", "stream", "version", "actor")
        print_rows([{name: event[name] for name in shown} for event in events])
