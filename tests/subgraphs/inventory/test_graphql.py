"""The inventory subgraph over a real database: what may be seen, what may be done, at what cost."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from subgraphs.inventory.domain import reservation_of, stock_item_of
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import derived_id
from tests.subgraphs.inventory.shop import (
    CREATE_WAREHOUSE,
    RECEIVE,
    RECEIVE_BATCH,
    STAFF,
    Inventory,
    inventory,
    variant,
)

pytestmark = pytest.mark.slow

ADJUST = """
mutation ($input: AdjustStockInput!) {
  adjustStock(input: $input) {
    stockItem { id version onHand available } receipt { replayed position }
    userErrors {
      __typename code path
      ... on InsufficientStock { requested available variant { id } }
    }
  }
}
"""
TRANSFER = """
mutation ($input: TransferStockInput!) {
  transferStock(input: $input) {
    stockItem { id onHand warehouse { code } } receipt { replayed }
    userErrors { __typename code path }
  }
}
"""
LEVELS = """
query ($first: Int!, $after: String, $where: StockItemWhere) {
  stockItems(first: $first, after: $after, where: $where) {
    edges { node { id sku onHand reserved allocated available
      totals { received sold adjusted transferred } warehouse { code } variant { id } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
RESERVATION = """
... on Order { reservation { id version state expiresAt lines { sku quantity warehouse { code } }
  shortages { sku requested available } order { id } } }
"""


def order(name: str = "one") -> str:
    return derived_id("ord", name)


async def adjust(shop: Inventory, name: str, delta: int, **more: Any) -> dict[str, Any]:
    given = {
        "stockItemId": stock_item_of(variant(name), shop.warehouses["PORT"]),
        "delta": delta,
        "reason": "COUNT",
        "idempotencyKey": shop.key(),
    }
    data = await shop.shop.data(ADJUST, {"input": given | more}, **STAFF)
    payload: dict[str, Any] = data["adjustStock"]
    return payload


async def levels(shop: Inventory, **variables: Any) -> list[dict[str, Any]]:
    data = await shop.shop.data(LEVELS, {"first": 100} | variables, **STAFF)
    return [edge["node"] for edge in data["stockItems"]["edges"]]


async def test_goods_are_received_by_sku_or_by_variant(database: str) -> None:
    async with inventory(database) as shop:
        await shop.warehouse()
        await shop.variants("silk")
        by_sku = await shop.receive("silk", 5)
        item = by_sku["stockItem"]
        assert (item["onHand"], item["available"], item["version"]) == (5, 5, 2)
        assert item["id"] == stock_item_of(variant("silk"), shop.warehouses["PORT"])
        given = {
            "variantId": variant("silk"),
            "warehouseId": shop.warehouses["PORT"],
            "quantity": 2,
            "idempotencyKey": shop.key(),
        }
        data = await shop.shop.data(RECEIVE, {"input": given}, **STAFF)
        assert data["receiveStock"]["stockItem"]["onHand"] == 7


async def test_a_repeated_key_moves_stock_once(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=1)
        given = {
            "sku": "SILK",
            "warehouseId": shop.warehouses["PORT"],
            "quantity": 2,
            "idempotencyKey": shop.key(),
        }
        asked = [shop.shop.data(RECEIVE, {"input": given}, fresh=False, **STAFF) for _ in range(5)]
        payloads = [data["receiveStock"] for data in await asyncio.gather(*asked)]
        assert sorted(p["receipt"]["replayed"] for p in payloads) == [False, True, True, True, True]
        assert len({p["receipt"]["position"] for p in payloads}) == 1
        assert await shop.level("silk") == (3, 0, 0)
        data = await shop.shop.data(RECEIVE, {"input": given | {"quantity": 3}}, **STAFF)
        [error] = data["receiveStock"]["userErrors"]
        assert error["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_batch_takes_the_good_lines_and_names_the_others(database: str) -> None:
    async with inventory(database) as shop:
        await shop.warehouse()
        await shop.variants("silk", "wool")
        lines: list[dict[str, Any]] = [
            {"sku": "SILK", "quantity": 5},
            {"sku": "NOPE", "quantity": 5},
            {"sku": "WOOL", "quantity": -5},
            {"sku": "SILK", "quantity": 1},
            {"quantity": 1},
            {"sku": "WOOL", "quantity": 1, "warehouseId": derived_id("whs", "none")},
        ]
        given = {
            "warehouseId": shop.warehouses["PORT"],
            "lines": lines,
            "idempotencyKey": shop.key(),
        }
        data = await shop.shop.data(RECEIVE_BATCH, {"input": given}, **STAFF)
        payload = data["receiveStockBatch"]
        assert [item["onHand"] for item in payload["stockItems"]] == [6]
        errors = {tuple(error["path"]): error["code"] for error in payload["userErrors"]}
        assert errors == {
            ("input", "lines", "1", "sku"): "UNKNOWN_VARIANT",
            ("input", "lines", "2", "quantity"): "QUANTITY_OUT_OF_RANGE",
            ("input", "lines", "4", "sku"): "INVALID",
            ("input", "lines", "5", "warehouseId"): "UNKNOWN_WAREHOUSE",
        }
        again = (await shop.shop.data(RECEIVE_BATCH, {"input": given}, **STAFF))[
            "receiveStockBatch"
        ]
        assert again["receipt"]["replayed"] is True
        assert {tuple(e["path"]): e["code"] for e in again["userErrors"]} == errors
        assert await shop.level("silk") == (6, 0, 0)


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
async def test_quantities_out_of_range(database: str, quantity: int) -> None:
    async with inventory(database) as shop:
        await shop.warehouse()
        await shop.variants("silk")
        given = {
            "sku": "SILK",
            "warehouseId": shop.warehouses["PORT"],
            "quantity": quantity,
            "idempotencyKey": shop.key(),
        }
        data = await shop.shop.data(RECEIVE, {"input": given}, **STAFF)
        [error] = data["receiveStock"]["userErrors"]
        assert (error["code"], error["path"]) == ("QUANTITY_OUT_OF_RANGE", ["input", "quantity"])
        assert await shop.shop.events("stock.received") == []


async def test_a_sku_that_was_just_created_is_waited_for(database: str) -> None:
    async with inventory(database) as shop:
        await shop.warehouse()
        feed = shop.shop.feeds["products"]
        given = {
            "sku": "NEW",
            "warehouseId": shop.warehouses["PORT"],
            "quantity": 1,
            "idempotencyKey": shop.key(),
        }
        receiving = asyncio.create_task(
            shop.shop.data(
                RECEIVE, {"input": given}, fresh=False, x_read_position="products:1", **STAFF
            )
        )
        added = {"variant_id": variant("new"), "sku": "NEW", "product_id": "prd_1"}
        await feed.publish("product.variant_added", added)
        assert (await receiving)["receiveStock"]["userErrors"] == []


async def test_an_adjustment_compares_and_swaps(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        done = await adjust(shop, "silk", -2, changeFromQuantity=5, note="found two torn")
        assert done["stockItem"]["onHand"] == 3
        stale = await adjust(shop, "silk", -2, changeFromQuantity=5)
        assert [error["code"] for error in stale["userErrors"]] == ["QUANTITY_CHANGED"]
        silent = await adjust(shop, "silk", 1, reason="CORRECTION")
        assert [error["code"] for error in silent["userErrors"]] == ["REASON_MISSING"]
        short = await adjust(shop, "silk", -4)
        assert short["userErrors"] == [
            {
                "__typename": "InsufficientStock",
                "code": "INSUFFICIENT_STOCK",
                "path": None,
                "requested": 4,
                "available": 3,
                "variant": {"id": variant("silk")},
            }
        ]
        [adjusted] = await shop.shop.events("stock.adjusted")
        assert adjusted.metadata.actor.id == "usr_staff"
        assert adjusted.metadata.reason == "found two torn"


async def test_a_transfer_moves_both_halves(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        hill = await shop.warehouse("HILL")
        given = {
            "variantId": variant("silk"),
            "fromWarehouseId": shop.warehouses["PORT"],
            "toWarehouseId": hill,
            "quantity": 3,
            "idempotencyKey": shop.key(),
        }

        async def transfer(**more: Any) -> Any:
            data = await shop.shop.data(TRANSFER, {"input": given | more}, **STAFF)
            return data["transferStock"]

        first = await transfer()
        assert first["stockItem"]["onHand"] == 2
        assert first["stockItem"]["warehouse"] == {"code": "PORT"}
        assert (await transfer())["receipt"]["replayed"] is True
        too_many = await transfer(idempotencyKey=shop.key())
        assert [e["code"] for e in too_many["userErrors"]] == ["INSUFFICIENT_STOCK"]
        same = await transfer(toWarehouseId=shop.warehouses["PORT"], idempotencyKey=shop.key())
        assert [e["code"] for e in same["userErrors"]] == ["SAME_WAREHOUSE"]
        nowhere = await transfer(toWarehouseId=derived_id("whs", "none"), idempotencyKey=shop.key())
        assert [e["code"] for e in nowhere["userErrors"]] == ["UNKNOWN_WAREHOUSE"]
        found = {item["warehouse"]["code"]: item for item in await levels(shop)}
        assert (found["PORT"]["onHand"], found["HILL"]["onHand"]) == (2, 3)
        assert found["HILL"]["totals"]["transferred"] == 3


async def test_received_less_sold_is_on_hand_for_every_sku(database: str) -> None:
    summary = """
    { stockSummary { items skus onHand reserved allocated received sold adjusted transferred
        unbalanced guardMismatches } }
    """
    async with inventory(database) as shop:
        await shop.stocked(silk=5, wool=4, flax=3)
        await shop.place("ord_1", ("silk", 5), ("wool", 1))
        await shop.tell("allocation_requested", "ord_1")
        await shop.dispatch("ord_1", "shp_1", ("lin_0", 5), ("lin_1", 1))
        found = await levels(shop)
        assert [item["sku"] for item in found] == ["FLAX", "SILK", "WOOL"]
        for item in found:
            totals = item["totals"]
            assert totals["received"] - totals["sold"] - item["onHand"] == 0
        assert [item["totals"]["sold"] for item in found] == [0, 5, 1]
        sums = (await shop.shop.data(summary, **STAFF))["stockSummary"]
        assert (sums["received"], sums["sold"], sums["onHand"]) == (12, 6, 6)
        assert (sums["unbalanced"], sums["guardMismatches"]) == (0, 0)
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            await connection.execute(
                "UPDATE public.inventory_stock SET on_hand = on_hand + 1 WHERE sku = 'WOOL'"
            )
            await connection.execute("DELETE FROM public.inventory_stock WHERE sku = 'FLAX'")
        sums = (await shop.shop.data(summary, **STAFF))["stockSummary"]
        assert sums["guardMismatches"] == 2, "rows that were tampered with are told"
        low = await levels(shop, where={"lowOnly": True, "sku": "SILK"})
        assert [item["onHand"] for item in low] == [0]


async def test_the_ledger_names_every_movement_and_who_made_it(database: str) -> None:
    ask = """
    query ($id: ID!) { stockItem(id: $id) { onHand movements(first: 10) { edges { node {
      kind onHand reserved allocated order { id } reason actorKind actorId } } } } }
    """
    async with inventory(database) as shop:
        await shop.stocked(silk=5)
        await shop.place(order(), ("silk", 2))
        await shop.tell("allocation_requested", order())
        await shop.dispatch(order(), "shp_1", ("lin_0", 2))
        await adjust(shop, "silk", -1, reason="DAMAGE", note="wet")
        item_id = stock_item_of(variant("silk"), shop.warehouses["PORT"])
        item = (await shop.shop.data(ask, {"id": item_id}, **STAFF))["stockItem"]
        moves = [edge["node"] for edge in item["movements"]["edges"]]
        assert [move["kind"] for move in moves] == [
            "adjusted",
            "shipped",
            "allocated",
            "reserved",
            "received",
        ]
        assert sum(move["onHand"] for move in moves) == item["onHand"] == 2
        assert (moves[0]["reason"], moves[0]["actorKind"]) == ("DAMAGE: wet", "staff")
        assert moves[1]["order"] == {"id": order()}


async def test_customers_see_availability_and_their_own_reservation(database: str) -> None:
    async with inventory(database, low_stock_at=2) as shop:
        await shop.stocked(silk=5, wool=2, flax=1)
        await shop.place(order(), ("silk", 1), ("flax", 1), customer="usr_1")
        await shop.place(order("two"), ("flax", 1), customer="usr_2")
        await shop.shop.digest("orders")
        references = [
            {"__typename": "ProductVariant", "id": variant(name)}
            for name in ("silk", "wool", "flax", "none")
        ]
        seen = await shop.shop.entities(
            references, "... on ProductVariant { availability { state available } }"
        )
        assert [(v["availability"]["state"], v["availability"]["available"]) for v in seen] == [
            ("IN_STOCK", 4),
            ("LOW", 2),
            ("OUT_OF_STOCK", 0),
            ("OUT_OF_STOCK", 0),
        ]
        abroad = await shop.shop.entities(
            references[:1], '... on ProductVariant { availability(country: "FR") { available } }'
        )
        assert abroad[0]["availability"]["available"] == 0
        asked = [{"__typename": "Order", "id": order(name)} for name in ("one", "two", "never")]
        mine = await shop.shop.entities(asked, RESERVATION, user="usr_1")
        assert mine[0]["reservation"]["state"] == "HELD"
        assert [line["sku"] for line in mine[0]["reservation"]["lines"]] == ["SILK", "FLAX"]
        assert mine[0]["reservation"]["lines"][0]["warehouse"] == {"code": "PORT"}
        assert [entity["reservation"] for entity in mine[1:]] == [None, None]
        theirs = await shop.shop.entities(asked, RESERVATION, user="usr_2")
        assert theirs[1]["reservation"]["state"] == "REJECTED"
        assert theirs[1]["reservation"]["shortages"] == [
            {"sku": "FLAX", "requested": 1, "available": 0}
        ]
        all_of_it = await shop.shop.entities(asked, RESERVATION, **STAFF)
        assert [bool(entity["reservation"]) for entity in all_of_it] == [True, True, False]
        nobody = await shop.shop.entities(asked, RESERVATION)
        assert [entity["reservation"] for entity in nobody] == [None, None, None]


async def test_lists_of_reservations_show_what_may_be_seen(database: str) -> None:
    ask = """
    query ($state: ReservationState, $order: ID) {
      reservations(first: 10, state: $state, orderId: $order) {
        edges { node { id state } } } }
    """
    async with inventory(database) as shop:
        await shop.stocked(silk=1)
        await shop.place(order(), ("silk", 1), customer="usr_1")
        await shop.shop.digest("orders")
        await shop.place(order("two"), ("silk", 1), customer="usr_2")
        await shop.shop.digest("orders")

        async def ids(variables: dict[str, Any] | None = None, **who: Any) -> set[str]:
            data = await shop.shop.data(ask, variables, **who)
            return {edge["node"]["id"] for edge in data["reservations"]["edges"]}

        first, second = reservation_of(order()), reservation_of(order("two"))
        assert await ids(user="usr_1") == {first}
        assert await ids(**STAFF) == {first, second}
        assert await ids({"state": "REJECTED"}, **STAFF) == {second}
        assert await ids({"order": order("two")}, user="usr_1") == set()
        assert await shop.shop.errors(ask) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("roles", [[], [Role.CUSTOMER], [Role.AUDITOR]])
async def test_only_staff_moves_stock(database: str, roles: list[Role]) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=1)
        who = {"user": "usr_1", "roles": roles}
        given = {"sku": "SILK", "warehouseId": shop.warehouses["PORT"], "quantity": 1}
        variables = {"input": given | {"idempotencyKey": shop.key()}}
        assert await shop.shop.errors(RECEIVE, variables, **who) == ["FORBIDDEN"]
        assert await shop.shop.errors(RECEIVE, variables) == ["UNAUTHENTICATED"]
        batch = {"warehouseId": shop.warehouses["PORT"], "lines": [], "idempotencyKey": "k"}
        assert await shop.shop.errors(RECEIVE_BATCH, {"input": batch}, **who) == ["FORBIDDEN"]
        made = {"code": "X", "name": "X", "country": "ES", "idempotencyKey": "k"}
        assert await shop.shop.errors(CREATE_WAREHOUSE, {"input": made}, **who) == ["FORBIDDEN"]
        seeing = "{ stockItems(first: 1) { edges { node { onHand } } } }"
        may_look = Role.AUDITOR in roles
        assert await shop.shop.errors(seeing, **who) == ([] if may_look else ["FORBIDDEN"])
        reference = [{"__typename": "StockItem", "id": stock_item_of(variant("silk"), "x")}]
        assert await shop.shop.entities(reference, "... on StockItem { onHand }", **who) == [None]
        item = stock_item_of(variant("silk"), shop.warehouses["PORT"])
        [found] = await shop.shop.entities(
            [{"__typename": "StockItem", "id": item}], "... on StockItem { onHand }", **who
        )
        assert (found is not None) == may_look


async def test_a_write_shows_what_no_read_model_shows_yet(database: str) -> None:
    async with inventory(database) as shop:
        await shop.variants("silk")
        await shop.shop.service.runner.stop()
        made = {"code": "NEW", "name": "New", "country": "ES", "idempotencyKey": shop.key()}
        data = await shop.shop.data(CREATE_WAREHOUSE, {"input": made}, fresh=False, **STAFF)
        warehouse = data["createWarehouse"]["warehouse"]
        given = {
            "sku": "SILK",
            "warehouseId": warehouse["id"],
            "quantity": 1,
            "idempotencyKey": shop.key(),
        }
        data = await shop.shop.data(RECEIVE, {"input": given}, fresh=False, **STAFF)
        assert data["receiveStock"]["stockItem"]["warehouse"] == {"id": warehouse["id"]}


async def test_two_warehouses_cannot_share_a_code(database: str) -> None:
    async with inventory(database) as shop:
        await shop.warehouse()
        given = {"code": "PORT", "name": "Other", "country": "ES", "idempotencyKey": shop.key()}
        data = await shop.shop.data(CREATE_WAREHOUSE, {"input": given}, **STAFF)
        [error] = data["createWarehouse"]["userErrors"]
        assert error["code"] == "WAREHOUSE_CODE_TAKEN"
        wrong = given | {"code": "no spaces", "idempotencyKey": shop.key()}
        data = await shop.shop.data(CREATE_WAREHOUSE, {"input": wrong}, **STAFF)
        assert [e["code"] for e in data["createWarehouse"]["userErrors"]] == ["INVALID_WAREHOUSE"]
        listed = await shop.shop.data("{ warehouses { code name country } }")
        assert listed["warehouses"] == [{"code": "PORT", "name": "Port", "country": "ES"}]


async def test_the_number_of_statements_does_not_grow_with_the_rows(database: str) -> None:
    selection = f"""
      {RESERVATION}
      ... on ProductVariant {{ availability {{ available }}
        stock {{ id onHand totals {{ sold }} warehouse {{ code }}
          movements(first: 2) {{ edges {{ node {{ kind }} }} }} }} }}
      ... on Warehouse {{ code }}
    """
    names = [f"v{n}" for n in range(12)]
    async with inventory(database) as shop:
        await shop.warehouse()
        await shop.variants(*names)
        for name in names:
            await shop.receive(name, 3)
            await shop.place(order(name), (name, 1))
        await shop.shop.digest("orders")
        counts = []
        for count in (1, 12):
            await shop.shop.settle()
            before = shop.shop.service.reads.statements
            asked: list[dict[str, Any]] = [
                entity
                for name in names[:count]
                for entity in (
                    {"__typename": "Order", "id": order(name)},
                    {"__typename": "ProductVariant", "id": variant(name)},
                    {"__typename": "Warehouse", "id": shop.warehouses["PORT"]},
                )
            ]
            found = await shop.shop.entities(asked, selection, fresh=False, **STAFF)
            assert all(entity is not None for entity in found)
            counts.append(shop.shop.service.reads.statements - before)
        assert counts[0] == counts[1] <= 7


async def test_lists_are_paged(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=1, wool=1, flax=1)
        first = (await shop.shop.data(LEVELS, {"first": 2}, **STAFF))["stockItems"]
        after = first["pageInfo"]["endCursor"]
        rest = (await shop.shop.data(LEVELS, {"first": 2, "after": after}, **STAFF))["stockItems"]
        assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
        assert [edge["node"]["sku"] for edge in first["edges"] + rest["edges"]] == [
            "FLAX",
            "SILK",
            "WOOL",
        ]
        assert await shop.shop.errors(LEVELS, {"first": 101}, **STAFF) == ["INVALID_PAGE"]
        assert await shop.shop.errors(LEVELS, {"first": 1, "after": "x"}, **STAFF) == [
            "INVALID_PAGE"
        ]
