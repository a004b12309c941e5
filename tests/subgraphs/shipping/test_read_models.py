"""Read models from the log: the same by single events, by batches, and live."""

from __future__ import annotations

import pytest

from subgraphs.shipping.read_models import PROJECTIONS
from tests.subgraphs.shipping.shop import shipping
from tests.support.projected import projected, shown

pytestmark = pytest.mark.slow


async def test_batches_single_events_and_the_live_rows_agree(database: str) -> None:
    async with shipping(database, collected_in_seconds=60) as shop:
        await shop.request("one")
        shop.shop.clock.pass_by(seconds=61)
        await shop.shop.until(lambda: shop.shop.events("shipment.dispatched"))
        await shop.request("two")
        await shop.cancel("two")
        await shop.shop.settle()
        events = await shop.shop.events()
        for projection in PROJECTIONS:
            singly = projected(database, projection, events, batch=1)
            assert all(singly.values()), f"{projection.name} has no rows to compare"
            assert projected(database, projection, events, batch=len(events)) == singly
            assert shown(database, projection) == singly
