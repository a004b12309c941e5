"""`lonja up`: everything on this machine, in one process beside PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lonja.databases import own_server
from lonja.logs import configure_logs
from lonja.output import DATA_DIR
from lonja.running import running_shop
from lonja.serving import claim_port, stop_on_signals
from lonja.settings import ROUTER_PORT, SERVICES, Settings, load


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=ROUTER_PORT, show_default=True)
@click.option("--host", help="Where to listen (LONJA_HOST).")
@DATA_DIR
@click.option("--demo", is_flag=True, help="Replay real baskets first, then keep serving.")
def up(port: int, host: str | None, data_dir: Path | None, demo: bool) -> None:
    """Run PostgreSQL (unless LONJA_DATABASE_URL names a server), all services and the router."""
    configure_logs()
    if demo:
        from lonja.commands.demo import demo_settings  # noqa: PLC0415 - an optional part

        settings = demo_settings(load(data_dir=data_dir, host=host))
    else:
        settings = load(data_dir=data_dir, host=host)
    claim_port(settings.host, port)
    with own_server(settings, SERVICES) as conninfos:
        asyncio.run(_up(settings, conninfos, port, demo))
    click.echo("stopped")


async def _up(settings: Settings, conninfos: dict[str, str], port: int, demo: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with running_shop(settings, conninfos, port=port) as shop:
        if demo:
            from lonja.commands.demo import replay_once  # noqa: PLC0415 - an optional part

            await replay_once(shop, settings, stop)
        if not stop.is_set():
            click.echo(f"GraphiQL and the endpoint: {shop.url}   (Ctrl-C stops)")
        await stop.wait()
