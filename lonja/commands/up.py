"""`lonja up`: everything on this machine, in one process beside PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from lonja.databases import own_server
from lonja.demo.report import print_report
from lonja.demo.run import BASKETS, demo_data_dir, demo_settings, replay_baskets
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
    with _place(data_dir, demo) as folder:
        settings = load(data_dir=folder, host=host)
        settings = demo_settings(settings) if demo else settings
        claim_port(settings.host, port)
        with own_server(settings, SERVICES, throwaway=demo and data_dir is None) as conninfos:
            asyncio.run(_up(settings, conninfos, port, demo))
    click.echo("stopped")


def _place(data_dir: Path | None, demo: bool) -> AbstractContextManager[Path | None]:
    """The data directory; the demo's is gone afterwards unless one is given."""
    return demo_data_dir(data_dir) if demo else nullcontext(data_dir)


async def _up(settings: Settings, conninfos: dict[str, str], port: int, demo: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with running_shop(settings, conninfos, port=port) as shop:
        if demo:
            print_report(await replay_baskets(shop, settings, baskets=BASKETS))
            staff = settings.users
            click.echo(f"\nSign in as {staff.bootstrap_admin_email} with the password ", nl=False)
            click.echo(staff.bootstrap_admin_password.get_secret_value())
        click.echo(f"GraphiQL and the endpoint: {shop.url}   (Ctrl-C stops)")
        await stop.wait()
