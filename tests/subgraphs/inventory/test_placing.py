"""What orders asks for and shipping tells, over real feeds of messages and a real database."""

from __future__ import annotations

import psycopg
import pytest

from subgraphs.inventory.domain import reservation_of
from subgraphs.inventory.errors import NotEnoughStock
from subgraphs.inventory.guard import CONSTRAINT
from subgraphs.inventory.reactions import Dispatches, ReservationRequests
from tests.subgraphs.inventory.shop import inventory, variant

pytestmark = pytest.mark.slow


async def test_the_way_of_an_order_through_stock(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5, wool=2)
        await shop.place("ord_1", ("silk", 2), ("wool", 1), ("silk", 1))
        await shop.shop.digest("orders")
        assert await shop.level("silk") == (5, 3, 0)
        await shop.tell("allocation_requested", "ord_1")
        assert await shop.level("silk") == (5, 0, 3)
        await shop.dispatch("ord_1", "shp_1", ("lin_0", 2), ("lin_1", 1))
        await shop.dispatch("ord_1", "shp_2", ("lin_2", 1))
        assert await shop.level("silk") == (2, 0, 0)
        assert await shop.level("wool") == (1, 0, 0)
        assert await shop.answers() == [
            "reservation.held",
            "reservation.committed",
            "reservation.shipped",
            "reservation.shipped",
        ]
        [held] = await shop.shop.events("reservation.held")
        assert held.metadata.correlation_id == "cor_1"
        assert held.metadata.causation_id == str(shop.shop.feeds["orders"].events[1].id)


async def test_a_shortage_holds_nothing_and_names_the_line(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5, wool=1)
        await shop.place("ord_1", ("silk", 2), ("wool", 2))
        await shop.shop.digest("orders")
        [rejected] = await shop.shop.events("reservation.rejected")
        [short] = rejected.event.shortages
        assert (short.line_id, short.sku, short.requested, short.available) == (
            "lin_1",
            "WOOL",
            2,
            1,
        )
        assert await shop.level("silk") == (5, 0, 0)


async def test_a_message_that_comes_twice_is_answered_once(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        await shop.place("ord_1", ("silk", 2))
        await shop.shop.digest("orders")
        await shop.shop.feeds["orders"].repeat(shop.shop.feeds["orders"].events[-1])
        await shop.shop.feeds["orders"].publish_all([shop.stock_request("ord_1", ("silk", 2))])
        await shop.shop.digest("orders")
        assert await shop.answers() == ["reservation.held"]
        assert await shop.level("silk") == (5, 2, 0)


async def test_releasing_gives_back_and_answers(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        await shop.place("ord_1", ("silk", 2))
        await shop.tell("release_requested", "ord_1", reason="DECLINED")
        assert await shop.level("silk") == (5, 0, 0)
        [released] = await shop.shop.events("reservation.released")
        assert (released.event.reservation_id, released.event.reason) == (
            reservation_of("ord_1"),
            "DECLINED",
        )


async def test_a_reservation_expires_by_its_timer_and_can_be_made_again(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=2)
        await shop.place("ord_1", ("silk", 2))
        await shop.shop.digest("orders")
        shop.shop.clock.pass_by(minutes=15)
        [expired] = await shop.shop.until(lambda: shop.shop.events("reservation.expired"))
        assert expired.metadata.actor.kind == "system_timer"
        assert expired.metadata.correlation_id == "cor_1"
        assert await shop.level("silk") == (2, 0, 0)
        await shop.tell("allocation_requested", "ord_1")
        assert (await shop.answers())[-1] == "reservation.expired"
        await shop.shop.feeds["orders"].publish_all(
            [shop.stock_request("ord_1", ("silk", 1), attempt=2)]
        )
        await shop.shop.digest("orders")
        assert await shop.level("silk") == (2, 1, 0)


async def test_allocating_too_late_says_that_it_expired(database: str) -> None:
    async with inventory(database, timer_poll_seconds=3600) as shop:
        await shop.stocked(silk=2)
        await shop.place("ord_1", ("silk", 2))
        await shop.shop.digest("orders")
        shop.shop.clock.pass_by(minutes=16)
        await shop.tell("allocation_requested", "ord_1")
        assert await shop.answers() == ["reservation.held", "reservation.expired"]
        assert await shop.level("silk") == (2, 0, 0)


async def test_running_low_is_said_once(database: str) -> None:
    async with inventory(database, low_stock_at=2) as shop:
        await shop.stocked(silk=4)
        await shop.place("ord_1", ("silk", 2))
        await shop.place("ord_2", ("silk", 1))
        await shop.shop.digest("orders")
        [low] = await shop.shop.events("stock.ran_low")
        assert (low.event.available, low.event.threshold) == (2, 2)


async def test_a_shipment_of_what_is_not_allocated_is_parked_not_lost(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dispatches, "attempts_max", 1)
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        await shop.place("ord_1", ("silk", 2))
        await shop.shop.digest("orders")
        with pytest.raises(AssertionError, match="carries 2 more"):
            await shop.dispatch("ord_1", "shp_1", ("lin_0", 2))
        assert await shop.level("silk") == (5, 2, 0)
        await shop.tell("allocation_requested", "ord_1")
        await shop.shop.service.reactor_runner.redrive()
        await shop.shop.until(lambda: shop.shop.events("stock.shipped"))
        assert await shop.level("silk") == (3, 0, 0)


async def test_the_guard_refuses_what_the_rules_would_let_through(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rule of the domain gone, the row's CHECK still keeps the unit from being sold."""
    monkeypatch.setattr(ReservationRequests, "attempts_max", 1)
    monkeypatch.setattr(
        "subgraphs.inventory.domain.stock_item.StockItem.available", property(lambda _: 99)
    )
    async with inventory(database) as shop:
        await shop.stocked(silk=1)
        await shop.place("ord_1", ("silk", 2))
        with pytest.raises(AssertionError, match=CONSTRAINT):
            await shop.shop.digest("orders")
        assert await shop.level("silk") == (1, 0, 0)
        assert await shop.answers() == []


async def test_the_guard_is_made_anew_from_the_log(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5, wool=3)
        await shop.place("ord_1", ("silk", 2), ("wool", 3))
        await shop.tell("allocation_requested", "ord_1")
        await shop.dispatch("ord_1", "shp_1", ("lin_0", 1))
        before = await _guard(database)
        feeds = shop.shop.feeds
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("DELETE FROM public.inventory_stock")
    async with inventory(database, given=feeds) as shop:
        assert await _guard(database) == before
        shop.warehouses["PORT"] = before[0][3]
        await shop.receive("silk", 1)
        assert await shop.level("silk") == (5, 0, 1)


async def _guard(database: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        cursor = await connection.execute("SELECT * FROM public.inventory_stock ORDER BY id")
        return await cursor.fetchall()


def test_a_refusal_names_variant_and_figures() -> None:
    refusal = NotEnoughStock(variant("silk"), 2, 1)
    assert "2 of" in str(refusal)
    assert "1 are available" in str(refusal)
