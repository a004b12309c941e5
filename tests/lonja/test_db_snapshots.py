"""`lonja db snapshots`: what is kept of long streams, and deleting it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventstore import Append, EventStore, EventTypes, Limits, Streams
from lonja.cli import main
from lonja.settings import SERVICES, load
from lonja.wiring import build_service
from subgraphs.inventory.domain import StockItem
from subgraphs.inventory.events import StockReceived
from tests.support.shelf import metadata

EVERY = 10


@pytest.fixture
def stock(new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of an inventory with a snapshot of one stock item; the others are empty."""
    found = {service: new_database() for service in SERVICES}
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps(found))
    monkeypatch.setenv("LONJA_DATA_DIR", str(tmp_path / "data"))
    asyncio.run(sell(found["inventory"]))
    return found["inventory"]


async def sell(conninfo: str) -> None:
    limits = Limits(snapshot_events=EVERY)
    types = EventTypes([StockReceived])
    async with EventStore(conninfo, types, name="inventory", limits=limits) as store:
        events = [StockReceived("var_1", "silk", "whs_1", quantity=1)] * EVERY
        await store.append(Append("stk_1", events), metadata=metadata())
        await Streams(store).load(StockItem, "stk_1")
        assert store._background.wait_until_idle(10)


def snapshots(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["db", "snapshots", *arguments])
    assert done.exit_code == 0, done.output
    return done


def test_they_are_listed_and_deleted(stock: str) -> None:
    (row,) = json.loads(snapshots("--json").stdout)
    assert (row["service"], row["snapshots"]) == ("inventory", 1)
    assert row["state"].endswith(":StockItem")
    assert "inventory" in snapshots().output
    assert "nothing" in snapshots("--service", "orders").output
    assert "deleted" in snapshots("--drop").output
    assert json.loads(snapshots("--json").stdout) == []


def test_settings_of_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONJA_LOG__IDEMPOTENCY_DAYS", "7")
    monkeypatch.setenv("LONJA_LOG__SNAPSHOT_EVENTS", "50")
    settings = load(data_dir=tmp_path)
    limits = build_service("inventory", settings, "dbname=x", {}).store.limits
    assert (limits.idempotency_days, limits.snapshot_events) == (7.0, 50)
