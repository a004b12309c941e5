"""`lonja demo`: real baskets through the shop, and an account that must reconcile."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import click

from lonja.databases import own_server
from lonja.demo import dataset
from lonja.demo.account import Account
from lonja.demo.report import print_report, report_json
from lonja.demo.run import BASKETS, demo_data_dir, demo_settings, replay_baskets
from lonja.errors import LonjaError
from lonja.logs import configure_logs
from lonja.output import AS_JSON, DATA_DIR, print_json
from lonja.running import running_shop
from lonja.settings import SERVICES, Settings, load


class NotReconciled(LonjaError):
    """The shop's account and the files' do not agree."""

    code = "NOT_RECONCILED"


@click.command()
@click.option(
    "--baskets",
    type=click.IntRange(1),
    default=BASKETS,
    show_default=True,
    help="How many to replay, of 155,848.",
)
@click.option("--offset", type=click.IntRange(0), default=0, help="Skip so many baskets.")
@DATA_DIR
@AS_JSON
def demo(baskets: int, offset: int, data_dir: Path | None, as_json: bool) -> None:
    """Replay BASKETS supermarket baskets in time order through GraphQL, reconcile, report.

    Works in a fresh temporary folder, unless --data-dir keeps the data. Exit code 0 means that the
    report reconciles. The data: The Complete Journey by 84.51° (simulated, for educational use).
    """
    configure_logs()
    dataset.folder()
    with demo_data_dir(data_dir) as folder:
        settings = demo_settings(load(data_dir=folder))
        with own_server(settings, SERVICES, throwaway=data_dir is None) as conninfos:
            account = asyncio.run(_demo(settings, conninfos, baskets, offset, quiet=as_json))
    if as_json:
        print_json(report_json(account))
    else:
        print_report(account)
    if not account.reconciles:
        raise NotReconciled("the account does not reconcile: see the lines marked above")


async def _demo(
    settings: Settings, conninfos: dict[str, str], baskets: int, offset: int, *, quiet: bool
) -> Account:
    async with running_shop(settings, conninfos, port=_free_port(settings.host)) as shop:
        return await replay_baskets(shop, settings, baskets=baskets, offset=offset, quiet=quiet)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
