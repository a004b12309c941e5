"""placeOrder and what follows it, with the other services' answers given by hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from subgraphs.orders.order import line_id_of, placement_id_of
from subgraphs.shared.auth import Role
from tests.subgraphs.orders.shop import (
    ADDRESS,
    ANA,
    CANCEL,
    CUSTOMER,
    OPERATOR,
    OTHER,
    PLACE,
    RESUME,
    SET_DESTINATION,
    SET_LINE,
    STAFF,
    Orders,
    money,
    orders,
    product,
    variant,
)

pytestmark = pytest.mark.slow


def codes(payload: dict[str, object]) -> list[str]:
    errors = payload["userErrors"]
    assert isinstance(errors, list)
    return [error["code"] for error in errors]


async def test_the_whole_way_of_an_order(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        await shop.sell("SALT", 499)
        cart = await shop.cart(SILK=2, SALT=1)
        payload = await shop.place(cart)
        order = payload["order"]
        assert order["status"] == "PENDING"
        assert order["placement"] == "RESERVING_STOCK"
        assert order["total"] == money("29.99")
        assert payload["receipt"]["version"] == order["version"] == 1
        assert (await shop.page(order["id"]))["status"] == "PENDING"

        await shop.hold(order["id"])
        assert (await shop.page(order["id"]))["placement"] == "AUTHORIZING_PAYMENT"
        await shop.authorize(order["id"])
        assert (await shop.page(order["id"]))["placement"] == "CONFIRMING"
        await shop.reservation("committed", order["id"])
        page = await shop.page(order["id"])
        assert (page["status"], page["placement"]) == ("CONFIRMED", "FULFILLING")
        await shop.dispatch(order["id"])
        page = await shop.page(order["id"])
        assert [line["quantityFulfilled"] for line in page["lines"]] == [2, 1]
        assert page["allowedActions"] == []
        await shop.capture(order["id"])
        page = await shop.page(order["id"])
        assert (page["status"], page["placement"]) == ("COMPLETED", "DONE")
        assert page["cart"] == {"id": cart["id"], "status": "ORDERED"}
        assert await shop.happened(order["id"]) == [
            "order.placed",
            "order.confirmed",
            "order.lines_shipped",
            "order.completed",
        ]
        assert await shop.happened(placement_id_of(order["id"])) == [
            "placement.started",
            "placement.stock_requested",
            "placement.stock_held",
            "placement.authorization_requested",
            "placement.payment_authorized",
            "placement.allocation_requested",
            "placement.stock_allocated",
            "placement.shipment_requested",
            "placement.shipment_planned",
            "placement.shipment_dispatched",
            "placement.capture_requested",
            "placement.payment_captured",
            "placement.ended",
        ]
        timers = await shop.it.service.reads.fetch(
            "SELECT * FROM projections.timers WHERE stream LIKE 'plc_%%'"
        )
        assert timers == []


async def test_cart_order_and_placement_are_one_append(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        events = await shop.it.events()
        placed = next(event for event in events if event.type == "order.placed")
        together = [event for event in events if event.metadata == placed.metadata]
        assert [event.type for event in together] == [
            "order.placed",
            "placement.started",
            "placement.stock_requested",
            "cart.ordered",
        ]
        positions = [event.position for event in together]
        assert positions == list(range(positions[0], positions[0] + 4))
        assert placed.event.lines[0].line_id == line_id_of(order, 1)
        assert placed.metadata.actor.id == ANA


async def test_the_chain_of_causes_is_kept(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        held = next(e for e in await shop.it.events("placement.stock_held"))
        said = shop.it.feeds["inventory"].events[-1]
        assert held.metadata.causation_id == str(said.id)
        assert held.metadata.actor.kind == "process_manager"


async def test_the_same_key_gives_the_first_order_again(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        wish = shop.wish(cart)
        first, second = await asyncio.gather(
            shop.send(PLACE, CUSTOMER, input=wish), shop.send(PLACE, CUSTOMER, input=wish)
        )
        third = await shop.send(PLACE, CUSTOMER, input=wish)
        answers = [first, second, third]
        assert len({payload["order"]["id"] for payload in answers}) == 1
        assert sorted(payload["receipt"]["replayed"] for payload in answers) == [False, True, True]
        assert len({payload["receipt"]["position"] for payload in answers}) == 1
        assert len(await shop.it.events("order.placed")) == 1
        other = await shop.send(PLACE, CUSTOMER, input={**wish, "paymentMethodToken": "tok_other"})
        assert codes(other) == ["IDEMPOTENCY_KEY_REUSED"]


async def test_a_refusal_is_not_kept_under_the_key(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        wish = shop.wish(cart, expectedTotal=money("12.49"))
        assert codes(await shop.send(PLACE, CUSTOMER, input=wish)) == ["TOTAL_CHANGED"]
        await shop.reprice("SILK", 1249)
        payload = await shop.send(PLACE, CUSTOMER, input=wish)
        assert not payload["userErrors"]
        assert payload["receipt"]["replayed"] is False


async def test_two_orders_of_one_cart_at_once_are_one_order(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        payloads = await asyncio.gather(*(shop.place(cart) for _ in range(5)))
        placed = [payload for payload in payloads if payload["order"]]
        assert len(placed) == 1
        refused = {code for payload in payloads for code in codes(payload)}
        assert refused <= {"VERSION_CONFLICT", "CART_CLOSED"}
        assert len(await shop.it.events("order.placed")) == 1


async def test_a_changed_price_changes_the_total_and_can_be_accepted(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=2)
        await shop.reprice("SILK", 1300)
        refused = await shop.place(cart)
        [error] = refused["userErrors"]
        assert error["__typename"] == "TotalChanged"
        assert (error["wanted"], error["now"]) == (money("25.00"), money("26.00"))
        assert error["path"] == ["input", "expectedTotal"]
        assert await shop.it.events("order.placed") == []
        accepted = await shop.place(cart, expectedTotal=money("26.00"))
        assert accepted["order"]["total"] == money("26.00")
        page = await shop.page(accepted["order"]["id"])
        assert page["lines"][0]["unitPrice"] == {"amount": "13.00"}
        await shop.reprice("SILK", 1)
        assert (await shop.page(accepted["order"]["id"]))["total"] == money("26.00")


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"cartVersion": 1}, "VERSION_CONFLICT", None),
        ({"expectedTotal": money("12.50", "USD")}, "CURRENCY_MISMATCH", "currency"),
        ({"expectedTotal": money("12.505")}, "INVALID_MONEY", "amount"),
        ({"shippingOptionId": "balloon"}, "UNKNOWN_SHIPPING_OPTION", "shippingOptionId"),
        ({"paymentMethodToken": " "}, "INVALID_INPUT", "paymentMethodToken"),
        ({"cartId": "crt_nowhere"}, "NOT_FOUND", "cartId"),
        ({"idempotencyKey": ""}, "INVALID", "idempotencyKey"),
    ],
)
async def test_a_wish_that_cannot_be_met_stores_nothing(
    database: str, change: dict[str, object], code: str, path: str | None
) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        payload = await shop.place(cart, **change)
        assert codes(payload) == [code]
        assert (payload["userErrors"][0]["path"] or [None])[-1] == path
        assert payload["order"] is None
        assert payload["receipt"] is None
        assert await shop.it.events("order.placed") == []
        assert not (await shop.place(cart))["userErrors"]


async def test_an_empty_or_used_cart_and_goods_gone_are_refused(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        assert codes(await shop.place(await shop.cart())) == ["CART_EMPTY"]
        cart = await shop.cart(SILK=1)
        assert not codes(await shop.place(cart))
        assert codes(await shop.place(cart)) == ["CART_CLOSED"]
        other = await shop.cart(SILK=1)
        await shop.it.feeds["products"].publish(
            "product.archived", {"product_id": product("SILK"), "reason": "x"},
            stream=product("SILK"),
        )  # fmt: skip
        await shop.it.digest("products")
        assert codes(await shop.place(other)) == ["PRODUCT_NOT_PUBLISHED"]


async def test_somebody_elses_cart_is_as_unknown_and_staff_may_order_it(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        cart = await shop.cart(SILK=1)
        assert codes(await shop.place(cart, OTHER)) == ["NOT_FOUND"]
        assert codes(await shop.place(cart, OTHER, cartVersion=9)) == ["NOT_FOUND"]
        payload = await shop.place(cart, STAFF)
        assert not payload["userErrors"]
        page = await shop.page(payload["order"]["id"])
        assert page["customer"] == {"id": ANA}
        [placed] = await shop.it.events("order.placed")
        assert placed.metadata.actor.on_behalf_of == ANA


async def test_shipping_is_priced_by_the_rates_that_shipping_publishes(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250, grams=900)
        rate = {"option_id": "cart", "name": "By cart", "carrier": "mule", "currency": "EUR"}
        rows = [
            {**rate, "country": None, "weight_grams_max": None, "price_minor": 2000},
            {**rate, "country": "ES", "weight_grams_max": 1000, "price_minor": 300},
            {**rate, "country": "ES", "weight_grams_max": 5000, "price_minor": 500},
        ]
        await shop.it.feeds["shipping"].publish_all(
            [("shipping.rate_set", row, "rat_1") for row in rows]
        )
        await shop.it.digest("shipping")
        cart = await shop.cart(SILK=2)
        wanted = {"shippingOptionId": "cart", "expectedTotal": money("30.00")}
        assert codes(await shop.place(cart, **wanted)) == ["DESTINATION_MISSING"]
        payload = await shop.send(SET_DESTINATION, CUSTOMER, cart=cart["id"], address=ADDRESS)
        placed = await shop.place(payload["cart"], **wanted)
        assert not placed["userErrors"]
        page = await shop.page(placed["order"]["id"])
        assert page["shippingTotal"] == {"amount": "5.00"}
        assert page["subtotal"] == {"amount": "25.00"}
        assert page["address"] == {
            "name": "Ana", "lines": ["Calle Mayor 1"], "city": "Valencia"
        }  # fmt: skip


async def test_line_discounts_reach_the_order_to_the_cent(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SALT", 334)
        cart = await shop.cart()
        payload = await shop.send(
            SET_LINE, STAFF, cart=cart["id"], sku="SALT", quantity=3, discount=money("0.02")
        )
        order = (await shop.place(payload["cart"]))["order"]
        page = await shop.page(order["id"])
        assert page["total"] == money("10.00")
        assert page["discounts"] == [{"label": "basket discount", "amount": {"amount": "0.02"}}]
        assert page["lines"][0]["total"] == {"amount": "10.00"}


# ---- how it goes wrong


async def test_no_stock_rejects_with_the_shortages_and_asks_for_no_money(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=2)
        short = {
            "line_id": line_id_of(order, 1),
            "variant_id": variant("SILK"),
            "sku": "SILK",
            "requested": 2,
            "available": 1,
        }
        await shop.reservation("rejected", order, attempt=1, shortages=[short])
        page = await shop.page(order)
        assert page["status"] == "REJECTED"
        assert page["rejection"] == {
            "reason": "OUT_OF_STOCK",
            "declineCode": None,
            "shortages": [
                {
                    "orderLineId": line_id_of(order, 1),
                    "variant": {"sku": "SILK"},
                    "requested": 2,
                    "available": 1,
                }
            ],
        }
        assert await shop.it.events("placement.authorization_requested") == []
        [public] = [e for e in await shop.it.events() if e.type == "order.rejected"]
        assert public.event.shortages[0].available == 1


async def test_a_declined_payment_releases_and_rejects(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        await shop.payment("declined", order, decline_code="card_stolen")
        assert (await shop.page(order))["placement"] == "COMPENSATING"
        await shop.reservation("released", order)
        page = await shop.page(order)
        assert page["status"] == "REJECTED"
        assert page["rejection"]["reason"] == "PAYMENT_DECLINED"
        assert page["rejection"]["declineCode"] == "card_stolen"


async def test_every_message_delivered_twice_changes_nothing(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.complete(order)
        before = await shop.it.service.store.head()
        for source, feed in shop.it.feeds.items():
            for event in list(feed.events):
                await feed.repeat(event)
            await shop.it.digest(source)
        events = await shop.it.service.store.read(before)
        assert events == []


async def test_no_answer_is_asked_again_with_the_same_request(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        shop.it.clock.pass_by(seconds=11)

        async def resent() -> bool:
            return len(await shop.it.events("placement.stock_requested")) == 2

        await shop.it.until(resent)
        first, again = await shop.it.events("placement.stock_requested")
        assert first.event.request_id == again.event.request_id
        assert again.event.resend == 1
        assert again.metadata.actor.kind == "system_timer"
        assert again.metadata.correlation_id == first.metadata.correlation_id
        await shop.hold(order)
        assert (await shop.page(order))["placement"] == "AUTHORIZING_PAYMENT"


async def test_a_placement_past_its_deadline_is_rejected(database: str) -> None:
    async with orders(database, placement_deadline_seconds=60) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        await shop.payment("action_required", order)
        assert (await shop.page(order))["placement"] == "AWAITING_CUSTOMER"
        shop.it.clock.pass_by(seconds=61)

        async def compensating() -> bool:
            return bool(await shop.it.events("placement.void_requested"))

        await shop.it.until(compensating)
        await shop.reservation("released", order)
        await shop.payment("voided", order)
        page = await shop.page(order)
        assert page["rejection"]["reason"] == "DEADLINE_EXCEEDED"


async def test_an_operator_sees_what_is_stuck_and_resumes_it(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.confirm(order)
        await shop.dispatch(order)
        await shop.payment("capture_failed", order, shipment_id=f"shp_{order}", reason="expired")
        page = await shop.page(order, OPERATOR)
        assert page["placement"] == "NEEDS_OPERATOR"
        assert page["operatorReason"] == "CAPTURE_FAILED"
        assert page["allowedActions"] == ["resumePlacement"]
        assert (await shop.page(order))["operatorReason"] is None
        stuck = await shop.it.data(
            "{ orders(first: 9, where: { needsOperator: true }) { edges { node { id } } } }",
            **OPERATOR,
        )
        assert [edge["node"]["id"] for edge in stuck["orders"]["edges"]] == [order]
        asked = {"order": order, "reason": "the bank is back", "key": "r"}
        assert await shop.it.errors(RESUME, asked, **CUSTOMER) == ["FORBIDDEN"]
        payload = await shop.send(RESUME, OPERATOR, **asked)
        assert not payload["userErrors"]
        assert payload["order"]["placement"] == "FULFILLING"
        again = await shop.send(RESUME, OPERATOR, **asked)
        assert again["receipt"] == {**payload["receipt"], "replayed": True}
        [first, second] = await shop.it.events("placement.capture_requested")
        assert first.event.request_id == second.event.request_id
        await shop.capture(order)
        assert (await shop.page(order))["status"] == "COMPLETED"
        refused = await shop.send(RESUME, OPERATOR, **{**asked, "key": "s"})
        assert codes(refused) == ["NOTHING_TO_RESUME"]


# ---- cancellation


async def cancel(shop: Orders, order: str, key: str = "c", **more: object) -> dict[str, object]:
    by = more.pop("by", CUSTOMER)
    assert isinstance(by, dict)
    return await shop.send(CANCEL, by, order=order, reason="changed my mind", key=key, **more)


async def test_a_cancellation_gives_everything_back(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        await shop.authorize(order)
        payload = await cancel(shop, order)
        assert not codes(payload)
        assert payload["order"]["status"] == "CANCELLATION_REQUESTED"  # type: ignore[index]
        again = await cancel(shop, order)
        assert again["receipt"]["replayed"] is True  # type: ignore[index]
        await shop.reservation("committed", order)
        await shop.reservation("released", order)
        await shop.payment("voided", order)
        page = await shop.page(order)
        assert (page["status"], page["cancelReason"]) == ("CANCELLED", "changed my mind")
        assert page["placement"] == "DONE"
        assert codes(await cancel(shop, order, "d")) == ["NOT_CANCELLABLE"]
        [event] = await shop.it.events("order.cancellation_requested")
        assert event.event.reason == "changed my mind"
        [released] = await shop.it.events("placement.release_requested")
        assert released.event.reason == "CANCELLED", "what a customer wrote is nobody else's"


async def test_asking_twice_with_two_keys_is_one_cancellation(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        assert not codes(await cancel(shop, order, "c"))
        second = await cancel(shop, order, "d")
        assert not codes(second)
        assert len(await shop.it.events("order.cancellation_requested")) == 1


async def test_a_cancellation_with_an_old_version_is_a_conflict(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.confirm(order)
        assert codes(await cancel(shop, order, version=1)) == ["VERSION_CONFLICT"]
        assert not codes(await cancel(shop, order, "d", version=2))


async def test_goods_that_left_cannot_be_called_back(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.confirm(order)
        payload = await cancel(shop, order)
        assert not codes(payload)
        await shop.dispatch(order)
        page = await shop.page(order)
        assert (page["status"], page["cancelReason"]) == ("CONFIRMED", None)
        await shop.capture(order)
        assert (await shop.page(order))["status"] == "COMPLETED"
        assert codes(await cancel(shop, order, "d")) == ["NOT_CANCELLABLE"]


async def test_only_the_customer_and_staff_may_cancel(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        assert codes(await cancel(shop, order, by=OTHER)) == ["NOT_FOUND"]
        auditor = {"user": "usr_auditor", "roles": [Role.AUDITOR]}
        assert codes(await cancel(shop, order, by=auditor, version=7)) == ["NOT_FOUND"]
        assert codes(await cancel(shop, "ord_nowhere")) == ["NOT_FOUND"]
        empty = await shop.send(CANCEL, CUSTOMER, order=order, reason=" ", key="e")
        assert codes(empty) == ["INVALID_INPUT"]
        assert not codes(await cancel(shop, order, by=STAFF))
        [asked] = await shop.it.events("placement.cancellation_started")
        assert asked.metadata.actor.on_behalf_of == ANA


async def test_the_customers_time_at_the_bank_runs_out(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        await shop.payment("action_required", order)
        shop.it.clock.pass_by(seconds=timedelta(minutes=10).total_seconds() + 1)

        async def voided() -> bool:
            return bool(await shop.it.events("placement.void_requested"))

        await shop.it.until(voided)
        placement = await shop.placement(order)
        assert placement.reason == "PAYMENT_ABANDONED"
