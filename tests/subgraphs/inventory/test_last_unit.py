"""Two hundred buyers of the last unit: exactly one gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from eventstore import Actor, EventStore, EventTypes, Metadata, Streams
from projections import ReadModels, Timers
from subgraphs.inventory.domain import StockRequest, WantedLine
from subgraphs.inventory.events import EVENTS
from subgraphs.inventory.guard import StockGuard
from subgraphs.inventory.reserving import ReservationPolicy, Reserving
from subgraphs.inventory.turns import Turns
from tests.subgraphs.inventory.shop import Inventory, inventory, variant

pytestmark = pytest.mark.slow

BUYERS = 200


async def test_through_the_feed_of_orders(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=1)
        await shop.shop.feeds["orders"].publish_all(
            [shop.stock_request(f"ord_{n}", ("silk", 1)) for n in range(BUYERS)]
        )
        await shop.shop.digest("orders")
        await _exactly(shop, held=1)


async def test_when_orders_want_several_things_in_any_order(database: str) -> None:
    """Each wants the same three goods, named in another order: no deadlock, no half of an order."""
    async with inventory(database) as shop:
        await shop.stocked(silk=5, wool=5, flax=5)
        goods = ["silk", "wool", "flax"]
        await shop.shop.feeds["orders"].publish_all(
            [
                shop.stock_request(
                    f"ord_{n}", *((goods[(n + turn) % 3], 1) for turn in range(3)), ("silk", 1)
                )
                for n in range(BUYERS)
            ]
        )
        await shop.shop.digest("orders")
        await _exactly(shop, held=2)
        assert await shop.level("silk") == (5, 4, 0)
        assert await shop.level("wool") == (5, 2, 0)


async def test_from_several_processes_at_once(database: str) -> None:
    """Workers that share nothing but the database: stores, connections, locks are their own."""
    async with inventory(database) as shop, _worker(database) as one, _worker(database) as two:
        await shop.stocked(silk=1)
        await asyncio.gather(
            *(_hold(worker, f"ord_{n}") for n in range(BUYERS // 2) for worker in (one, two))
        )
        assert sorted(await shop.answers()) == [
            "reservation.held",
            *["reservation.rejected"] * (BUYERS // 2 - 1),
        ]
        assert await shop.level("silk") == (1, 1, 0)


async def test_many_buyers_of_much_all_get_it(database: str) -> None:
    """A thing that everybody buys is no bottleneck that turns buyers away."""
    async with inventory(database) as shop, _worker(database) as one, _worker(database) as two:
        await shop.stocked(silk=BUYERS)
        workers = [one, two]
        await asyncio.gather(*(_hold(workers[n % 2], f"ord_{n}") for n in range(BUYERS)))
        assert await shop.answers() == ["reservation.held"] * BUYERS
        assert await shop.level("silk") == (BUYERS, BUYERS, 0)


async def _exactly(shop: Inventory, *, held: int) -> None:
    answers = await shop.answers()
    assert answers.count("reservation.held") == held
    assert answers.count("reservation.rejected") == BUYERS - held


@asynccontextmanager
async def _worker(database: str) -> AsyncIterator[Reserving]:
    async with (
        EventStore(database, EventTypes(EVENTS), name="inventory") as store,
        ReadModels(database) as reads,
    ):
        yield Reserving(
            store,
            Streams(store),
            StockGuard(reads),
            Timers(),
            Turns(),
            clock=lambda: datetime.now(UTC),
            policy=ReservationPolicy(),
        )


async def _hold(worker: Reserving, order: str) -> None:
    line = WantedLine("lin_0", variant("silk"), "SILK", 1)
    await worker.hold(
        StockRequest(order, f"{order}/reserve/1", 1, (line,)),
        ttl_seconds=900,
        metadata=Metadata(
            actor=Actor("service", "inventory"),
            command_id=order,
            correlation_id=order,
            occurred_at=datetime.now(UTC),
        ),
    )
