"""Carts through GraphQL, on a real database."""

from __future__ import annotations

import pytest

from subgraphs.orders.cart_events import CartExpired
from subgraphs.shared.auth import Role
from tests.subgraphs.orders.shop import (
    ADDRESS,
    ANA,
    BOB,
    CREATE_CART,
    CUSTOMER,
    OTHER,
    REMOVE_LINE,
    SET_DESTINATION,
    SET_LINE,
    SET_LINES,
    STAFF,
    money,
    orders,
    product,
    variant,
)

pytestmark = pytest.mark.slow

CART = """query ($id: ID!) { cart(id: $id) { id version status
  lines { quantity variant { sku } } order { id }
  problems { __typename message ... on PriceChanged { variant { id } from { amount } to { amount } }
             ... on NotForSale { variant { id } } } } }"""


async def test_a_cart_is_created_once_for_a_key(database: str) -> None:
    async with orders(database) as shop:
        first = await shop.send(CREATE_CART, CUSTOMER, key="k", currency="EUR")
        again = await shop.send(CREATE_CART, CUSTOMER, key="k", currency="EUR")
        assert first["receipt"]["replayed"] is False
        assert again["receipt"] == {**first["receipt"], "replayed": True}
        assert again["cart"]["id"] == first["cart"]["id"]
        other = await shop.send(CREATE_CART, CUSTOMER, key="k", currency="USD")
        assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]
        mine = await shop.send(CREATE_CART, OTHER, key="k", currency="EUR")
        assert mine["cart"]["id"] != first["cart"]["id"]


async def test_an_unknown_currency_is_refused(database: str) -> None:
    async with orders(database) as shop:
        payload = await shop.send(CREATE_CART, CUSTOMER, key="k", currency="ABC")
        assert [error["code"] for error in payload["userErrors"]] == ["UNKNOWN_CURRENCY"]


async def test_anonymous_callers_have_no_cart(database: str) -> None:
    async with orders(database) as shop:
        assert await shop.it.errors(CREATE_CART, {"key": "k", "currency": "EUR"}) == [
            "UNAUTHENTICATED"
        ]


async def test_a_line_is_set_by_sku_or_by_variant(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250, grams=900)
        cart = await shop.cart()
        payload = await shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku="SILK", quantity=2)
        assert not payload["userErrors"]
        [line] = payload["cart"]["lines"]
        assert line["variant"] == {"id": variant("SILK"), "sku": "SILK"}
        assert (line["title"], line["unitPrice"]["amount"]) == ("A silk", "12.50")
        assert payload["cart"]["total"] == money("25.00")
        assert payload["cart"]["totalWeightGrams"] == 1800
        again = await shop.send(
            SET_LINE, CUSTOMER, cart=cart["id"], variant=variant("SILK"), quantity=3
        )
        assert [line["quantity"] for line in again["cart"]["lines"]] == [3]
        read = await shop.it.data(CART, {"id": cart["id"]}, **CUSTOMER)
        assert read["cart"]["lines"] == [{"quantity": 3, "variant": {"sku": "SILK"}}]
        assert read["cart"]["problems"] == []


async def test_bad_lines_are_refused_one_by_one_and_counted(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        await shop.sell("SALT", 499, publish=False)
        cart = await shop.cart()
        lines = [
            {"sku": "SILK", "quantity": 2},
            {"sku": "SILK", "quantity": 0},
            {"sku": "SILK", "quantity": 89_638},
            {"sku": "NOPE", "quantity": 1},
            {"sku": "NOPE", "quantity": 0},
            {"sku": "SALT", "quantity": 1},
            {"quantity": 1},
            {"sku": "SILK", "quantity": 1, "discount": money("12.51")},
            {"sku": "SILK", "quantity": 1, "discount": money("1.00", "USD")},
            {"sku": "SILK", "quantity": 1, "discount": money("-1.00")},
            {"sku": "SILK", "quantity": 1, "discount": money("0.001")},
        ]
        payload = await shop.send(SET_LINES, STAFF, cart=cart["id"], lines=lines)
        assert [(error["path"], error["code"]) for error in payload["userErrors"]] == [
            (["lines", "1", "quantity"], "QUANTITY_NOT_POSITIVE"),
            (["lines", "2", "quantity"], "QUANTITY_TOO_LARGE"),
            (["lines", "3"], "UNKNOWN_VARIANT"),
            (["lines", "4", "quantity"], "QUANTITY_NOT_POSITIVE"),
            (["lines", "5"], "PRODUCT_NOT_PUBLISHED"),
            (["lines", "6"], "VARIANT_UNNAMED"),
            (["lines", "7", "discount"], "DISCOUNT_EXCEEDS_LINE"),
            (["lines", "8"], "CURRENCY_MISMATCH"),
            (["lines", "9", "discount"], "NEGATIVE_DISCOUNT"),
            (["lines", "10", "discount", "amount"], "INVALID_MONEY"),
        ]
        assert payload["cart"]["version"] == 2, "what is refused does not move the cart"
        assert [line["quantity"] for line in payload["cart"]["lines"]] == [2]
        totals = await shop.it.data(
            "{ orderTotals { refusedLines { reason count } }"
            " refusedLines(first: 2) { edges { node { reason sku quantity cartId } }"
            " pageInfo { hasNextPage } } }",
            **STAFF,
        )
        assert {"reason": "UNKNOWN_VARIANT", "count": 1} in totals["orderTotals"]["refusedLines"]
        assert len(totals["orderTotals"]["refusedLines"]) == 9
        assert {"reason": "QUANTITY_NOT_POSITIVE", "count": 2} in (
            totals["orderTotals"]["refusedLines"]
        )
        first, second = totals["refusedLines"]["edges"]
        assert first["node"] == {
            "reason": "QUANTITY_NOT_POSITIVE",
            "sku": "SILK",
            "quantity": 0,
            "cartId": cart["id"],
        }
        assert second["node"]["quantity"] == 89_638
        assert totals["refusedLines"]["pageInfo"]["hasNextPage"] is True
        twice = await shop.it.service.store.read(0, types=["command.refused"])
        assert twice == [], "a refused line is recorded once"


async def test_a_refused_line_of_its_own_says_which_argument(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        payload = await shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku="SILK", quantity=-1)
        [error] = payload["userErrors"]
        assert (error["code"], error["path"]) == ("QUANTITY_NOT_POSITIVE", ["quantity"])
        assert payload["receipt"] is None
        assert payload["cart"]["lines"][0]["quantity"] == 1


async def test_only_staff_grant_discounts(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart()
        asked = {"cart": cart["id"], "sku": "SILK", "quantity": 2, "discount": money("0.33")}
        refused = await shop.send(SET_LINE, CUSTOMER, **asked)
        assert [error["code"] for error in refused["userErrors"]] == ["DISCOUNT_NOT_ALLOWED"]
        granted = await shop.send(SET_LINE, STAFF, **asked)
        assert granted["cart"]["total"] == money("24.67")
        [event] = await shop.it.events("cart.line_set")
        assert (event.metadata.actor.kind, event.metadata.actor.on_behalf_of) == ("staff", ANA)
        await shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku="SILK", quantity=3)
        [*_, own] = await shop.it.events("cart.line_set")
        assert (own.metadata.actor.kind, own.metadata.actor.on_behalf_of) == ("user", None)


async def test_aliases_set_lines_one_after_the_other(database: str) -> None:
    async with orders(database) as shop:
        for sku in ("A", "B", "C"):
            await shop.sell(sku, 100)
        cart = await shop.cart()
        fields = " ".join(
            f'{sku.lower()}: setCartLine(cartId: "{cart["id"]}", sku: "{sku}", quantity: 1)'
            " { cart { version } userErrors { code } }"
            for sku in ("A", "B", "C")
        )
        data = await shop.it.data(f"mutation {{ {fields} }}", **CUSTOMER)
        assert [data[name]["cart"]["version"] for name in "abc"] == [2, 3, 4]


async def test_an_old_expected_version_is_a_conflict(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        payload = await shop.send(
            SET_LINE, CUSTOMER, cart=cart["id"], sku="SILK", quantity=3, version=1
        )
        [error] = payload["userErrors"]
        assert error["__typename"] == "VersionConflict"
        assert (error["expected"], error["actual"]) == (1, 2)


async def test_two_at_once_without_a_version_both_count(database: str) -> None:
    import asyncio

    async with orders(database) as shop:
        skus = [f"S{n}" for n in range(8)]
        for sku in skus:
            await shop.sell(sku, 100)
        cart = await shop.cart()
        payloads = await asyncio.gather(
            *(shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku=sku, quantity=1) for sku in skus)
        )
        assert not [error for payload in payloads for error in payload["userErrors"]]
        read = await shop.it.data(CART, {"id": cart["id"]}, **CUSTOMER)
        assert sorted(line["variant"]["sku"] for line in read["cart"]["lines"]) == skus


async def test_somebody_elses_cart_is_as_unknown(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        nowhere = cart["id"][:-1] + ("0" if cart["id"][-1] != "0" else "1")
        for mutation, more in (
            (SET_LINE, {"sku": "SILK", "quantity": 1, "version": 7}),
            (SET_LINES, {"lines": [{"sku": "SILK", "quantity": 1}]}),
            (REMOVE_LINE, {"sku": "SILK"}),
            (SET_DESTINATION, {"address": ADDRESS}),
        ):
            for cart_id in (cart["id"], nowhere):
                payload = await shop.send(mutation, OTHER, cart=cart_id, **more)
                assert [error["code"] for error in payload["userErrors"]] == ["NOT_FOUND"], mutation
                assert payload["cart"] is None
        assert (await shop.it.data(CART, {"id": cart["id"]}, **OTHER))["cart"] is None
        assert (await shop.it.data(CART, {"id": cart["id"]}))["cart"] is None
        [seen] = await shop.it.entities(
            [{"__typename": "Cart", "id": cart["id"]}], "... on Cart { id }", **OTHER
        )
        assert seen is None
        assert (await shop.it.data(CART, {"id": cart["id"]}, **STAFF))["cart"] is not None


async def test_staff_open_a_cart_for_a_customer(database: str) -> None:
    async with orders(database) as shop:
        payload = await shop.send(CREATE_CART, STAFF, key="k", currency="EUR", customer=ANA)
        cart = payload["cart"]
        assert (await shop.it.data(CART, {"id": cart["id"]}, **CUSTOMER))["cart"] is not None
        refused = await shop.it.errors(
            CREATE_CART, {"key": "k", "currency": "EUR", "customer": BOB}, **CUSTOMER
        )
        assert refused == ["FORBIDDEN"]
        nobody = await shop.send(CREATE_CART, STAFF, key="l", currency="EUR", customer="Ana")
        assert [error["code"] for error in nobody["userErrors"]] == ["MALFORMED_ID"]
        [event] = await shop.it.events("cart.created")
        assert event.metadata.actor.on_behalf_of == ANA


async def test_a_line_is_removed_by_sku(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        payload = await shop.send(REMOVE_LINE, CUSTOMER, cart=cart["id"], sku="SILK")
        assert payload["cart"]["lines"] == []
        again = await shop.send(REMOVE_LINE, CUSTOMER, cart=cart["id"], variant=variant("SILK"))
        assert [error["code"] for error in again["userErrors"]] == ["LINE_NOT_FOUND"]


async def test_a_destination_is_checked(database: str) -> None:
    async with orders(database) as shop:
        cart = await shop.cart()
        payload = await shop.send(SET_DESTINATION, CUSTOMER, cart=cart["id"], address=ADDRESS)
        assert payload["cart"]["destination"] == {"country": "ES", "postalCode": "46001"}
        for change in ({"lines": []}, {"name": " "}, {"city": "x" * 201}):
            refused = await shop.send(
                SET_DESTINATION, CUSTOMER, cart=cart["id"], address={**ADDRESS, **change}
            )
            assert [error["code"] for error in refused["userErrors"]] == ["INVALID_ADDRESS"]


async def test_a_changed_price_and_a_product_gone_are_problems(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        await shop.sell("SALT", 499)
        cart = await shop.cart(SILK=1, SALT=1)
        await shop.reprice("SILK", 1300)
        await shop.it.feeds["products"].publish(
            "product.unpublished", {"product_id": product("SALT")}, stream=product("SALT")
        )
        await shop.it.digest("products")
        read = await shop.it.data(CART, {"id": cart["id"]}, **CUSTOMER)
        changed, gone = read["cart"]["problems"]
        assert changed["__typename"] == "PriceChanged"
        assert (changed["from"], changed["to"]) == ({"amount": "12.50"}, {"amount": "13.00"})
        assert (gone["__typename"], gone["variant"]["id"]) == ("NotForSale", variant("SALT"))


async def test_a_price_of_another_channel_does_not_count(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        await shop.it.feeds["products"].publish(
            "variant.price_changed",
            {"variant_id": variant("SILK"), "to_minor": 1, "currency": "EUR", "channel": "fair"},
            stream=product("SILK"),
        )
        await shop.it.digest("products")
        cart = await shop.cart(SILK=1)
        assert cart["total"] == money("12.50")


async def test_a_client_that_changed_a_price_sees_it_in_its_cart(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart()
        position = await shop.reprice("SILK", 999, digest=False)
        answer = await shop.it.ask(
            SET_LINE,
            {"cart": cart["id"], "sku": "SILK", "quantity": 1},
            fresh=False,
            x_read_position=f"products:{position}",
            **CUSTOMER,
        )
        assert answer["data"]["setCartLine"]["cart"]["total"] == money("9.99")
        assert "extensions" not in answer


async def test_a_position_that_does_not_come_is_told(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subgraphs.orders.freshness.WAIT_SECONDS_MAX", 0.05)
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart()
        answer = await shop.it.ask(
            SET_LINE,
            {"cart": cart["id"], "sku": "SILK", "quantity": 1},
            x_read_position="products:999",
            **CUSTOMER,
        )
        assert answer["data"]["setCartLine"]["cart"]["total"] == money("12.50")
        assert answer["extensions"]["stale"]["position"] == "products:999"


async def test_a_cart_expires_by_its_timer(database: str) -> None:
    async with orders(database, cart_ttl_seconds=60) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        shop.it.clock.pass_by(seconds=61)
        closed = await shop.send(SET_LINE, CUSTOMER, cart=cart["id"], sku="SILK", quantity=2)
        assert closed["userErrors"][0]["code"] in ("CART_EXPIRED", "CART_CLOSED")

        async def expired() -> bool:
            events = await shop.it.service.store.read_stream(cart["id"])
            return isinstance(events[-1].event, CartExpired)

        await shop.it.until(expired)
        read = await shop.it.data(CART, {"id": cart["id"]}, **CUSTOMER)
        assert read["cart"]["status"] == "EXPIRED"


async def test_an_auditor_reads_and_does_not_write(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        auditor = {"user": "usr_auditor", "roles": [Role.AUDITOR]}
        assert (await shop.it.data(CART, {"id": cart["id"]}, **auditor))["cart"] is not None
        payload = await shop.send(SET_LINE, auditor, cart=cart["id"], sku="SILK", quantity=2)
        assert [error["code"] for error in payload["userErrors"]] == ["NOT_FOUND"]
