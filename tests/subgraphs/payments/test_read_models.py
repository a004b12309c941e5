"""Read models from the log: the same by single events, by batches, and live."""

from __future__ import annotations

import pytest

from subgraphs.payments.read_models import PROJECTIONS
from tests.subgraphs.payments.shop import payments
from tests.support.projected import projected, shown

pytestmark = pytest.mark.slow


async def test_batches_single_events_and_the_live_rows_agree(database: str) -> None:
    async with payments(database) as shop:
        sold = await shop.authorize("sold")
        await shop.capture(sold, 400, name="sold")
        await shop.capture(sold, 700, name="sold", shipment="shp_2")
        await shop.void(sold, name="sold")
        for token in ("tok_decline", "tok_3ds", "tok_unknown"):
            await shop.authorize(token, token=token)
        await shop.erase("usr_1")
        events = await shop.shop.events()
        for projection in PROJECTIONS:
            singly = projected(database, projection, events, batch=1)
            assert all(singly.values()), f"{projection.name} has no rows to compare"
            assert projected(database, projection, events, batch=len(events)) == singly
            assert shown(database, projection) == singly
