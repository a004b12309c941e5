"""The mutations of the orders subgraph, and its schema."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import strawberry

from subgraphs.orders import cart as cart_state
from subgraphs.orders.addresses import destination_of
from subgraphs.orders.cart_handlers import CartChanged, WantedLine
from subgraphs.orders.live import Subscription
from subgraphs.orders.order_handlers import OrderDone, PlaceOrder
from subgraphs.orders.queries import Query
from subgraphs.orders.refusals import TotalHasChanged
from subgraphs.orders.schema_cart import Cart, NotForSale, PriceChanged
from subgraphs.orders.schema_common import Info, ProductVariant
from subgraphs.orders.schema_order import Order, OrderLine, User
from subgraphs.orders.views import CartView, OrderView
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.graphql import (
    AddressInput,
    CurrencyCode,
    MoneyInput,
    MoneyType,
    Receipt,
    UserError,
    build_schema,
    mutation,
    refused,
    user_error,
)


@strawberry.type(description="The total is another one than the client expected.")
class TotalChanged(UserError):
    expected: MoneyType
    actual: MoneyType


@user_error.register
def _(refusal: TotalHasChanged) -> UserError:
    return TotalChanged(
        message=refusal.message,
        code=refusal.code,
        path=refusal.path,
        expected=MoneyType.minor(refusal.expected_minor, refusal.currency),
        actual=MoneyType.minor(refusal.actual_minor, refusal.currency),
    )


@strawberry.input(description="A line by `variantId` or by `sku`: exactly one of them.")
class CartLineInput:
    quantity: int
    variant_id: strawberry.ID | None = None
    sku: str | None = None
    discount: MoneyInput | None = strawberry.field(
        default=None, description="Off the whole line. For staff."
    )


@strawberry.input
class PlaceOrderInput:
    cart_id: strawberry.ID
    cart_version: int
    expected_total: MoneyInput
    payment_method_token: str
    shipping_option_id: strawberry.ID
    idempotency_key: strawberry.ID


@strawberry.type
class CartPayload:
    cart: Cart | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class OrderPayload:
    order: Order | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @mutation("For oneself; staff open carts for customers.")
    async def create_cart(
        self,
        info: Info,
        currency: CurrencyCode,
        idempotency_key: strawberry.ID,
        customer_id: strawberry.ID | None = None,
    ) -> CartPayload:
        return await _cart_payload(
            info.context.resources.carts.create(
                info.context,
                str(currency),
                customer_id=None if customer_id is None else str(customer_id),
                idempotency_key=str(idempotency_key),
            )
        )

    @mutation("Set the line of a variant, named by id or by sku, at the price of now.")
    async def set_cart_line(
        self,
        info: Info,
        cart_id: strawberry.ID,
        quantity: int,
        variant_id: strawberry.ID | None = None,
        sku: str | None = None,
        discount: MoneyInput | None = None,
        expected_version: int | None = None,
    ) -> CartPayload:
        line = CartLineInput(quantity=quantity, variant_id=variant_id, sku=sku, discount=discount)
        return await _lines_payload(info, str(cart_id), [line], expected_version, prefix=None)

    @mutation("Set many lines at once: those that cannot be had are refused, one by one.")
    async def set_cart_lines(
        self,
        info: Info,
        cart_id: strawberry.ID,
        lines: list[CartLineInput],
        expected_version: int | None = None,
    ) -> CartPayload:
        return await _lines_payload(info, str(cart_id), lines, expected_version, prefix="lines")

    @strawberry.mutation
    async def remove_cart_line(
        self,
        info: Info,
        cart_id: strawberry.ID,
        variant_id: strawberry.ID | None = None,
        sku: str | None = None,
        expected_version: int | None = None,
    ) -> CartPayload:
        named = WantedLine(0, None if variant_id is None else str(variant_id), sku)
        return await _cart_payload(
            info.context.resources.carts.remove_line(
                info.context, str(cart_id), named, expected_version=expected_version
            )
        )

    @strawberry.mutation
    async def set_cart_destination(
        self,
        info: Info,
        cart_id: strawberry.ID,
        address: AddressInput,
        expected_version: int | None = None,
    ) -> CartPayload:
        async def work() -> Done[cart_state.Cart]:
            return await info.context.resources.carts.set_destination(
                info.context,
                str(cart_id),
                destination_of(address),
                expected_version=expected_version,
            )

        return await _cart_payload(work())

    @mutation(
        "Order what is in the cart, for the total the customer saw. Repeat with the same key."
    )
    async def place_order(
        self,
        info: Info,
        input: PlaceOrderInput,  # noqa: A002
    ) -> OrderPayload:
        wish = PlaceOrder(
            cart_id=str(input.cart_id),
            cart_version=input.cart_version,
            expected_amount=str(input.expected_total.amount),
            expected_currency=str(input.expected_total.currency),
            payment_method_token=input.payment_method_token,
            shipping_option_id=str(input.shipping_option_id),
        )
        return await _order_payload(
            info.context.resources.orders.place(
                info.context, wish, idempotency_key=str(input.idempotency_key)
            )
        )

    @mutation("Possible until goods have left. Watch the order's status for the answer.")
    async def request_cancellation(
        self,
        info: Info,
        order_id: strawberry.ID,
        reason: str,
        idempotency_key: strawberry.ID,
        expected_version: int | None = None,
    ) -> OrderPayload:
        return await _order_payload(
            info.context.resources.orders.cancel(
                info.context,
                str(order_id),
                reason,
                expected_version=expected_version,
                idempotency_key=str(idempotency_key),
            )
        )

    @mutation("For operators: ask again for everything that the placement waits for.")
    async def resume_placement(
        self,
        info: Info,
        order_id: strawberry.ID,
        reason: str,
        idempotency_key: strawberry.ID,
    ) -> OrderPayload:
        return await _order_payload(
            info.context.resources.orders.resume(
                info.context, str(order_id), reason, idempotency_key=str(idempotency_key)
            )
        )


async def _cart_payload(work: Awaitable[Done[cart_state.Cart]]) -> CartPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return CartPayload(cart=None, receipt=None, user_errors=result.user_errors)
    view = CartView.of_state(done.state, done.receipt.version)
    return CartPayload(cart=Cart.of(view), receipt=done.receipt, user_errors=[])


async def _lines_payload(
    info: Info,
    cart_id: str,
    lines: Sequence[CartLineInput],
    expected_version: int | None,
    *,
    prefix: str | None,
) -> CartPayload:
    wanted = [_wanted(line) for line in lines]
    result = await attempt(
        info.context.resources.carts.set_lines(
            info.context, cart_id, wanted, expected_version=expected_version
        )
    )
    changed: CartChanged | None = result.value
    if changed is None:
        return CartPayload(cart=None, receipt=None, user_errors=result.user_errors)
    for refusal in changed.refusals:
        path = refusal.path or []
        refusal.path = path[1:] if prefix is None else [prefix, *path]
    return CartPayload(
        cart=Cart.of(CartView.of_state(changed.cart, changed.version)),
        receipt=changed.receipt,
        user_errors=[refused(refusal) for refusal in changed.refusals],
    )


async def _order_payload(work: Awaitable[OrderDone]) -> OrderPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return OrderPayload(order=None, receipt=None, user_errors=result.user_errors)
    view = OrderView.of_state(
        done.order,
        done.version,
        progress=done.placement.progress,
        operator_reason=done.placement.operator_reason,
    )
    return OrderPayload(order=Order.of(view), receipt=done.receipt, user_errors=[])


def _wanted(line: CartLineInput) -> WantedLine:
    discount = line.discount
    return WantedLine(
        quantity=line.quantity,
        variant_id=None if line.variant_id is None else str(line.variant_id),
        sku=line.sku,
        discount=None if discount is None else (str(discount.amount), str(discount.currency)),
    )


_MEMBERS: tuple[type[Any], ...] = (TotalChanged, PriceChanged, NotForSale)
"""Types that only interfaces lead to."""

SCHEMA = build_schema(
    operator="orders",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[*_MEMBERS, Cart, Order, OrderLine, User, ProductVariant],
)
