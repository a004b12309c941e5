"""An orders service with something to sell, and the other services' part of the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from subgraphs.orders.app import build
from subgraphs.orders.order import Order, placement_id_of
from subgraphs.orders.placement import Placement
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import derived_id
from tests.support.memory_feed import MemoryFeed
from tests.support.running import Clock, Running, running

FEEDS = ("products", "inventory", "payments", "shipping")
ANA, BOB = derived_id("usr", "ana"), derived_id("usr", "bob")
CLERK = derived_id("usr", "clerk")
STAFF: dict[str, Any] = {"user": CLERK, "roles": [Role.STAFF]}
CUSTOMER: dict[str, Any] = {"user": ANA, "roles": [Role.CUSTOMER]}
OTHER: dict[str, Any] = {"user": BOB, "roles": [Role.CUSTOMER]}
OPERATOR: dict[str, Any] = {"user": derived_id("usr", "op"), "roles": [Role.OPERATOR]}

_ERRORS = """userErrors { __typename code path message
  ... on VersionConflict { expected actual }
  ... on TotalChanged { wanted: expected { amount currency } now: actual { amount currency } } }"""
_CART = f"""cart {{ id version status total {{ amount currency }} totalWeightGrams
    destination {{ country postalCode }}
    lines {{ id variant {{ id sku }} title quantity unitPrice {{ amount }} discount {{ amount }}
             total {{ amount }} }} }}
  receipt {{ version position replayed commandId }} {_ERRORS}"""
_ORDER = f"""order {{ id version number status placement total {{ amount currency }}
    cancelReason allowedActions }}
  receipt {{ version position replayed commandId }} {_ERRORS}"""

CREATE_CART = f"""mutation ($key: ID!, $currency: CurrencyCode!, $customer: ID) {{
  createCart(currency: $currency, idempotencyKey: $key, customerId: $customer) {{ {_CART} }} }}"""
SET_LINE = f"""mutation ($cart: ID!, $sku: String, $variant: ID, $quantity: Int!,
    $discount: MoneyInput, $version: Int) {{
  setCartLine(cartId: $cart, sku: $sku, variantId: $variant, quantity: $quantity,
    discount: $discount, expectedVersion: $version) {{ {_CART} }} }}"""
SET_LINES = f"""mutation ($cart: ID!, $lines: [CartLineInput!]!, $version: Int) {{
  setCartLines(cartId: $cart, lines: $lines, expectedVersion: $version) {{ {_CART} }} }}"""
REMOVE_LINE = f"""mutation ($cart: ID!, $sku: String, $variant: ID) {{
  removeCartLine(cartId: $cart, sku: $sku, variantId: $variant) {{ {_CART} }} }}"""
SET_DESTINATION = f"""mutation ($cart: ID!, $address: AddressInput!) {{
  setCartDestination(cartId: $cart, address: $address) {{ {_CART} }} }}"""
PLACE = f"""mutation ($input: PlaceOrderInput!) {{ placeOrder(input: $input) {{ {_ORDER} }} }}"""
CANCEL = f"""mutation ($order: ID!, $reason: String!, $key: ID!, $version: Int) {{
  requestCancellation(orderId: $order, reason: $reason, idempotencyKey: $key,
    expectedVersion: $version) {{ {_ORDER} }} }}"""
RESUME = f"""mutation ($order: ID!, $reason: String!, $key: ID!) {{
  resumePlacement(orderId: $order, reason: $reason, idempotencyKey: $key) {{ {_ORDER} }} }}"""
ORDER_PAGE = """query ($id: ID, $number: String) { order(id: $id, number: $number) {
  id version number status placement placedAt customer { id } cancelReason allowedActions
  lines { id titleAtPurchase quantity quantityFulfilled variant { id sku }
          unitPrice { amount } discount { amount } total { amount } }
  discounts { label amount { amount } }
  subtotal { amount } tax { amount } shippingTotal { amount } total { amount currency }
  destination { country postalCode } address { name lines city } cart { id status }
  operatorReason
  rejection { reason declineCode shortages { orderLineId variant { sku } requested available } }
} }"""

ADDRESS = {
    "name": "Ana",
    "lines": ["Calle Mayor 1"],
    "city": "Valencia",
    "country": "ES",
    "postalCode": "46001",
}


def variant(sku: str) -> str:
    return derived_id("var", sku)


def product(sku: str) -> str:
    return derived_id("prd", sku)


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


class Orders:
    """The running service; what it is told comes from the test."""

    def __init__(self, running_: Running) -> None:
        self.it = running_
        self._keys = count(1)

    def key(self) -> str:
        return f"key-{next(self._keys)}"

    # ---- the catalogue

    async def sell(
        self, sku: str, price_minor: int, *, grams: int = 100, publish: bool = True
    ) -> None:
        await self.it.feeds["products"].publish_all(self.sold(sku, price_minor, grams, publish))
        await self.it.digest("products")

    def sold(
        self, sku: str, price_minor: int, grams: int = 100, publish: bool = True
    ) -> list[tuple[str, Mapping[str, Any], str]]:
        added = {
            "product_id": product(sku),
            "variant_id": variant(sku),
            "sku": sku,
            "title": f"A {sku.lower()}",
            "weight_grams": grams,
            "price_minor": price_minor,
            "currency": "EUR",
        }
        events: list[tuple[str, Mapping[str, Any], str]] = [
            ("product.variant_added", added, product(sku))
        ]
        if publish:
            published = {"product_id": product(sku), "channel": "default"}
            events.append(("product.published", published, product(sku)))
        return events

    async def reprice(self, sku: str, price_minor: int, *, digest: bool = True) -> int:
        """Gives the position of the change in the feed of products."""
        changed = {
            "variant_id": variant(sku),
            "sku": sku,
            "to_minor": price_minor,
            "currency": "EUR",
            "channel": "default",
        }
        event = await self.it.feeds["products"].publish(
            "variant.price_changed", changed, stream=product(sku)
        )
        if digest:
            await self.it.digest("products")
        return event.position

    # ---- mutations

    async def send(self, mutation: str, by: Mapping[str, Any], **variables: Any) -> dict[str, Any]:
        """The payload of a mutation with one root field."""
        data = await self.it.data(mutation, variables, fresh=False, **by)
        payload: dict[str, Any] = next(iter(data.values()))
        return payload

    async def cart(self, by: Mapping[str, Any] = CUSTOMER, **lines: int) -> dict[str, Any]:
        """A cart with these quantities of these skus."""
        payload = await self.send(CREATE_CART, by, key=self.key(), currency="EUR")
        assert not payload["userErrors"], payload
        if lines:
            wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
            payload = await self.send(SET_LINES, by, cart=payload["cart"]["id"], lines=wanted)
            assert not payload["userErrors"], payload
        cart: dict[str, Any] = payload["cart"]
        return cart

    def wish(self, cart: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """The input that orders this cart as it stands."""
        return {
            "cartId": cart["id"],
            "cartVersion": cart["version"],
            "expectedTotal": cart["total"],
            "paymentMethodToken": "tok_visa",
            "shippingOptionId": "pickup",
            "idempotencyKey": self.key(),
            **changes,
        }

    async def place(
        self, cart: Mapping[str, Any], by: Mapping[str, Any] = CUSTOMER, **changes: Any
    ) -> dict[str, Any]:
        return await self.send(PLACE, by, input=self.wish(cart, **changes))

    async def placed(self, by: Mapping[str, Any] = CUSTOMER, **lines: int) -> str:
        """The id of a new order of these quantities of these skus."""
        payload = await self.place(await self.cart(by, **lines), by)
        assert not payload["userErrors"], payload
        order_id: str = payload["order"]["id"]
        return order_id

    # ---- what others say

    async def say(self, source: str, type_name: str, order: str, **data: Any) -> None:
        stream = {"inventory": f"rsv_{order}", "payments": f"pay_{order}"}.get(
            source, f"shp_{order}"
        )
        await self.it.feeds[source].publish(type_name, {"order_id": order, **data}, stream=stream)
        await self.it.digest(source)

    async def hold(self, order: str, attempt: int = 1) -> None:
        about = {"reservation_id": f"rsv_{order}", "attempt": attempt}
        await self.say("inventory", "reservation.held", order, **about)

    async def reservation(self, what: str, order: str, **data: Any) -> None:
        about = {"reservation_id": f"rsv_{order}", **data}
        await self.say("inventory", f"reservation.{what}", order, **about)

    async def payment(self, what: str, order: str, **data: Any) -> None:
        await self.say("payments", f"payment.{what}", order, payment_id=f"pay_{order}", **data)

    async def authorize(self, order: str) -> None:
        terms = (await self.state(order)).terms
        assert terms is not None
        await self.payment(
            "authorized", order, amount_minor=terms.total_minor, currency=terms.currency
        )

    async def dispatch(self, order: str) -> None:
        terms = (await self.state(order)).terms
        assert terms is not None
        lines = [
            {"line_id": line.line_id, "variant_id": line.variant_id, "quantity": line.quantity}
            for line in terms.lines
        ]
        await self.say("shipping", "shipment.planned", order, shipment_id=f"shp_{order}")
        await self.say(
            "shipping",
            "shipment.dispatched",
            order,
            shipment_id=f"shp_{order}",
            lines=lines,
            carrier="donkey",
            tracking_number="T1",
        )

    async def capture(self, order: str) -> None:
        terms = (await self.state(order)).terms
        assert terms is not None
        await self.payment(
            "captured", order, shipment_id=f"shp_{order}", amount_minor=terms.total_minor
        )

    async def confirm(self, order: str) -> None:
        await self.hold(order)
        await self.authorize(order)
        await self.reservation("committed", order)

    async def complete(self, order: str) -> None:
        await self.confirm(order)
        await self.dispatch(order)
        await self.capture(order)

    # ---- what there is

    async def state(self, order: str) -> Order:
        state = Order.initial(order)
        for recorded in await self.it.service.store.read_stream(order):
            state = state.evolve(recorded.event)
        return state

    async def placement(self, order: str) -> Placement:
        stream = placement_id_of(order)
        state = Placement.initial(stream)
        for recorded in await self.it.service.store.read_stream(stream):
            state = state.evolve(recorded.event)
        return state

    async def happened(self, stream: str) -> list[str]:
        """The event types of a stream."""
        return [recorded.type for recorded in await self.it.service.store.read_stream(stream)]

    async def page(
        self, order: str | None = None, by: Mapping[str, Any] = CUSTOMER, **more: Any
    ) -> Any:
        data = await self.it.data(ORDER_PAGE, {"id": order, **more}, **by)
        return data["order"]


@asynccontextmanager
async def orders(
    database: str,
    *,
    feeds: Sequence[str] = FEEDS,
    given: Mapping[str, MemoryFeed] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Orders]:
    """A started service."""
    async with running(
        build, "orders", database, feeds=feeds, given=given, clock=clock, settings=settings
    ) as running_:
        yield Orders(running_)
