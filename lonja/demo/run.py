"""One replay from beginning to end: a place for it, its settings, its account."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lonja.demo import dataset
from lonja.demo.account import Account, take_account
from lonja.demo.client import Client
from lonja.demo.memory import PeakMemory
from lonja.demo.replay import BASKETS_AT_ONCE_MAX, Replay
from lonja.errors import LonjaError
from lonja.running import RunningShop
from lonja.settings import Settings, UserSettings

BASKETS = 300
DECLINE_RATE = 0.02
PROVIDER_SEED = 2017
STAFF_EMAIL = "staff@baskets.example"
TOKEN_SECONDS = 3_600


class NotEmpty(LonjaError):
    """A replay into a shop that has sold before could not be accounted for."""

    code = "NOT_EMPTY"


class NoBaskets(LonjaError):
    """The data end before the slice begins."""

    code = "NO_BASKETS"


@contextmanager
def demo_data_dir(data_dir: Path | None) -> Iterator[Path]:
    """`data_dir`, or a folder that is gone afterwards."""
    if data_dir is not None:
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="lonja-demo-") as name:
        Path(name).chmod(0o711)  # the embedded server's account must be able to enter
        yield Path(name)


def demo_settings(settings: Settings) -> Settings:
    """As in the shop, but: a member of staff to begin with, declines, and cheap password hashes.

    The households' passwords are derived from their numbers: nothing is lost by hashing them fast.
    """
    return settings.model_copy(
        update={
            "users": UserSettings(
                bootstrap_admin_email=STAFF_EMAIL,
                bootstrap_admin_password=SecretStr(secrets.token_urlsafe(24)),
                access_token_seconds=TOKEN_SECONDS,
                sign_in_failures_per_minute_max=0,
                argon2_time_cost=1,
                argon2_memory_kib=64,
                argon2_parallelism=1,
            ),
            "payments": settings.payments.model_copy(
                update={"decline_rate": DECLINE_RATE, "seed": PROVIDER_SEED}
            ),
        }
    )


async def replay_baskets(
    shop: RunningShop,
    settings: Settings,
    *,
    baskets: int,
    offset: int = 0,
    quiet: bool = False,
) -> Account:
    """Replay into a running shop and take the account.

    Raises NotEmpty, NoBaskets, RequestFailed.
    """
    if await shop.services["orders"].store.head():
        raise NotEmpty(
            "this shop has sold before, so its books would not match the baskets: "
            "give a fresh --data-dir (or none)"
        )
    with dataset.connect() as connection:
        dataset.select_slice(connection, baskets=baskets, offset=offset)
        chosen, catalogue = dataset.read_baskets(connection), dataset.read_catalogue(connection)
    if not chosen:
        raise NoBaskets(
            f"there are no baskets from number {offset + 1:,} on: give a smaller --offset"
        )
    client = Client(shop.url, connections_max=BASKETS_AT_ONCE_MAX * 2)
    staff = (STAFF_EMAIL, settings.users.bootstrap_admin_password.get_secret_value())
    try:
        with PeakMemory() as memory, _progress(quiet) as progress:
            bar = progress.add_task("baskets", total=len(chosen))
            started = time.perf_counter()
            replay = Replay(
                client,
                chosen,
                catalogue,
                staff=staff,
                token_seconds=TOKEN_SECONDS,
                progress=lambda: progress.advance(bar),
            )
            outcomes = await replay.run()
            return await take_account(
                shop,
                client,
                await replay.staff_token(),
                outcomes,
                baskets=baskets,
                offset=offset,
                started=started,
                memory=memory,
            )
    finally:
        await client.close()


def _progress(quiet: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
