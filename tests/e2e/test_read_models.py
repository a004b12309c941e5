"""Every read model of every service, over the log of a shop in which something of all happened."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from lonja.wiring import AnyService
from projections.testing import Rows, check_projection
from tests.support.goods import WAIT_SECONDS_MAX, finished, ordered, stocked
from tests.support.whole import WholeShop

pytestmark = pytest.mark.slow

CANCEL = """mutation($id: ID!, $key: ID!) { requestCancellation(orderId: $id, reason: "a test",
  idempotencyKey: $key) { userErrors { code message } } }"""


async def history(shop: WholeShop) -> None:
    """Orders that are completed, declined, out of stock and cancelled."""
    position = await stocked(shop, {"TEA": ("3.50", 40), "CUP": ("8.00", 2)})
    ada, bo = await shop.customer("ada"), await shop.customer("bo")
    orders = [
        await ordered(shop, ada, position, {"TEA": 2, "CUP": 1}),
        await ordered(shop, bo, position, {"TEA": 1}, paymentMethodToken="tok_decline"),
        await ordered(shop, bo, position, {"CUP": 9}),
        await ordered(shop, ada, position, {"TEA": 3}),
    ]
    await shop.ask(CANCEL, ada.token, id=orders[-1], key="cancel")
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        states = {(await finished(shop, order))["status"] for order in orders}
    assert {"COMPLETED", "REJECTED"} <= states


def live_rows(conninfo: str) -> Rows:
    """What readers see, of all read models: table to its rows as text, sorted."""
    with psycopg.connect(conninfo, options="-c search_path=read_models") as connection:
        names = connection.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'read_models'"
        ).fetchall()
        return {
            table: [
                row
                for (row,) in connection.execute(
                    f"SELECT a_row::text FROM {table} AS a_row ORDER BY 1".encode()
                )
            ]
            for (table,) in names
        }


async def settled(service: AnyService) -> tuple[Rows, int]:
    """What readers see, and the position of the log that it shows."""
    while True:
        head = await service.store.head()
        assert await service.runner.wait_for(head, WAIT_SECONDS_MAX)
        shown = await asyncio.to_thread(live_rows, service.context.conninfo)
        if await service.store.head() == head:
            return shown, head


async def test_rebuilt_anywhere_they_are_what_was_live_there(shop: WholeShop) -> None:
    await history(shop)
    filled = 0
    for service in shop.services.values():
        shown, head = await settled(service)
        events = await service.store.read(0, limit=10_000, up_to=head)
        for projection in service.projections:
            rows = await asyncio.to_thread(
                check_projection, service.context.conninfo, projection, events, prefixes=True
            )
            assert {table: shown[table] for table in rows} == rows, projection.name
            filled += any(rows.values())
    assert filled >= 12
