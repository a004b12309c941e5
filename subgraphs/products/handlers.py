"""What staff do with the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import (
    NO_STREAM,
    Append,
    Effect,
    EffectRefused,
    Streams,
    WrongExpectedVersion,
)
from eventstore.event import Event
from subgraphs.products.domain import Details, NewVariant, PriceChange, Product
from subgraphs.products.events import PriceScheduled
from subgraphs.products.keys import UNIQUE, CatalogueKeys, Claim, claim
from subgraphs.products.refusals import SkuTaken, SlugTaken
from subgraphs.products.schedule import schedule_price
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue, NotFound, Refusal, Refusals, VersionChanged
from subgraphs.shared.graphql.context import RequestContext

BATCH_MAX = 500
ATTEMPTS_MAX = 5

Context = RequestContext[Any]


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product to be made, with ids given already."""

    id: str
    slug: str
    details: Details
    variants: tuple[NewVariant, ...]
    publish: bool
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """A price for a variant named by its id or its sku."""

    key: str
    by_sku: bool
    change: PriceChange
    path: tuple[str, ...]


class ProductHandlers:
    """Commands on products. Only staff may give them: that is decided here."""

    def __init__(
        self,
        commands: Commands,
        streams: Streams,
        keys: CatalogueKeys,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._streams, self._keys = commands, streams, keys
        self._new_id = new_id

    async def create(
        self,
        context: Context,
        products: Sequence[NewProduct],
        *,
        operation: str,
        body: Any,
        idempotency_key: str,
    ) -> Done[Product]:
        """Create products, all or none, in one append. Raises Refusals: all that is wrong."""
        require_staff(context, "create products")
        _check_batch(len(products), "products")
        done = await self._commands.replayed(
            context, Product, operation=operation, idempotency_key=idempotency_key, body=body
        )
        if done is not None:
            return done
        states: dict[str, Product] = {}
        appends: list[Append] = []
        refusals: list[Refusal] = []
        for new in products:
            try:
                state, events = _created(new, context)
            except Refusal as refusal:
                refusals.append(refusal)
            else:
                states[new.id] = state
                appends.append(Append(new.id, events, NO_STREAM))
        claims = [made for new in products for made in _claims(new)]
        refusals += await self._conflicts(products, claims)
        if refusals:
            raise Refusals(refusals)
        try:
            return await self._commands.append(
                context,
                Product,
                states,
                appends,
                operation=operation,
                idempotency_key=idempotency_key,
                body=body,
                effects=[claim(claims)],
            )
        except EffectRefused as error:
            if error.constraint != UNIQUE:
                raise
            raise Refusals(await self._conflicts(products, claims)) from error

    async def change_details(
        self, context: Context, product_id: str, details: Details, expected: int | None
    ) -> Done[Product]:
        """Change what a product is called."""
        require_staff(context, "change products")
        return await self._run(
            context, product_id, lambda product: product.change_details(details), expected
        )

    async def add_variant(
        self,
        context: Context,
        product_id: str,
        variant: NewVariant,
        *,
        body: Any,
        idempotency_key: str,
        expected: int | None,
    ) -> Done[Product]:
        """Add a variant. Raises SkuTaken."""
        require_staff(context, "add variants")
        claims = _variant_claims(product_id, variant)

        def effects(_: Product, events: Sequence[Event]) -> list[Effect]:
            return [claim(claims)] if events else []

        try:
            return await self._commands.run(
                context,
                Product,
                product_id,
                lambda product: product.add_variant(variant, context.clock()),
                operation="addVariant",
                body=body,
                idempotency_key=idempotency_key,
                expected_version=expected,
                effects=effects,
            )
        except EffectRefused as error:
            if error.constraint != UNIQUE:
                raise
            raise SkuTaken(variant.sku, path=["input", "sku"]) from error

    async def change_price(
        self,
        context: Context,
        request: PriceRequest,
        *,
        body: Any,
        idempotency_key: str,
        expected: int | None,
    ) -> Done[Product]:
        """Change one price, now or later."""
        require_staff(context, "change prices")
        place = await self._keys.place(request.key, by_sku=request.by_sku)
        change, schedule_id = request.change, self._new_id("sch")
        return await self._commands.run(
            context,
            Product,
            place.product_id,
            lambda product: product.change_price(
                place.variant_id,
                change,
                context.clock(),
                schedule_id=schedule_id,
                path=[*request.path, "price"],
            ),
            operation="changePrice",
            body=body,
            idempotency_key=idempotency_key,
            expected_version=expected,
            reason=change.reason,
            effects=_schedules,
        )

    async def change_prices(
        self,
        context: Context,
        requests: Sequence[PriceRequest],
        *,
        body: Any,
        idempotency_key: str,
    ) -> Done[Product]:
        """Change many prices, all or none, in one append. Raises Refusals: all that is wrong."""
        require_staff(context, "change prices")
        _check_batch(len(requests), "changes")
        operation = "changePrices"
        for attempt in range(1, ATTEMPTS_MAX + 1):
            done = await self._commands.replayed(
                context, Product, operation=operation, idempotency_key=idempotency_key, body=body
            )
            if done is not None:
                return done
            states, appends = await self._priced(context, requests)
            effects = [effect for made in appends for effect in _schedule_rows(made.events)]
            try:
                return await self._commands.append(
                    context,
                    Product,
                    states,
                    [made for made in appends if made.events],
                    operation=operation,
                    idempotency_key=idempotency_key,
                    body=body,
                    effects=effects,
                )
            except WrongExpectedVersion as error:
                if attempt == ATTEMPTS_MAX:
                    raise VersionChanged(error.stream, None, error.actual) from error
        raise AssertionError("the loop ends by returning or raising")

    async def publish(
        self, context: Context, product_id: str, channel: str, expected: int | None
    ) -> Done[Product]:
        """Put a product on sale in a channel."""
        require_staff(context, "publish products")
        return await self._run(
            context, product_id, lambda product: product.publish(channel), expected
        )

    async def unpublish(
        self,
        context: Context,
        product_id: str,
        channel: str,
        reason: str | None,
        expected: int | None,
    ) -> Done[Product]:
        """Take a product off sale in a channel."""
        require_staff(context, "unpublish products")
        return await self._run(
            context,
            product_id,
            lambda product: product.unpublish(channel, reason),
            expected,
            reason=reason,
        )

    async def archive(
        self, context: Context, product_id: str, reason: str, expected: int | None
    ) -> Done[Product]:
        """Take a product out of the catalogue for good."""
        require_staff(context, "archive products")
        return await self._run(
            context, product_id, lambda product: product.archive(reason), expected, reason=reason
        )

    async def _priced(
        self, context: Context, requests: Sequence[PriceRequest]
    ) -> tuple[dict[str, Product], list[Append]]:
        """The products after the changes, and what to append to each."""
        places = await self._keys.places(
            variant_ids=[request.key for request in requests if not request.by_sku],
            skus=[request.key for request in requests if request.by_sku],
        )
        product_ids = list(dict.fromkeys(place.product_id for place in places.values()))
        loaded = await asyncio.gather(
            *(self._streams.load(Product, product_id) for product_id in product_ids)
        )
        versions = {
            product_id: version
            for product_id, (_, version) in zip(product_ids, loaded, strict=True)
        }
        states = {
            product_id: state for product_id, (state, _) in zip(product_ids, loaded, strict=True)
        }
        decided: dict[str, list[Event]] = {product_id: [] for product_id in product_ids}
        refusals: list[Refusal] = []
        for request in requests:
            place = places.get(request.key)
            try:
                if place is None:
                    raise NotFound("ProductVariant", request.key, path=request.path)
                events = states[place.product_id].change_price(
                    place.variant_id,
                    request.change,
                    context.clock(),
                    schedule_id=self._new_id("sch"),
                    path=[*request.path, "price"],
                )
            except Refusal as refusal:
                refusals.append(refusal)
                continue
            for event in events:
                states[place.product_id] = states[place.product_id].evolve(event)
            decided[place.product_id] += events
        if refusals:
            raise Refusals(refusals)
        appends = [
            Append(product_id, events, versions[product_id])
            for product_id, events in decided.items()
        ]
        return states, appends

    async def _conflicts(
        self, products: Sequence[NewProduct], claims: Sequence[Claim]
    ) -> list[Refusal]:
        """What is claimed already, or twice in this batch, with the path of each."""
        taken = await self._keys.taken(claims)
        refusals: list[Refusal] = []
        for new in products:
            for path, claimed in _paths(new):
                at = (claimed.kind, claimed.key)
                if at in taken and claimed.kind != "variant":
                    kind = SkuTaken if claimed.kind == "sku" else SlugTaken
                    refusals.append(kind(claimed.key, path=path))
                taken.add(at)
        return refusals

    async def _run(
        self,
        context: Context,
        product_id: str,
        decide: Callable[[Product], Sequence[Event]],
        expected: int | None,
        *,
        reason: str | None = None,
    ) -> Done[Product]:
        return await self._commands.run(
            context, Product, product_id, decide, expected_version=expected, reason=reason
        )


def require_staff(context: Context, action: str) -> None:
    """Raises Unauthenticated, Forbidden."""
    context.caller.require_role(action, Role.STAFF, Role.ADMIN)


def _created(new: NewProduct, context: Context) -> tuple[Product, list[Event]]:
    state = Product.initial(new.id)
    events = state.create(
        new.slug,
        new.details,
        new.variants,
        context.clock(),
        publish=new.publish,
        path=new.path,
    )
    for event in events:
        state = state.evolve(event)
    return state, events


def _paths(new: NewProduct) -> list[tuple[list[str], Claim]]:
    slug = ([*new.path, "slug"], Claim("slug", new.slug, new.id))
    skus = [
        ([*new.path, "variants", str(index), "sku"], made)
        for index, variant in enumerate(new.variants)
        for made in _variant_claims(new.id, variant)
    ]
    return [slug, *skus]


def _claims(new: NewProduct) -> list[Claim]:
    return [made for _, made in _paths(new)]


def _variant_claims(product_id: str, variant: NewVariant) -> list[Claim]:
    return [
        Claim("sku", variant.sku, product_id, variant.id),
        Claim("variant", variant.id, product_id, variant.id),
    ]


def _schedules(_: Product, events: Sequence[Event]) -> list[Effect]:
    return _schedule_rows(events)


def _schedule_rows(events: Sequence[Event]) -> list[Effect]:
    return [schedule_price(event) for event in events if isinstance(event, PriceScheduled)]


def _check_batch(size: int, name: str) -> None:
    if not 1 <= size <= BATCH_MAX:
        raise InvalidValue(f"1 to {BATCH_MAX} at a time, these are {size}", path=["input", name])
