"""`lonja serve`: one service as a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lonja.databases import running_server
from lonja.logs import configure_logs
from lonja.long_polls import LongPolls
from lonja.output import DATA_DIR
from lonja.serving import claim_port, stop_on_signals
from lonja.serving import serve as serve_app
from lonja.settings import SERVICES, Settings, load, service_port
from lonja.wiring import one_service


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@click.option("--host", help="Where to listen (LONJA_HOST).")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Default: the service's own, see `--help`."
)
@DATA_DIR
def serve(service: str, host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Run SERVICE by itself: GraphQL at /graphql, its events at /feed.

    It takes its database from LONJA_DATABASE_URL (or the embedded server that `lonja db up` runs),
    and hears the other services at LONJA_SERVICE_URLS, by default at their usual ports of this
    host: users 8101, products 8102, inventory 8103, orders 8104, payments 8105, shipping 8106,
    notifications 8107, journal 8108.
    """
    configure_logs()
    settings = load(data_dir=data_dir, host=host)
    port = port if port is not None else service_port(service)
    claim_port(settings.host, port)
    conninfo = running_server(settings, [service])[service]
    asyncio.run(_serve(service, settings, conninfo, port))


async def _serve(name: str, settings: Settings, conninfo: str, port: int) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    address = f"{settings.host}:{port}"
    async with one_service(name, settings, conninfo) as service:
        await serve_app(
            LongPolls(service.app, stop),
            host=settings.host,
            port=port,
            stop=stop,
            started=lambda: click.echo(f"{name} answers at http://{address}/graphql"),
        )
    click.echo(f"{name} stopped")
