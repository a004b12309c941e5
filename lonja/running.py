"""Everything in one process: the embedded server, the services, the router over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lonja.exports_route import ExportFiles
from lonja.readiness import Readiness
from lonja.serving import claim_port, serve
from lonja.settings import Settings
from lonja.wiring import AnyService, all_services, router_over

IDLE_SECONDS_MAX = 1.0
"""How long new requests are still taken at the end while others are under way."""


@dataclass(frozen=True, slots=True)
class RunningShop:
    """The shop while it serves. `url` is the router's GraphQL endpoint."""

    services: Mapping[str, AnyService]
    url: str


@asynccontextmanager
async def running_shop(
    settings: Settings, conninfos: Mapping[str, str], *, port: int
) -> AsyncIterator[RunningShop]:
    """Start the services and serve the router over them; stop all of it at the end.

    Raises PortInUse before anything is started.
    """
    claim_port(settings.host, port)
    async with all_services(settings, conninfos) as services:
        stop = asyncio.Event()
        router = router_over(services, settings)
        app = ExportFiles(Readiness(router, services), services["journal"].app)
        try:
            async with serving(app, host=settings.host, port=port, stop=stop):
                try:
                    yield RunningShop(services, f"http://{_in_url(settings.host)}:{port}/graphql")
                finally:
                    router.stop()
                    # Clients of this process went a moment ago: the server still has to notice.
                    with suppress(TimeoutError):
                        await asyncio.wait_for(router.idle(), IDLE_SECONDS_MAX)
        finally:
            await router.close()


@asynccontextmanager
async def serving(app: Any, *, host: str, port: int, stop: asyncio.Event) -> AsyncIterator[None]:
    """Serve `app` meanwhile. Raises PortInUse."""
    ready = asyncio.Event()
    task = asyncio.create_task(serve(app, host=host, port=port, stop=stop, started=ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        waiting.cancel()
        stop.set()
        await task


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
