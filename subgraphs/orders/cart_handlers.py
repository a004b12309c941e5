"""What can be done with carts, and by whom: their owner, and staff for them.

A cart of somebody else is told apart from none at all by nobody: both are NotFound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from eventstore import ANY, Append, Effect, EventStore, Streams, WrongExpectedVersion
from eventstore.event import Event
from projections import Timers
from subgraphs.orders.cart import Cart, Offer, check_quantity
from subgraphs.orders.cart_events import CartEvent, CartLineRefused
from subgraphs.orders.catalogue import Catalogue
from subgraphs.orders.freshness import Freshness
from subgraphs.orders.parts import Destination
from subgraphs.orders.reactions import CART_EXPIRY
from subgraphs.orders.refusals import (
    DiscountNotAllowed,
    PriceInOtherCurrency,
    TooManyLines,
    UnknownVariant,
    VariantUnnamed,
)
from subgraphs.shared.auth import Caller, Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue, NotFound, Refusal, VersionChanged
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.types import Receipt
from subgraphs.shared.ids import check_id, is_id
from subgraphs.shared.money import Money, exponent

ACTS_FOR_OTHERS = (Role.STAFF, Role.ADMIN)
SEES_OTHERS = (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN)
BATCH_LINES_MAX = 200
NAME_CHARACTERS_MAX = 100
ATTEMPTS_MAX = 20
"""Times a change without an expected version is decided anew because another was faster."""

Context = RequestContext[Any]


@dataclass(frozen=True, slots=True)
class WantedLine:
    """A line as the client asks for it. `discount` is amount and currency, unread."""

    quantity: int
    variant_id: str | None = None
    sku: str | None = None
    discount: tuple[str, str] | None = None

    @property
    def named(self) -> str:
        """The variant, as the client named it. Raises VariantUnnamed."""
        if (self.variant_id is None) == (self.sku is None):
            raise VariantUnnamed
        return self.variant_id or self.sku or ""


@dataclass(frozen=True, slots=True)
class CartChanged:
    """The cart after a change of lines, and why some were refused; their paths begin at the line.

    `receipt` is None when nothing was written to the cart's stream.
    """

    cart: Cart
    version: int
    receipt: Receipt | None
    refusals: list[Refusal]


class CartHandlers:
    def __init__(
        self,
        commands: Commands,
        store: EventStore,
        streams: Streams,
        catalogue: Catalogue,
        freshness: Freshness,
        *,
        new_id: Callable[[str], str],
        cart_ttl: timedelta,
    ) -> None:
        self._commands, self._store, self._streams = commands, store, streams
        self._catalogue, self._freshness = catalogue, freshness
        self._new_id, self._ttl = new_id, cart_ttl

    async def create(
        self, context: Context, currency: str, *, customer_id: str | None, idempotency_key: str
    ) -> Done[Cart]:
        """Open a cart, for oneself, or as staff for a customer. Raises UnknownCurrency, KeyReused,
        MalformedId, Unauthenticated, Forbidden.
        """
        caller = context.caller.require_user()
        owner = customer_id or caller
        if owner != caller:
            context.caller.require_role("open a cart for somebody else", *ACTS_FOR_OTHERS)
            check_id(owner, "usr", path=["customerId"])
        exponent(currency)
        expires_at = context.clock() + self._ttl

        def expiry(cart: Cart, events: Sequence[Event]) -> list[Effect]:
            correlation = context.correlation_id.encode()
            return [
                Timers().set_effect(cart.id, CART_EXPIRY, expires_at, "once", correlation)
            ] * bool(events)

        return await self._commands.run(
            context,
            Cart,
            self._new_id("crt"),
            lambda cart: cart.create(
                customer_id=owner, created_by=caller, currency=currency, expires_at=expires_at
            ),
            operation="createCart",
            on_behalf_of=owner,
            idempotency_key=idempotency_key,
            body={"currency": currency, "customerId": owner},
            effects=expiry,
        )

    async def set_lines(
        self,
        context: Context,
        cart_id: str,
        wanted: Sequence[WantedLine],
        *,
        expected_version: int | None = None,
    ) -> CartChanged:
        """Set lines: those that can be had are set, the others refused, all in one append.

        What was refused is recorded. Raises NotFound, CartClosed, CartPastExpiry, VersionChanged,
        TooManyLines (of one call), for which nothing is done at all.
        """
        context.caller.require_user()
        check_exists("cart", cart_id, "crt", path=["cartId"])
        if not 1 <= len(wanted) <= BATCH_LINES_MAX:
            raise TooManyLines(len(wanted), BATCH_LINES_MAX, path=["lines"])
        await self._freshness.follow(context)
        offers = await self._catalogue.find(
            ids=[
                line.variant_id
                for line in wanted
                if line.variant_id and is_id(line.variant_id, "var")
            ],
            skus=[line.sku for line in wanted if line.sku and is_name(line.sku)],
        )
        known = {o.variant_id: o for o in offers} | {o.sku: o for o in offers}
        for attempt in range(1, ATTEMPTS_MAX + 1):
            loaded = await self._streams.loaded(Cart, cart_id)
            cart = loaded.state
            self._must_reach(context.caller, cart)
            cart.must_be_open(context.clock())
            if expected_version is not None and loaded.version != expected_version:
                raise VersionChanged(cart_id, expected_version, loaded.version)
            events, refused, cart = _set_all(context, cart, wanted, known)
            appends: list[Append] = []
            if events:
                appends.append(Append(cart_id, events, loaded.version))
            if refused:
                recorded = [_refused(cart_id, line, why) for line, why in refused]
                appends.append(Append(_refusals_of(cart_id), recorded, ANY))
            refusals = [why for _, why in refused]
            if not appends:
                return CartChanged(cart, loaded.version, None, refusals)
            metadata = context.metadata(on_behalf_of=cart.customer_id)
            try:
                appended = await self._store.append(appends, metadata=metadata)
            except WrongExpectedVersion as error:
                if expected_version is not None or attempt == ATTEMPTS_MAX:
                    raise VersionChanged(cart_id, expected_version, error.actual) from error
                continue
            version = appended.versions.get(cart_id, loaded.version)
            receipt = self._commands.receipt(appended, cart_id, metadata.command_id)
            return CartChanged(cart, version, receipt if events else None, refusals)
        raise AssertionError("unreachable: the last attempt raises")

    async def remove_line(
        self, context: Context, cart_id: str, named: WantedLine, *, expected_version: int | None
    ) -> Done[Cart]:
        """Raises NotFound, VariantUnnamed, UnknownVariant, LineNotFound, VersionChanged."""
        owner = await self._owner(context, cart_id)
        variant_id = named.variant_id
        if named.named and variant_id is None:
            skus = [named.named] if is_name(named.named) else []
            offers = await self._catalogue.find(skus=skus)
            if not offers:
                raise UnknownVariant(named.named)
            variant_id = offers[-1].variant_id
        assert variant_id is not None
        return await self._commands.run(
            context,
            Cart,
            cart_id,
            lambda cart: cart.remove_line(variant_id, now=context.clock()),
            expected_version=expected_version,
            on_behalf_of=owner,
        )

    async def set_destination(
        self,
        context: Context,
        cart_id: str,
        destination: Destination,
        *,
        expected_version: int | None,
    ) -> Done[Cart]:
        """Raises NotFound, CartClosed, CartPastExpiry, VersionChanged."""
        owner = await self._owner(context, cart_id)
        return await self._commands.run(
            context,
            Cart,
            cart_id,
            lambda cart: cart.set_destination(destination, now=context.clock()),
            expected_version=expected_version,
            on_behalf_of=owner,
        )

    async def _owner(self, context: Context, cart_id: str) -> str:
        """Whose cart it is, before anything is said of it to a caller who may not know of it."""
        context.caller.require_user()
        check_exists("cart", cart_id, "crt", path=["cartId"])
        cart, _ = await self._streams.load(Cart, cart_id)
        self._must_reach(context.caller, cart)
        return cart.customer_id

    @staticmethod
    def _must_reach(caller: Caller, cart: Cart) -> None:
        if not cart.customer_id or not caller.may_see(cart.customer_id, *ACTS_FOR_OTHERS):
            raise NotFound("cart", cart.id, path=["cartId"])


def check_exists(thing: str, thing_id: str, prefix: str, *, path: Sequence[str]) -> None:
    """Raises NotFound for what is no id of such a thing: nothing can be stored under it."""
    if not is_id(thing_id, prefix):
        raise NotFound(thing, thing_id, path=path)


def is_name(text: str | None) -> bool:
    """Whether something may be called so: printable, and not endless."""
    return bool(text) and len(text or "") <= NAME_CHARACTERS_MAX and (text or "").isprintable()


def _set_all(
    context: Context, cart: Cart, wanted: Sequence[WantedLine], known: dict[str, Offer]
) -> tuple[list[CartEvent], list[tuple[WantedLine, Refusal]], Cart]:
    events: list[CartEvent] = []
    refused: list[tuple[WantedLine, Refusal]] = []
    for index, line in enumerate(wanted):
        try:
            named = line.named
            check_quantity(line.quantity)
            offer = known.get(named)
            if offer is None:
                raise UnknownVariant(named)
            discount_minor = _discount_minor(context.caller, cart, line)
            decided = cart.set_line(
                offer, line.quantity, discount_minor=discount_minor, now=context.clock()
            )
        except Refusal as refusal:
            refusal.path, refusal.recorded = [str(index), *(refusal.path or [])], True
            refused.append((line, refusal))
            continue
        for event in decided:
            cart = cart.evolve(event)
        events.extend(decided)
    return events, refused, cart


def _discount_minor(caller: Caller, cart: Cart, line: WantedLine) -> int:
    if line.discount is None:
        return 0
    if not caller.has(*ACTS_FOR_OTHERS):
        raise DiscountNotAllowed
    discount = Money.parse(*line.discount, path=["discount", "amount"])
    if discount.currency != cart.currency:
        raise PriceInOtherCurrency(discount.currency, cart.currency)
    return discount.minor


def _refusals_of(cart_id: str) -> str:
    """The stream of what was refused for a cart."""
    return f"rfs_{cart_id.partition('_')[2]}"


def _refused(cart_id: str, line: WantedLine, why: Refusal) -> CartLineRefused:
    try:
        discount = Money.parse(*line.discount).minor if line.discount else None
    except InvalidValue:
        discount = None
    return CartLineRefused(
        cart_id=cart_id,
        variant_id=_shown(line.variant_id),
        sku=_shown(line.sku),
        quantity=line.quantity,
        discount_minor=discount,
        code=why.code,
        message=why.message,
    )


def _shown(text: str | None) -> str | None:
    """As much of what a client called a variant as a log and a database can hold."""
    if text is None:
        return None
    return "".join(c if c.isprintable() else "�" for c in text)[:NAME_CHARACTERS_MAX]
