"""The shipping subgraph over a real database: what may be seen, what may be done, at what cost."""

from __future__ import annotations

from typing import Any

import pytest

from subgraphs.shared.auth import Role
from tests.subgraphs.shipping.shop import STAFF, Shipping, order_id, shipping
from tests.support.leftovers import in_database

pytestmark = pytest.mark.slow

SHIPMENT = """
query ($id: ID!) {
  shipment(id: $id) {
    id version state carrier trackingNumber order { id }
    lines { orderLine { id } quantity } tracking { status location }
  }
}
"""
CREATE = """
mutation ($input: CreateShipmentInput!) {
  createShipment(input: $input) {
    shipment { id version state lines { orderLine { id } quantity } }
    receipt { version position replayed }
    userErrors { __typename code path message }
  }
}
"""
CANCEL = """
mutation ($id: ID!, $key: ID!, $version: Int) {
  cancelShipment(shipmentId: $id, reason: "split", idempotencyKey: $key, expectedVersion: $version)
  { shipment { id state } receipt { replayed } userErrors { __typename code } }
}
"""
SHIP = """
mutation ($id: ID!, $number: String!, $key: ID!, $version: Int) {
  markShipped(shipmentId: $id, carrier: "post", trackingNumber: $number, idempotencyKey: $key,
    expectedVersion: $version)
  { shipment { id state carrier trackingNumber } receipt { replayed version }
    userErrors { __typename code ... on VersionConflict { expected actual } } }
}
"""


def fulfilment(*lines: tuple[str, int], name: str = "one") -> dict[str, Any]:
    return {
        "__typename": "Order",
        "id": order_id(name),
        "lines": [{"id": line, "quantity": quantity} for line, quantity in lines],
    }


async def test_a_customer_sees_their_shipment_and_nobody_elses(database: str) -> None:
    async with shipping(database) as shop:
        shipment = await shop.request(customer="usr_1")
        mine = await shop.shop.data(SHIPMENT, {"id": shipment}, user="usr_1")
        assert mine["shipment"]["state"] == "SHIPPED"
        assert [event["status"] for event in mine["shipment"]["tracking"]] == ["PACKED", "SHIPPED"]
        assert mine["shipment"]["lines"][0] == {"orderLine": {"id": "lin_1"}, "quantity": 3}
        assert (await shop.shop.data(SHIPMENT, {"id": shipment}, user="usr_2")) == {
            "shipment": None
        }
        assert (await shop.shop.data(SHIPMENT, {"id": shipment}, **STAFF))["shipment"]
        assert await shop.shop.errors(SHIPMENT, {"id": shipment}) == ["UNAUTHENTICATED"]
        for user, seen in (("usr_1", 1), ("usr_2", 0), (None, 0)):
            [order] = await shop.shop.entities(
                [{"__typename": "Order", "id": order_id()}],
                "... on Order { shipments { id } }",
                user=user,
            )
            assert len(order["shipments"]) == seen
            [entity] = await shop.shop.entities(
                [{"__typename": "Shipment", "id": shipment}],
                "... on Shipment { state }",
                user=user,
            )
            assert (entity is not None) == bool(seen)


async def test_the_fulfilment_status_follows_from_the_required_lines(database: str) -> None:
    async with shipping(database) as shop:
        await shop.request()
        [done, partial] = await shop.shop.entities(
            [fulfilment(("lin_1", 3), ("lin_2", 1)), fulfilment(("lin_1", 3), ("lin_9", 1))],
            "... on Order { fulfillmentStatus }",
            user="usr_1",
        )
        assert done["fulfillmentStatus"] == "FULFILLED"
        assert partial["fulfillmentStatus"] == "PARTIAL"
        shop.shop.clock.pass_by(seconds=61)
        await shop.shop.until(lambda: shop.shop.events("shipment.delivered"))
        [arrived] = await shop.shop.entities(
            [fulfilment(("lin_1", 3))], "... on Order { fulfillmentStatus }", user="usr_1"
        )
        assert arrived["fulfillmentStatus"] == "DELIVERED"


async def test_prices_follow_from_the_required_weight_and_destination(database: str) -> None:
    cart = {"__typename": "Cart", "id": "crt_1", "currency": "EUR", "totalWeightGrams": 2500}
    async with shipping(database) as shop:
        with_place, without = await shop.shop.entities(
            [
                cart | {"destination": {"country": "ES", "postalCode": "46001"}},
                cart | {"id": "crt_2", "destination": None},
            ],
            "... on Cart { shippingOptions { id price { amount currency } etaDays } }",
        )
        assert [(o["id"], o["price"]["amount"]) for o in with_place["shippingOptions"]] == [
            ("pickup", "0.00"),
            ("standard", "7.95"),
            ("express", "14.95"),
        ]
        assert without["shippingOptions"][0]["id"] == "pickup"
        light, unknown = await shop.shop.entities(
            [
                {"__typename": "ProductVariant", "id": "var_1", "weightGrams": 500},
                {"__typename": "ProductVariant", "id": "var_2", "weightGrams": None},
            ],
            '... on ProductVariant { shippingEstimate(country: "ES") { amount currency } }',
        )
        assert light["shippingEstimate"] == {"amount": "4.95", "currency": "EUR"}
        assert unknown["shippingEstimate"] is None


async def test_staff_split_a_shipment(database: str) -> None:
    async with shipping(database, carrier="none") as shop:
        first = await shop.request()
        key = shop.key()
        cancelled = await shop.shop.data(CANCEL, {"id": first, "key": key}, **STAFF)
        assert cancelled["cancelShipment"]["shipment"]["state"] == "CANCELLED"
        again = await shop.shop.data(CANCEL, {"id": first, "key": key}, **STAFF)
        assert again["cancelShipment"]["receipt"]["replayed"] is True
        half = await _create(shop, ("lin_1", 2))
        assert half["shipment"]["state"] == "PLANNED"
        refused = await _create(shop, ("lin_1", 2), ("lin_2", 2))
        assert [error["code"] for error in refused["userErrors"]] == ["EXCEEDS_ORDER"] * 2
        rest = await _create(shop, ("lin_1", 1), ("lin_2", 1))
        for shipment in (half, rest):
            sent = await _ship(shop, shipment["shipment"]["id"], "T1")
            assert sent["shipment"]["state"] == "SHIPPED"
        assert (await shop.types()).count("dispatched") == 2


async def _create(shop: Shipping, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
    given = {
        "orderId": order_id(),
        "lines": [{"orderLineId": line, "quantity": quantity} for line, quantity in lines],
        "idempotencyKey": shop.key(),
    }
    data = await shop.shop.data(CREATE, {"input": given | more}, **STAFF)
    payload: dict[str, Any] = data["createShipment"]
    return payload


async def _ship(shop: Shipping, shipment: str, number: str, **more: Any) -> dict[str, Any]:
    variables = {"id": shipment, "number": number, "key": shop.key()} | more
    payload: dict[str, Any] = (await shop.shop.data(SHIP, variables, **STAFF))["markShipped"]
    return payload


async def test_a_repeated_key_gives_the_first_answer_another_body_an_error(database: str) -> None:
    async with shipping(database, carrier="none") as shop:
        shipment = await shop.request()
        key = shop.key()
        first = await _ship(shop, shipment, "T1", key=key)
        again = await _ship(shop, shipment, "T1", key=key)
        assert (first["receipt"]["replayed"], again["receipt"]["replayed"]) == (False, True)
        other = await _ship(shop, shipment, "T2", key=key)
        assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]
        assert (await shop.types()).count("dispatched") == 1


async def test_refusals_are_typed(database: str) -> None:
    async with shipping(database, carrier="none") as shop:
        shipment = await shop.request()
        stale = await _ship(shop, shipment, "T1", version=9)
        assert stale["userErrors"] == [
            {
                "__typename": "VersionConflict",
                "code": "VERSION_CONFLICT",
                "expected": 9,
                "actual": 1,
            }
        ]
        unknown = await _ship(shop, order_id().replace("ord_", "shp_"), "T1")
        assert [error["code"] for error in unknown["userErrors"]] == ["NOT_FOUND"]
        malformed = await _ship(shop, "shp_x", "T1")
        assert [error["code"] for error in malformed["userErrors"]] == ["MALFORMED_ID"]
        early = await _create(shop, ("lin_1", 1), orderId=order_id("never"))
        assert [error["code"] for error in early["userErrors"]] == ["NOTHING_TO_SHIP"]


@pytest.mark.parametrize("roles", [[], [Role.CUSTOMER], [Role.AUDITOR]])
async def test_only_staff_moves_goods(database: str, roles: list[Role]) -> None:
    async with shipping(database, carrier="none") as shop:
        shipment = await shop.request()
        variables = {"id": shipment, "number": "T1", "key": shop.key()}
        assert await shop.shop.errors(SHIP, variables, user="usr_1", roles=roles) == ["FORBIDDEN"]
        assert await shop.shop.errors(SHIP, variables) == ["UNAUTHENTICATED"]
        assert await shop.types() == ["planned"]


async def test_tracking_and_totals(database: str) -> None:
    track = """
    mutation ($id: ID!, $status: TrackingStatus!) {
      trackShipment(shipmentId: $id, status: $status, location: "Madrid") {
        shipment { state } userErrors { code } } }
    """
    async with shipping(database) as shop:
        shipment = await shop.request()
        for status in ("IN_TRANSIT", "DELIVERED"):
            data = await shop.shop.data(track, {"id": shipment, "status": status}, **STAFF)
            assert data["trackShipment"]["shipment"]["state"] == status
        late = await shop.shop.data(track, {"id": shipment, "status": "IN_TRANSIT"}, **STAFF)
        assert [e["code"] for e in late["trackShipment"]["userErrors"]] == ["SHIPMENT_STATE"]
        totals = "{ shipmentTotals { state shipments orders units } }"
        assert (await shop.shop.data(totals, **STAFF))["shipmentTotals"] == [
            {"state": "DELIVERED", "shipments": 1, "orders": 1, "units": 4}
        ]
        assert await shop.shop.errors(totals, user="usr_1") == ["FORBIDDEN"]


async def test_staff_set_a_rate_that_counts_from_then_on(database: str) -> None:
    change = """
    mutation ($input: ShippingRateInput!) {
      setShippingRate(input: $input, reason: "dearer fuel") {
        option { id price { amount } } userErrors { code path } } }
    """
    ask = (
        '{ shippingRates(weightGrams: 100, currency: "EUR", country: "ES") { id price {amount} } }'
    )
    given = {
        "optionId": "standard",
        "name": "Standard",
        "carrier": "post",
        "price": {"amount": "5.95", "currency": "EUR"},
        "country": "ES",
        "weightGramsMax": 2000,
    }
    async with shipping(database) as shop:
        await shop.shop.data(change, {"input": given | {"idempotencyKey": shop.key()}}, **STAFF)
        rates = (await shop.shop.data(ask))["shippingRates"]
        assert {"id": "standard", "price": {"amount": "5.95"}} in rates
        wrong = given | {"weightGramsMax": -1, "idempotencyKey": shop.key()}
        data = await shop.shop.data(change, {"input": wrong}, **STAFF)
        assert [e["code"] for e in data["setShippingRate"]["userErrors"]] == ["INVALID_RATE"]


async def test_the_number_of_statements_does_not_grow_with_the_rows(database: str) -> None:
    selection = """
      ... on Order { fulfillmentStatus shipments { id tracking { status } order { id } } }
      ... on Cart { shippingOptions { id } }
      ... on ProductVariant { shippingEstimate(country: "ES") { amount } }
      ... on Shipment { state tracking { status } }
    """
    async with shipping(database) as shop:
        shipments = [await shop.request(f"o{n}") for n in range(12)]

        def asked(count: int) -> list[dict[str, Any]]:
            about: dict[str, Any] = {"currency": "EUR", "totalWeightGrams": 5, "destination": None}
            return [
                entity
                for n in range(count)
                for entity in (
                    fulfilment(("lin_1", 3), ("lin_2", 1), name=f"o{n}"),
                    {"__typename": "Cart", "id": f"crt_{n}"} | about,
                    {"__typename": "ProductVariant", "id": f"var_{n}", "weightGrams": n},
                    {"__typename": "Shipment", "id": shipments[n]},
                )
            ]

        counts = []
        for count in (1, 12):
            await shop.shop.settle()
            before = shop.shop.service.reads.statements
            found = await shop.shop.entities(asked(count), selection, user="usr_1", fresh=False)
            assert all(entity is not None for entity in found)
            counts.append(shop.shop.service.reads.statements - before)
        assert counts[0] == counts[1] <= 5


async def test_lists_are_paged(database: str) -> None:
    ask = """
    query ($after: String) {
      shipments(first: 2, after: $after) {
        edges { node { id } } pageInfo { hasNextPage endCursor }
      }
    }
    """
    async with shipping(database) as shop:
        made = {await shop.request(f"o{n}") for n in range(3)}
        first = (await shop.shop.data(ask, **STAFF))["shipments"]
        rest = (await shop.shop.data(ask, {"after": first["pageInfo"]["endCursor"]}, **STAFF))[
            "shipments"
        ]
        assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
        assert {edge["node"]["id"] for edge in first["edges"] + rest["edges"]} == made
        assert await shop.shop.errors(
            "{ shipments(first: 101) { edges { cursor } } }", **STAFF
        ) == ["INVALID_PAGE"]


async def test_a_parcel_of_somebody_erased_is_still_tracked(database: str) -> None:
    track = """mutation ($id: ID!, $status: TrackingStatus!, $location: String) {
      trackShipment(shipmentId: $id, status: $status, location: $location) {
        shipment { state tracking { status location } } userErrors { code } } }"""
    async with shipping(database) as shop:
        shipment = await shop.request()
        seen = {"id": shipment, "status": "IN_TRANSIT", "location": "at her aunt's door"}
        await shop.shop.data(track, seen, **STAFF)
        await shop.shop.feeds["users"].publish("user.erased", {"user_id": "usr_1", "reason": "x"})
        await shop.shop.digest("users")
        data = await shop.shop.data(track, seen, **STAFF)
        assert [each["code"] for each in data["trackShipment"]["userErrors"]] == ["SUBJECT_ERASED"]
        data = await shop.shop.data(track, {"id": shipment, "status": "DELIVERED"}, **STAFF)
        assert data["trackShipment"]["shipment"]["state"] == "DELIVERED"
        assert in_database(database, ["at her aunt's door"]) == {}
        [planned] = await shop.shop.events("shipment.planned")
        assert planned.event.destination is None
