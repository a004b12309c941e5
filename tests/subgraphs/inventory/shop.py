"""An inventory service with a warehouse and goods, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from subgraphs.inventory.app import build
from subgraphs.inventory.domain import reservation_of
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import derived_id
from tests.support.memory_feed import MemoryFeed
from tests.support.running import Clock, Running, running

FEEDS = ("orders", "products", "shipping")
STAFF = {"user": "usr_staff", "roles": [Role.STAFF]}

CREATE_WAREHOUSE = """
mutation ($input: CreateWarehouseInput!) {
  createWarehouse(input: $input) {
    warehouse { id code name country }
    receipt { version position replayed commandId }
    userErrors { __typename code path message }
  }
}
"""
RECEIVE = """
mutation ($input: ReceiveStockInput!) {
  receiveStock(input: $input) {
    stockItem { id version sku onHand reserved allocated available variant { id } warehouse { id } }
    receipt { version position replayed commandId }
    userErrors { __typename code path message }
  }
}
"""
RECEIVE_BATCH = """
mutation ($input: ReceiveStockBatchInput!) {
  receiveStockBatch(input: $input) {
    stockItems { id sku onHand }
    receipt { position replayed }
    userErrors { __typename code path message }
  }
}
"""


def variant(name: str) -> str:
    return derived_id("var", name)


class Inventory:
    """The running service, and the other services' part of the conversation."""

    def __init__(self, shop: Running) -> None:
        self.shop = shop
        self.warehouses: dict[str, str] = {}

    def key(self) -> str:
        return f"key-{uuid4()}"

    async def warehouse(self, code: str = "PORT", country: str = "ES") -> str:
        given = {"code": code, "name": code.title(), "country": country}
        data = await self.shop.data(
            CREATE_WAREHOUSE, {"input": {**given, "idempotencyKey": self.key()}}, **STAFF
        )
        payload = data["createWarehouse"]
        assert not payload["userErrors"], payload
        self.warehouses[code] = payload["warehouse"]["id"]
        return self.warehouses[code]

    async def variants(self, *names: str) -> None:
        await self.shop.feeds["products"].publish_all(
            [
                (
                    "product.variant_added",
                    {"variant_id": variant(name), "sku": name.upper(), "product_id": "prd_1"},
                    f"prd_{name}",
                )
                for name in names
            ]
        )
        await self.shop.digest("products")

    async def receive(self, name: str, quantity: int, code: str = "PORT") -> dict[str, Any]:
        given = {"sku": name.upper(), "warehouseId": self.warehouses[code], "quantity": quantity}
        data = await self.shop.data(
            RECEIVE, {"input": {**given, "idempotencyKey": self.key()}}, **STAFF
        )
        payload: dict[str, Any] = data["receiveStock"]
        assert not payload["userErrors"], payload
        return payload

    async def stocked(self, **units: int) -> None:
        """A warehouse and these units of these variants."""
        await self.warehouse()
        await self.variants(*units)
        for name, quantity in units.items():
            await self.receive(name, quantity)

    async def place(
        self, order: str, *lines: tuple[str, int], customer: str = "usr_1", attempt: int = 1
    ) -> None:
        """What orders says when an order is placed."""
        await self.shop.feeds["orders"].publish_all(
            [
                ("order.placed", {"order_id": order, "customer_id": customer}, order),
                (*self.stock_request(order, *lines, attempt=attempt),),
            ]
        )

    def stock_request(
        self, order: str, *lines: tuple[str, int], attempt: int = 1, ttl_seconds: int = 900
    ) -> tuple[str, Mapping[str, Any], str]:
        data = {
            "order_id": order,
            "request_id": f"{order}/reserve/{attempt}",
            "ttl_seconds": ttl_seconds,
            "attempt": attempt,
            "lines": [
                {
                    "line_id": f"lin_{n}",
                    "variant_id": variant(name),
                    "sku": name.upper(),
                    "quantity": quantity,
                }
                for n, (name, quantity) in enumerate(lines)
            ],
        }
        return "placement.stock_requested", data, _process(order)

    async def tell(self, type_name: str, order: str, **data: Any) -> None:
        """A placement request of orders, like `allocation_requested`."""
        step = type_name.partition("_")[0]
        about = {
            "order_id": order,
            "request_id": f"{order}/{step}",
            "reservation_id": reservation_of(order),
        }
        await self.shop.feeds["orders"].publish(
            f"placement.{type_name}", about | data, stream=_process(order)
        )
        await self.shop.digest("orders")

    async def dispatch(self, order: str, shipment: str, *lines: tuple[str, int]) -> None:
        data = {
            "order_id": order,
            "shipment_id": shipment,
            "lines": [{"line_id": line, "quantity": quantity} for line, quantity in lines],
        }
        await self.shop.feeds["shipping"].publish("shipment.dispatched", data, stream=shipment)
        await self.shop.digest("shipping")

    async def answers(self) -> list[str]:
        """The types of what was said of reservations, in order."""
        return [e.type for e in await self.shop.events() if e.type.startswith("reservation.")]

    async def level(self, name: str) -> tuple[int, int, int]:
        """On hand, reserved, allocated, over all warehouses: as the guard has it."""
        rows = await self.shop.service.reads.fetch(
            "SELECT on_hand, reserved, allocated FROM public.inventory_stock WHERE variant_id = %s",
            (variant(name),),
        )
        figures = [(row["on_hand"], row["reserved"], row["allocated"]) for row in rows]
        return (
            sum(row[0] for row in figures),
            sum(row[1] for row in figures),
            sum(row[2] for row in figures),
        )


def _process(order: str) -> str:
    return "plc_" + order.removeprefix("ord_")


@asynccontextmanager
async def inventory(
    database: str,
    *,
    given: Mapping[str, MemoryFeed] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Inventory]:
    """A started service."""
    async with running(
        build, "inventory", database, feeds=FEEDS, given=given, clock=clock, settings=settings
    ) as shop:
        yield Inventory(shop)
