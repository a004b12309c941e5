"""What can be done with orders: place one, ask for its cancellation, have its placement resumed.

An order of somebody else is told apart from none at all by nobody: both are NotFound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventstore import ANY, NO_STREAM, Append, EventStore, IdempotencyKeyReused, Streams
from eventstore import WrongExpectedVersion as WrongVersion
from projections import Timers
from subgraphs.orders import answers
from subgraphs.orders.cart import Cart, CartLine
from subgraphs.orders.cart_handlers import ACTS_FOR_OTHERS, check_exists
from subgraphs.orders.catalogue import Catalogue, Rate
from subgraphs.orders.freshness import Freshness
from subgraphs.orders.order import (
    Order,
    number_of,
    placed_discounts,
    placed_lines,
    placement_id_of,
)
from subgraphs.orders.order_events import OrderPlaced
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementStarted
from subgraphs.orders.placement_rules import start
from subgraphs.orders.pricing import Totals, totals_of
from subgraphs.orders.process import PlacementProcess, timer_effects
from subgraphs.orders.refusals import (
    DestinationMissing,
    InvalidPlacement,
    UnknownShippingOption,
)
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done, outcome_of
from subgraphs.shared.errors import KeyReused, NotFound, Refusal, VersionChanged
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.types import Receipt
from subgraphs.shared.money import Money

REASON_CHARACTERS_MAX = 500
TOKEN_CHARACTERS_MAX = 200
RESUMES = (Role.OPERATOR, Role.ADMIN)

Context = RequestContext[Any]


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """What the customer agrees to; also the body that a repeat of the key must have in common."""

    cart_id: str
    cart_version: int
    expected_amount: str
    expected_currency: str
    payment_method_token: str
    shipping_option_id: str


@dataclass(frozen=True, slots=True)
class OrderDone:
    """An order after a command, and where its placement stands. On a replay of an idempotency key
    both are as they are now, the receipt is that of the first time.
    """

    order: Order
    version: int
    placement: Placement
    receipt: Receipt


class OrderHandlers:
    def __init__(
        self,
        commands: Commands,
        store: EventStore,
        streams: Streams,
        process: PlacementProcess,
        catalogue: Catalogue,
        freshness: Freshness,
        *,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._store, self._streams = commands, store, streams
        self._process, self._catalogue, self._freshness = process, catalogue, freshness
        self._new_id = new_id

    async def place(self, context: Context, wish: PlaceOrder, *, idempotency_key: str) -> OrderDone:
        """Make the order of a cart, and begin its placement: cart, order and placement in one
        append. The same key again gives the first order.

        Raises NotFound, CartClosed, CartPastExpiry, CartEmpty, VersionChanged, TotalHasChanged,
        CurrencyDiffers, ProductNotPublished, DiscountExceedsLine, UnknownShippingOption,
        DestinationMissing, InvalidPlacement, InvalidMoney, KeyReused.
        """
        caller = context.caller.require_user()
        about: dict[str, Any] = {
            "operation": "placeOrder",
            "idempotency_key": idempotency_key,
            "body": wish,
        }
        done = await self._commands.replayed(context, Order, **about)
        if done is not None:
            return await self._with_placement(done)
        try:
            return await self._place(context, wish, caller, about)
        except Refusal:
            # The same request, sent twice at once: the other one may have taken the cart meanwhile.
            done = await self._commands.replayed(context, Order, **about)
            if done is None:
                raise
            return await self._with_placement(done)

    async def _place(
        self, context: Context, wish: PlaceOrder, caller: str, about: Mapping[str, Any]
    ) -> OrderDone:
        expected = Money.parse(
            wish.expected_amount, wish.expected_currency, path=["input", "expectedTotal", "amount"]
        )
        _check_token(wish.payment_method_token)
        check_exists("cart", wish.cart_id, "crt", path=["input", "cartId"])
        cart, version = await self._streams.load(Cart, wish.cart_id)
        if not cart.customer_id or not context.caller.may_see(cart.customer_id, *ACTS_FOR_OTHERS):
            raise NotFound("cart", wish.cart_id, path=["input", "cartId"])
        cart.must_be_open(context.clock())
        if version != wish.cart_version:
            raise VersionChanged(wish.cart_id, wish.cart_version, version)
        await self._freshness.follow(context)
        lines = cart.priced(await self._catalogue.offers(list(cart.lines)))
        rate = await self._rate(cart, wish.shipping_option_id)
        totals = totals_of(lines, shipping_minor=rate.price_minor)
        order_id = self._new_id("ord")
        closing = cart.order(
            order_id,
            totals,
            expected_minor=expected.minor,
            currency=expected.currency,
            now=context.clock(),
        )
        placed = self._placed(context, order_id, caller, cart, lines, totals, wish)
        begun = start(Placement.initial(placement_id_of(order_id)), self._terms(context, placed))
        try:
            done = await self._commands.append(
                context,
                Order,
                {order_id: Order.initial(order_id).evolve(placed)},
                [
                    Append(order_id, [placed], NO_STREAM),
                    Append(placement_id_of(order_id), begun.events, NO_STREAM),
                    Append(wish.cart_id, closing, version),
                ],
                effects=[
                    *timer_effects(
                        Placement.initial(placement_id_of(order_id)),
                        begun.state,
                        begun.events,
                        context.clock(),
                        context.correlation_id,
                    ),
                    Timers().cancel_effect(wish.cart_id),
                ],
                on_behalf_of=cart.customer_id,
                **about,
            )
        except WrongVersion as error:
            raise VersionChanged(wish.cart_id, wish.cart_version, error.actual) from error
        if done.receipt.replayed:
            return await self._with_placement(done)
        return OrderDone(done.state, done.receipt.version, begun.state, done.receipt)

    async def cancel(
        self,
        context: Context,
        order_id: str,
        reason: str,
        *,
        expected_version: int | None,
        idempotency_key: str,
    ) -> OrderDone:
        """Ask for the cancellation; nothing to do if that is under way already.

        Raises NotFound, VersionChanged, NotCancellable, InvalidPlacement, KeyReused.
        """
        caller = context.caller.require_user()
        check_exists("order", order_id, "ord", path=["orderId"])
        order, version = await self._streams.load(Order, order_id)
        owner = order.terms.customer_id if order.terms else None
        if owner is None or not context.caller.may_see(owner, *ACTS_FOR_OTHERS):
            raise NotFound("order", order_id, path=["orderId"])
        if expected_version is not None and version != expected_version:
            replayed = await self._seen(
                context, "requestCancellation", order_id, reason, idempotency_key
            )
            if replayed is not None:
                return replayed
            raise VersionChanged(order_id, expected_version, version)
        said = _reason(reason)
        asked = answers.CancellationAsked(None if order.customer_erased else said, caller)
        return await self._tell(
            context,
            order_id,
            asked,
            reason,
            operation="requestCancellation",
            idempotency_key=idempotency_key,
            on_behalf_of=owner,
            order_version=expected_version,
        )

    async def resume(
        self, context: Context, order_id: str, reason: str, *, idempotency_key: str
    ) -> OrderDone:
        """Have everything that a placement waits for asked again; for operators.

        Raises NotFound, NothingToResume, InvalidPlacement, KeyReused, Unauthenticated, Forbidden.
        """
        caller = context.caller.require_role("resume a placement", *RESUMES)
        check_exists("order", order_id, "ord", path=["orderId"])
        order, _ = await self._streams.load(Order, order_id)
        if order.terms is None:
            raise NotFound("order", order_id, path=["orderId"])
        said = _reason(reason)
        return await self._tell(
            context,
            order_id,
            answers.ResumeAsked(None if order.customer_erased else said, caller),
            reason,
            operation="resumePlacement",
            idempotency_key=idempotency_key,
        )

    # ---- inside

    async def _seen(
        self, context: Context, operation: str, order_id: str, reason: str, key: str
    ) -> OrderDone | None:
        done = await self._commands.replayed(
            context,
            Order,
            operation=operation,
            idempotency_key=key,
            body={"orderId": order_id, "reason": reason},
        )
        return None if done is None else await self._with_placement(done)

    async def _with_placement(self, done: Done[Order]) -> OrderDone:
        order, version = await self._streams.load(Order, done.stream)
        placement, _ = await self._streams.load(Placement, placement_id_of(done.stream))
        return OrderDone(order, version, placement, done.receipt)

    async def _tell(
        self,
        context: Context,
        order_id: str,
        message: answers.Message,
        reason: str,
        *,
        operation: str,
        idempotency_key: str,
        on_behalf_of: str | None = None,
        order_version: int | None = None,
    ) -> OrderDone:
        done = await self._seen(context, operation, order_id, reason, idempotency_key)
        if done is not None:
            return done
        metadata = context.metadata(on_behalf_of=on_behalf_of)
        outcome = outcome_of(metadata.command_id, order_id)
        idempotency = self._commands.idempotency(
            context, idempotency_key, operation, {"orderId": order_id, "reason": reason}
        )
        try:
            told = await self._process.tell(
                order_id,
                message,
                metadata=metadata,
                idempotency=idempotency,
                outcome=outcome,
                order_version=ANY if order_version is None else order_version,
            )
        except WrongVersion as error:
            raise VersionChanged(order_id, order_version, error.actual) from error
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        loaded = await self._streams.loaded(Order, order_id)
        appended = told.appended
        if appended is None:
            appended = await self._store.append(
                Append(order_id, ()),
                metadata=metadata,
                idempotency=idempotency,
                outcome=outcome,
            )
        receipt = self._commands.receipt(appended, order_id, metadata.command_id)
        return OrderDone(loaded.state, loaded.version, told.state, receipt)

    async def _rate(self, cart: Cart, option_id: str) -> Rate:
        country = cart.destination.country if cart.destination else None
        rate = await self._catalogue.shipping_rate(
            option_id,
            currency=cart.currency,
            country=country,
            weight_grams=cart.total_weight_grams,
        )
        if rate is None:
            raise UnknownShippingOption(option_id)
        if rate.carrier and country is None:
            raise DestinationMissing(option_id)
        return rate

    def _placed(
        self,
        context: Context,
        order_id: str,
        caller: str,
        cart: Cart,
        lines: tuple[CartLine, ...],
        totals: Totals,
        wish: PlaceOrder,
    ) -> OrderPlaced:
        return OrderPlaced(
            order_id=order_id,
            number=number_of(order_id),
            cart_id=cart.id,
            customer_id=cart.customer_id,
            placed_by=caller,
            currency=cart.currency,
            lines=placed_lines(order_id, lines),
            discounts=placed_discounts(order_id, lines),
            subtotal_minor=totals.subtotal_minor,
            tax_minor=totals.tax_minor,
            shipping_minor=totals.shipping_minor,
            total_minor=totals.total_minor,
            destination=cart.destination,
            shipping_option_id=wish.shipping_option_id,
            payment_method_token=wish.payment_method_token,
            placed_at=context.clock(),
        )

    def _terms(self, context: Context, placed: OrderPlaced) -> PlacementStarted:
        return PlacementStarted(
            order_id=placed.order_id,
            number=placed.number,
            customer_id=placed.customer_id,
            currency=placed.currency,
            total_minor=placed.total_minor,
            lines=placed.lines,
            destination=placed.destination,
            shipping_option_id=placed.shipping_option_id,
            payment_method_token=placed.payment_method_token,
            deadline_at=context.clock() + self._process.policy.placement_deadline,
        )


def _check_token(token: str) -> None:
    if not token.strip() or len(token) > TOKEN_CHARACTERS_MAX or not token.isprintable():
        raise InvalidPlacement(
            f"a payment method token has 1 to {TOKEN_CHARACTERS_MAX} printable characters",
            path=["input", "paymentMethodToken"],
        )


def _reason(text: str) -> str:
    reason = text.strip()
    if (
        not reason
        or len(reason) > REASON_CHARACTERS_MAX
        or not all(character.isprintable() or character in "\n\t" for character in reason)
    ):
        raise InvalidPlacement(
            f"say why, in 1 to {REASON_CHARACTERS_MAX} characters", path=["reason"]
        )
    return reason
