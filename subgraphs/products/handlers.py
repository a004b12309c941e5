"""What staff do with the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import (
    NO_STREAM,
    Append,
    Effect,
    EffectRefused,
)
from eventstore.event import Event
from subgraphs.products.domain import Product
from subgraphs.products.domain_rules import Details, NewVariant
from subgraphs.products.keys import UNIQUE, CatalogueKeys, Claim, claim
from subgraphs.products.refusals import SkuTaken, SlugTaken
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue, Refusal, Refusals
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


class ProductHandlers:
    """Commands on products. Only staff may give them: that is decided here."""

    def __init__(
        self,
        commands: Commands,
        keys: CatalogueKeys,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._keys, self._new_id = commands, keys, new_id

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
        check_batch(len(products), "products")
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


def check_batch(size: int, name: str) -> None:
    """Raises InvalidValue for a batch that is empty or too large."""
    if not 1 <= size <= BATCH_MAX:
        raise InvalidValue(f"1 to {BATCH_MAX} at a time, these are {size}", path=["input", name])
