"""Lists, figures, entities and history of orders; who sees what; how many statements it takes."""

from __future__ import annotations

import json

import pytest

from subgraphs.orders.order import line_id_of
from subgraphs.shared.auth import Role
from subgraphs.shared.events import AuditRead
from subgraphs.shared.ids import derived_id
from tests.subgraphs.orders.shop import (
    ANA,
    BOB,
    CUSTOMER,
    OTHER,
    SET_LINE,
    STAFF,
    Orders,
    money,
    orders,
    variant,
)

pytestmark = pytest.mark.slow

LIST = """query ($first: Int!, $after: String, $where: OrderWhere,
    $sort: OrderSort! = PLACED_AT_DESC) {
  orders(first: $first, after: $after, where: $where, orderBy: $sort) {
    edges { cursor node { id number status total { amount }
      lines { id quantity variant { id sku } unitPrice { amount } }
      customer { id } discounts { label } allowedActions } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
    totalCount
  }
}"""


async def listed(shop: Orders, by: dict[str, object], **variables: object) -> list[str]:
    data = await shop.it.data(LIST, {"first": 100, **variables}, **by)  # type: ignore[arg-type]
    return [edge["node"]["id"] for edge in data["orders"]["edges"]]


async def some_orders(shop: Orders, how_many: int, by: dict[str, object] = CUSTOMER) -> list[str]:
    """Oldest first, a second apart, each dearer than the one before."""
    found = []
    for number in range(1, how_many + 1):
        found.append(await shop.placed(by, SILK=number))
        shop.it.clock.pass_by(seconds=1)
    return found


async def test_customers_list_their_own_and_staff_all(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        mine = await some_orders(shop, 3)
        [theirs] = await some_orders(shop, 1, OTHER)
        assert await listed(shop, CUSTOMER) == mine[::-1]
        assert await listed(shop, OTHER) == [theirs]
        assert await listed(shop, CUSTOMER, where={"customerId": BOB}) == []
        assert await listed(shop, STAFF) == [theirs, *mine[::-1]]
        assert await listed(shop, STAFF, where={"customerId": BOB}) == [theirs]
        assert await listed(shop, STAFF, sort="PLACED_AT_ASC") == [*mine, theirs]
        assert (await listed(shop, STAFF, sort="TOTAL_DESC"))[0] == mine[2]
        assert await shop.it.errors(LIST, {"first": 1}) == ["UNAUTHENTICATED"]


async def test_a_list_is_read_page_by_page(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        mine = await some_orders(shop, 5)
        for sort in ("PLACED_AT_DESC", "PLACED_AT_ASC", "TOTAL_DESC"):
            seen: list[str] = []
            after = None
            while True:
                data = await shop.it.data(
                    LIST, {"first": 2, "after": after, "sort": sort}, **CUSTOMER
                )
                page = data["orders"]
                assert page["totalCount"] == 5
                seen += [edge["node"]["id"] for edge in page["edges"]]
                after = page["pageInfo"]["endCursor"]
                if not page["pageInfo"]["hasNextPage"]:
                    break
            assert seen == (mine if sort == "PLACED_AT_ASC" else mine[::-1])
        assert await shop.it.errors(LIST, {"first": 101}, **CUSTOMER) == ["INVALID_PAGE"]
        assert await shop.it.errors(LIST, {"first": 1, "after": "x"}, **CUSTOMER) == [
            "INVALID_PAGE"
        ]


async def test_a_list_is_filtered(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        first, second, third = await some_orders(shop, 3)
        await shop.reservation("rejected", first, attempt=1, shortages=[])
        await shop.confirm(second)
        assert await listed(shop, STAFF, where={"status": ["REJECTED", "CONFIRMED"]}) == [
            second,
            first,
        ]
        assert await listed(shop, STAFF, where={"rejection": ["OUT_OF_STOCK"]}) == [first]
        page = await shop.page(second)
        assert await listed(shop, STAFF, where={"placedAfter": page["placedAt"]}) == [third]
        assert await listed(shop, STAFF, where={"placedBefore": page["placedAt"]}) == [first]
        for search in (page["number"], page["number"].lower(), second):
            assert await listed(shop, STAFF, where={"search": search}) == [second]
        assert len(await listed(shop, STAFF, where={"search": "SILK"})) == 3
        assert (await shop.page(number=page["number"]))["id"] == second
        assert await shop.page(number=page["number"], by=OTHER) is None


async def test_figures_for_a_report(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1000)
        await shop.sell("SALT", 500)
        short, declined, done = await some_orders(shop, 3)
        also = await shop.placed(OTHER, SILK=1, SALT=2)
        pending = await shop.placed(OTHER, SALT=1)
        await shop.reservation("rejected", short, attempt=1, shortages=[])
        await shop.hold(declined)
        await shop.payment("declined", declined, decline_code="x")
        await shop.reservation("released", declined)
        await shop.complete(done)
        await shop.confirm(also)
        assert pending
        data = await shop.it.data(
            """{ orderTotals { byStatus { status count total { amount currency }
                                          captured { amount } needingOperator }
                               refusals { reason count total { amount } } }
                 skuSales(first: 10) { edges { node { sku variant { id } quantity quantityFulfilled
                                                      total { amount } } } } }""",
            **STAFF,
        )
        assert data["orderTotals"]["byStatus"] == [
            {
                "status": status,
                "count": count,
                "total": money(total),
                "captured": {"amount": captured},
                "needingOperator": 0,
            }
            for status, count, total, captured in (
                ("COMPLETED", 1, "30.00", "30.00"),
                ("CONFIRMED", 1, "20.00", "0.00"),
                ("PENDING", 1, "5.00", "0.00"),
                ("REJECTED", 2, "30.00", "0.00"),
            )
        ]
        assert data["orderTotals"]["refusals"] == [
            {"reason": "OUT_OF_STOCK", "count": 1, "total": {"amount": "10.00"}},
            {"reason": "PAYMENT_DECLINED", "count": 1, "total": {"amount": "20.00"}},
        ]
        assert [edge["node"] for edge in data["skuSales"]["edges"]] == [
            {
                "sku": sku,
                "variant": {"id": variant(sku)},
                "quantity": quantity,
                "quantityFulfilled": fulfilled,
                "total": {"amount": total},
            }
            for sku, quantity, fulfilled, total in (
                ("SALT", 2, 0, "10.00"),
                ("SILK", 4, 3, "40.00"),
            )
        ]
        second = await shop.it.data(
            "query ($after: String) { skuSales(first: 1, after: $after) {"
            " edges { node { sku } } pageInfo { endCursor hasNextPage } } }",
            **STAFF,
        )
        assert second["skuSales"]["pageInfo"]["hasNextPage"] is True
        for query in ("{ orderTotals { byStatus { count } } }",
                      "{ skuSales(first: 1) { edges { node { sku } } } }",
                      "{ refusedLines(first: 1) { edges { node { sku } } } }"):  # fmt: skip
            assert await shop.it.errors(query, **CUSTOMER) == ["FORBIDDEN"]


async def test_somebody_elses_order_is_as_unknown(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        line = line_id_of(order, 1)
        representations = [
            {"__typename": "Order", "id": order},
            {"__typename": "OrderLine", "id": line},
            {"__typename": "Order", "id": derived_id("ord", "nowhere")},
        ]
        selection = "... on Order { id total { amount } } ... on OrderLine { id quantity }"
        assert await shop.it.entities(representations, selection, **OTHER) == [None] * 3
        assert await shop.it.entities(representations, selection) == [None] * 3
        assert await shop.page(order, OTHER) is None
        assert await shop.page(derived_id("ord", "nowhere"), OTHER) is None
        mine = await shop.it.entities(representations, selection, **CUSTOMER)
        assert mine[:2] == [
            {"id": order, "total": {"amount": "12.50"}},
            {"id": line, "quantity": 1},
        ]
        assert mine[2:] == [None]
        for role in (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN):
            other = {"user": derived_id("usr", role.value), "roles": [role]}
            assert (await shop.page(order, other))["id"] == order


async def test_users_have_orders_and_a_cart_that_only_they_and_staff_see(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        mine = await some_orders(shop, 3)
        await shop.cart(SILK=1)
        newest = await shop.cart(SILK=2)
        users = [{"__typename": "User", "id": ANA}, {"__typename": "User", "id": BOB}]
        selection = (
            "... on User { id orders(first: 2) { edges { node { id } } pageInfo { hasNextPage } }"
            " activeCart { id lines { quantity } } }"
        )
        ana, bob = await shop.it.entities(users, selection, **CUSTOMER)
        assert [edge["node"]["id"] for edge in ana["orders"]["edges"]] == mine[:0:-1]
        assert ana["orders"]["pageInfo"]["hasNextPage"] is True
        assert ana["activeCart"] == {"id": newest["id"], "lines": [{"quantity": 2}]}
        assert (bob["orders"]["edges"], bob["activeCart"]) == ([], None)
        ana, bob = await shop.it.entities(users, selection, **OTHER)
        assert (ana["orders"]["edges"], ana["activeCart"]) == ([], None)
        ana, _ = await shop.it.entities(users, selection, **STAFF)
        assert len(ana["orders"]["edges"]) == 2


async def test_other_services_get_what_they_require(database: str) -> None:
    """payments: total; shipping: lines { id quantity }, and of carts weight and destination."""
    async with orders(database) as shop:
        await shop.sell("SILK", 1250, grams=900)
        order = await shop.placed(SILK=2)
        cart = await shop.cart(SILK=3)
        found = await shop.it.entities(
            [{"__typename": "Order", "id": order}, {"__typename": "Cart", "id": cart["id"]}],
            "... on Order { total { amount currency } lines { id quantity } }"
            " ... on Cart { totalWeightGrams destination { country postalCode } }",
            **CUSTOMER,
        )
        assert found == [
            {"total": money("25.00"), "lines": [{"id": line_id_of(order, 1), "quantity": 2}]},
            {"totalWeightGrams": 2700, "destination": None},
        ]


async def test_the_number_of_statements_does_not_grow_with_rows(database: str) -> None:
    async with orders(database) as shop:
        for sku in ("SILK", "SALT", "WOOL"):
            await shop.sell(sku, 100)

        async def statements(query: str, variables: object, **by: object) -> int:
            await shop.it.settle()
            before = shop.it.service.reads.statements
            await shop.it.data(query, variables, fresh=False, **by)  # type: ignore[arg-type]
            return shop.it.service.reads.statements - before

        entities = (
            "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Order { id"
            " total { amount } lines { id variant { sku } } customer { id } cart { id } }"
            " ... on OrderLine { id quantity } ... on Cart { lines { quantity }"
            " problems { message } order { id } }"
            " ... on User { orders(first: 5) { edges { node { id lines { id } } } }"
            " activeCart { id } } } }"
        )

        async def measured(found: list[str], carts: list[str]) -> list[int]:
            lines = [line_id_of(order, 1) for order in found]
            users = [ANA, BOB, *(derived_id("usr", order) for order in found)]
            representations = [
                *({"__typename": "Order", "id": order} for order in found),
                *({"__typename": "OrderLine", "id": line} for line in lines),
                *({"__typename": "Cart", "id": cart} for cart in carts),
                *({"__typename": "User", "id": user} for user in users),
            ]
            return [
                await statements(LIST, {"first": 100}, **STAFF),
                await statements(entities, {"r": representations}, **STAFF),
            ]

        found = [await shop.placed(SILK=1, SALT=1)]
        carts = [(await shop.cart(SILK=1))["id"]]
        few = await measured(found, carts)
        for by in (CUSTOMER, OTHER):
            for _ in range(5):
                found.append(await shop.placed(by, SILK=1, SALT=2, WOOL=3))
                carts.append((await shop.cart(by, SILK=1, SALT=1))["id"])
        many = await measured(found, carts)
        # Two answers of the database that come at one moment are followed by one statement.
        assert all(more <= less + 1 for more, less in zip(many, few, strict=True)), (few, many)
        assert few[0] == 3, "a page, its count, its lines"


async def test_setting_lines_takes_as_many_statements_for_one_as_for_many(database: str) -> None:
    async with orders(database) as shop:
        for number in range(20):
            await shop.sell(f"S{number}", 100)
        cart = await shop.cart()
        reads = shop.it.service.reads
        before = reads.statements
        await shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku="S0", quantity=1)
        one = reads.statements - before
        before = reads.statements
        await shop.cart(**{f"S{number}": 1 for number in range(20)})
        assert reads.statements - before == one == 1


async def test_an_order_as_it_was(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.confirm(order)
        query = """query ($id: ID!, $at: DateTime) { order(id: $id) {
          first: asOf(version: 1) { version state } now: asOf { version state }
          then: asOf(at: $at) { version }
          diff(fromVersion: 1, toVersion: 2) { path before after eventId }
          back: diff(fromVersion: 2, toVersion: 1) { path before after }
          same: diff(fromVersion: 2, toVersion: 2) { path } } }"""
        events = await shop.it.service.store.read_stream(order)
        at = events[0].recorded_at.isoformat()
        found = (await shop.it.data(query, {"id": order, "at": at}, **CUSTOMER))["order"]
        assert json.loads(found["first"]["state"])["status"] == "PENDING"
        assert json.loads(found["now"]["state"])["status"] == "CONFIRMED"
        assert (found["first"]["version"], found["now"]["version"]) == (1, 2)
        assert found["then"] == {"version": 1}
        assert found["diff"] == [
            {
                "path": "status",
                "before": '"PENDING"',
                "after": '"CONFIRMED"',
                "eventId": str(events[1].id),
            }
        ]
        assert found["back"] == [{"path": "status", "before": '"CONFIRMED"', "after": '"PENDING"'}]
        assert found["same"] == []


async def test_history_is_asked_for_with_any_number_and_tells_no_token(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        query = """query ($id: ID!) { order(id: $id) {
          never: asOf(version: 0) { version } less: asOf(version: -7) { version }
          late: asOf(version: 2147483647) { version state }
          local: asOf(at: "2100-01-01T00:00:00") { version }
          before: asOf(at: "2000-01-01T00:00:00Z") { version }
          all: diff(fromVersion: -1, toVersion: 2147483647) { path after } } }"""
        found = (await shop.it.data(query, {"id": order}, **STAFF))["order"]
        assert (found["never"], found["less"], found["before"]) == (None, None, None)
        assert found["late"]["version"] == found["local"]["version"] == 1
        changed = {change["path"]: change["after"] for change in found["all"]}
        assert changed["terms.total_minor"] == "1250"
        assert "tok_visa" not in found["late"]["state"] + str(changed)


async def test_it_is_recorded_when_an_auditor_asks_how_an_order_stood(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        query = """query ($id: ID!) { order(id: $id) { asOf(version: 1) { version }
          diff(fromVersion: 0, toVersion: 1) { path } } }"""
        auditor = {"user": derived_id("usr", "auditor"), "roles": [Role.AUDITOR]}
        for who in (CUSTOMER, STAFF, auditor):
            assert (await shop.it.data(query, {"id": order}, **who))["order"]["asOf"]
        store = shop.it.service.store
        (read,) = await store.read(0, limit=1000, types=[AuditRead.TYPE])
        assert read.metadata.actor.id == auditor["user"]
        assert [(asked.field, asked.of) for asked in read.event.asked] == [
            ("asOf", order),
            ("diff", order),
        ]
        assert read.event.persons == (ANA,)


async def test_the_read_model_shows_what_the_streams_fold_to(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        ways = [
            [],
            ["hold"],
            ["hold", "authorize"],
            ["confirm"],
            ["confirm", "dispatch"],
            ["complete"],
        ]
        for way in ways:
            order = await shop.placed(SILK=2)
            for step in way:
                await getattr(shop, step)(order)
            page = await shop.page(order)
            state, placement = await shop.state(order), await shop.placement(order)
            assert page["status"] == state.status, way
            assert page["placement"] == placement.progress, way
            fulfilled = [line["quantityFulfilled"] for line in page["lines"]]
            assert fulfilled == [state.sent.get(line["id"], 0) for line in page["lines"]]
            assert page["version"] == len(await shop.happened(order))


async def test_nothing_of_a_cart_is_in_the_public_feed(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.confirm(order)
        feed = await shop.it.service.feed.read(0)
        assert [event.type for event in feed.events] == [
            "order.placed",
            "placement.stock_requested",
            "placement.authorization_requested",
            "placement.allocation_requested",
            "placement.shipment_requested",
            "order.confirmed",
        ]


async def test_an_answer_for_an_order_of_another_shop_is_nothing(database: str) -> None:
    async with orders(database) as shop:
        await shop.reservation("held", derived_id("ord", "of another shop"), attempt=1)
        assert await shop.it.events() == []
