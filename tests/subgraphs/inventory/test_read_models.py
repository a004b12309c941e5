"""Read models from the log: the same by single events, by batches, and live."""

from __future__ import annotations

import pytest

from subgraphs.inventory.read_models import PROJECTIONS
from tests.subgraphs.inventory.shop import Inventory, inventory
from tests.support.projected import projected, shown

pytestmark = pytest.mark.slow


async def history(shop: Inventory) -> None:
    """Something of everything that can happen."""
    await shop.stocked(silk=9, wool=9)
    await shop.warehouse("HILL")
    await shop.receive("silk", 3, "HILL")
    await shop.place("ord_1", ("silk", 2), ("wool", 1))
    await shop.place("ord_2", ("silk", 11))
    await shop.place("ord_3", ("wool", 50))
    await shop.tell("allocation_requested", "ord_1")
    await shop.tell("release_requested", "ord_2", reason="DECLINED")
    await shop.dispatch("ord_1", "shp_1", ("lin_0", 2))
    await shop.shop.settle()


async def test_batches_single_events_and_the_live_rows_agree(database: str) -> None:
    async with inventory(database) as shop:
        await history(shop)
        events = await shop.shop.events()
        for projection in PROJECTIONS:
            singly = projected(database, projection, events, batch=1)
            assert any(singly.values()), f"{projection.name} has no rows to compare"
            for batch in (3, len(events)):
                assert projected(database, projection, events, batch=batch) == singly
            assert shown(database, projection) == singly
