"""`lonja up`: everything on this machine, in one process beside PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from lonja.databases import own_server
from lonja.demo import dataset
from lonja.demo.account import Account
from lonja.demo.report import print_report
from lonja.demo.run import BASKETS, demo_data_dir, demo_settings, replay_baskets
from lonja.logs import configure_logs
from lonja.output import DATA_DIR
from lonja.running import RunningShop, running_shop
from lonja.serving import claim_port, stop_on_signals
from lonja.settings import ROUTER_PORT, SERVICES, Settings, load


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=ROUTER_PORT,
    show_default=True,
    help="Of the router.",
)
@click.option("--host", help="Where to listen (LONJA_HOST).")
@DATA_DIR
@click.option("--demo", is_flag=True, help="Replay real baskets first, then keep serving.")
@click.option(
    "--baskets", type=click.IntRange(1), help=f"How many, with --demo.  [default: {BASKETS}]"
)
def up(port: int, host: str | None, data_dir: Path | None, demo: bool, baskets: int | None) -> None:
    """Run PostgreSQL (unless LONJA_DATABASE_URL names a server), all services and the router."""
    if baskets is not None and not demo:
        raise click.UsageError("--baskets is for --demo: without it the shop starts empty")
    configure_logs()
    replayed = (baskets or BASKETS) if demo else 0
    if demo:
        dataset.folder()
    with _place(data_dir, demo) as folder:
        settings = load(data_dir=folder, host=host)
        settings = demo_settings(settings) if demo else settings
        claim_port(settings.host, port)
        with own_server(settings, SERVICES, throwaway=demo and data_dir is None) as conninfos:
            asyncio.run(_up(settings, conninfos, port, replayed))
    click.echo("stopped")


def _place(data_dir: Path | None, demo: bool) -> AbstractContextManager[Path | None]:
    """The data directory; the demo's is gone afterwards unless one is given."""
    return demo_data_dir(data_dir) if demo else nullcontext(data_dir)


async def _up(settings: Settings, conninfos: dict[str, str], port: int, baskets: int) -> None:
    """Serve until a signal comes. `baskets`: how many to replay first."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with running_shop(settings, conninfos, port=port) as shop:
        if baskets:
            account = await _replayed(shop, settings, baskets, stop)
            if account is None:
                return
            print_report(account)
            staff = settings.users
            click.echo(f"\nSign in as {staff.bootstrap_admin_email} with the password ", nl=False)
            click.echo(staff.bootstrap_admin_password.get_secret_value())
        click.echo(f"Explorer and endpoint: {shop.url}   (Ctrl-C stops)")
        await stop.wait()


async def _replayed(
    shop: RunningShop, settings: Settings, baskets: int, stop: asyncio.Event
) -> Account | None:
    """The account of the replay; None where `stop` was set meanwhile."""
    replaying = asyncio.create_task(replay_baskets(shop, settings, baskets=baskets))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({replaying, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not replaying.done():
        replaying.cancel()
        await asyncio.gather(replaying, return_exceptions=True)
        return None
    stopping.cancel()
    return replaying.result()
