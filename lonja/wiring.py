"""Puts the parts together: services with their databases and feeds, and the router over them.

Nothing in a service or in the router knows whether the others live in this process or elsewhere: a
service gets feeds, the router gets transports.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from eventstore import Feed, HttpFeed
from lonja.errors import SupergraphBroken
from lonja.keys import internal_secret, keys_dir
from lonja.settings import SERVICES, Settings
from subgraphs.shared.auth import feed_authorization
from subgraphs.shared.service import Service, ServiceContext

if TYPE_CHECKING:
    from router.http import Router

AnyService = Service[Any]


def build_service(
    name: str, settings: Settings, conninfo: str, feeds: Mapping[str, Feed]
) -> AnyService:
    """One service, not started. `feeds` may be filled until it starts."""
    module = importlib.import_module(f"subgraphs.{name}.app")
    context = ServiceContext(
        name=name,
        conninfo=conninfo,
        feeds=feeds,
        internal_secret=internal_secret(settings),
        clock=lambda: datetime.now(UTC),
        settings=service_settings(name, settings),
    )
    return cast(AnyService, module.build(context))


def remote_feed(name: str, settings: Settings, *, full: bool) -> Feed:
    """The feed of a service that runs elsewhere."""
    return HttpFeed(
        f"{settings.service_url(name)}/feed{'?full=1' if full else ''}",
        name,
        headers=feed_authorization(internal_secret(settings)),
    )


@asynccontextmanager
async def all_services(
    settings: Settings, conninfos: Mapping[str, str]
) -> AsyncIterator[dict[str, AnyService]]:
    """Every service in this process, started; they hear each other without HTTP."""
    public: dict[str, Feed] = {}
    full: dict[str, Feed] = {}
    services = {
        name: build_service(name, settings, conninfos[name], full if name == "journal" else public)
        for name in SERVICES
    }
    public.update((name, service.feed) for name, service in services.items())
    full.update((name, service.full_feed) for name, service in services.items())
    async with AsyncExitStack() as stack:
        for service in services.values():
            await stack.enter_async_context(service)
        yield services


def one_service(name: str, settings: Settings, conninfo: str) -> AnyService:
    """One service whose fellows run elsewhere."""
    feeds = {
        other: remote_feed(other, settings, full=name == "journal")
        for other in SERVICES
        if other != name
    }
    return build_service(name, settings, conninfo, feeds)
