"""What orders asks for, what the carrier does by itself, and what is said of it."""

from __future__ import annotations

import pytest

from subgraphs.shipping.carrier import FakeCarrier, Parcel
from tests.subgraphs.shipping.shop import order_id, shipping

pytestmark = pytest.mark.slow


async def test_the_carrier_collects_at_once_and_delivers_later(database: str) -> None:
    async with shipping(database) as shop:
        shipment = await shop.request()
        assert await shop.types() == ["planned", "packed", "dispatched"]
        [dispatched] = await shop.shop.events("shipment.dispatched")
        assert dispatched.event.shipment_id == shipment
        assert [(line.line_id, line.quantity) for line in dispatched.event.lines] == [
            ("lin_1", 3),
            ("lin_2", 1),
        ]
        assert dispatched.event.tracking_number.startswith("LJ")
        assert dispatched.metadata.correlation_id == "cor_1"
        shop.shop.clock.pass_by(seconds=61)
        [delivered] = await shop.shop.until(lambda: shop.shop.events("shipment.delivered"))
        assert delivered.metadata.actor.kind == "provider"
        assert delivered.metadata.correlation_id == "cor_1"


async def test_a_message_that_comes_twice_sends_once(database: str) -> None:
    async with shipping(database) as shop:
        await shop.request()
        for event in list(shop.shop.feeds["orders"].events):
            await shop.shop.feeds["orders"].repeat(event)
        await shop.request()
        assert await shop.types() == ["planned", "packed", "dispatched"]


async def test_what_is_not_collected_yet_can_be_cancelled(database: str) -> None:
    async with shipping(database, collected_in_seconds=60) as shop:
        shipment = await shop.request()
        await shop.cancel()
        assert await shop.types() == ["planned", "packed", "cancelled"]
        [cancelled] = await shop.shop.events("shipment.cancelled")
        assert (cancelled.event.order_id, cancelled.event.shipment_id) == (order_id(), shipment)
        shop.shop.clock.pass_by(minutes=5)
        other = await shop.request("two")
        shop.shop.clock.pass_by(minutes=5)

        async def sent() -> bool:
            gone = await shop.shop.events("shipment.dispatched")
            return [event.event.shipment_id for event in gone] == [other]

        await shop.shop.until(sent)
        assert shipment != other


async def test_what_has_left_is_not_cancelled(database: str) -> None:
    async with shipping(database) as shop:
        await shop.request()
        await shop.cancel()
        await shop.cancel()
        assert await shop.types() == ["planned", "packed", "dispatched"]


async def test_a_cancellation_is_answered_once(database: str) -> None:
    async with shipping(database, carrier="none") as shop:
        await shop.request()
        await shop.cancel()
        await shop.cancel()
        assert await shop.types() == ["planned", "cancelled"]


async def test_a_restart_loses_no_delivery(database: str) -> None:
    async with shipping(database, collected_in_seconds=60) as shop:
        await shop.request()
        feeds, clock = shop.shop.feeds, shop.shop.clock
    clock.pass_by(seconds=61)
    async with shipping(database, given=feeds, clock=clock) as shop:
        await shop.shop.until(lambda: shop.shop.events("shipment.dispatched"))
        clock.pass_by(seconds=61)
        await shop.shop.until(lambda: shop.shop.events("shipment.delivered"))
        assert await shop.types() == [
            "planned",
            "packed",
            "dispatched",
            "tracking_updated",
            "delivered",
        ]


async def test_rates_are_published_once_whatever_restarts(database: str) -> None:
    async with shipping(database) as shop:
        rates = await shop.shop.events("shipping.rate_set")
        assert {(e.event.option_id, e.event.price_minor) for e in rates} >= {("pickup", 0)}
    async with shipping(database) as shop:
        assert len(await shop.shop.events("shipping.rate_set")) == len(rates)


async def test_the_fake_carrier_answers_the_same_for_the_same_parcel() -> None:
    parcel = Parcel("shp_1", "ord_1", "standard", 1, None)
    assert await FakeCarrier().book(parcel) == await FakeCarrier().book(parcel)
