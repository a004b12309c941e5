"""What staff do with prices: one, or many in one append; now, or at a time to come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import Append, Effect, Streams, WrongExpectedVersion
from eventstore.event import Event
from subgraphs.products.domain import PriceChange, Product
from subgraphs.products.events import PriceScheduled
from subgraphs.products.handlers import Context, check_batch, require_staff
from subgraphs.products.keys import CatalogueKeys, Place
from subgraphs.products.schedule import schedule_price
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import NotFound, Refusal, Refusals, VersionChanged

ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """A price for a variant named by its id or its sku."""

    key: str
    by_sku: bool
    change: PriceChange
    path: tuple[str, ...]


@dataclass(slots=True)
class Repricing:
    """What changes come to, by product: the version loaded, the state after, the events between."""

    versions: dict[str, int]
    states: dict[str, Product]
    events: dict[str, list[Event]]

    def change(self, product_id: str, decide: Callable[[Product], list[Event]]) -> None:
        """Decide one more change of a product. Raises what `decide` raises."""
        for event in decide(self.states[product_id]):
            self.states[product_id] = self.states[product_id].evolve(event)
            self.events[product_id].append(event)

    def appends(self) -> list[Append]:
        """What to append; products that stay as they are get nothing."""
        return [
            Append(product_id, events, self.versions[product_id])
            for product_id, events in self.events.items()
            if events
        ]


class PriceHandlers:
    """Commands on prices. Only staff may give them: that is decided here."""

    def __init__(
        self,
        commands: Commands,
        streams: Streams,
        keys: CatalogueKeys,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._streams, self._keys = commands, streams, keys
        self._new_id = new_id

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
        return await self._commands.run(
            context,
            Product,
            place.product_id,
            self._decision(context, place, request),
            operation="changePrice",
            body=body,
            idempotency_key=idempotency_key,
            expected_version=expected,
            reason=request.change.reason,
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
        check_batch(len(requests), "changes")
        operation = "changePrices"
        for attempt in range(1, ATTEMPTS_MAX + 1):
            done = await self._commands.replayed(
                context, Product, operation=operation, idempotency_key=idempotency_key, body=body
            )
            if done is not None:
                return done
            repricing = await self._repriced(context, requests)
            appends = repricing.appends()
            try:
                return await self._commands.append(
                    context,
                    Product,
                    repricing.states,
                    appends,
                    operation=operation,
                    idempotency_key=idempotency_key,
                    body=body,
                    effects=[row for made in appends for row in _schedule_rows(made.events)],
                    standing=repricing.versions,
                )
            except WrongExpectedVersion as error:
                if attempt == ATTEMPTS_MAX:
                    raise VersionChanged(error.stream, None, error.actual) from error
        raise AssertionError("the loop ends by returning or raising")

    async def _repriced(self, context: Context, requests: Sequence[PriceRequest]) -> Repricing:
        """Load the products and decide every change. Raises Refusals: all that is wrong."""
        places = await self._keys.places(
            variant_ids=[request.key for request in requests if not request.by_sku],
            skus=[request.key for request in requests if request.by_sku],
        )
        repricing = await self._loaded({place.product_id for place in places.values()})
        refusals: list[Refusal] = []
        for request in requests:
            place = places.get(request.key)
            if place is None:
                refusals.append(NotFound("ProductVariant", request.key, path=request.path))
                continue
            try:
                repricing.change(place.product_id, self._decision(context, place, request))
            except Refusal as refusal:
                refusals.append(refusal)
        if refusals:
            raise Refusals(refusals)
        return repricing

    async def _loaded(self, product_ids: Iterable[str]) -> Repricing:
        ordered = sorted(product_ids)
        loaded = await asyncio.gather(*(self._streams.load(Product, each) for each in ordered))
        repricing = Repricing({}, {}, {})
        for product_id, (state, version) in zip(ordered, loaded, strict=True):
            repricing.states[product_id] = state
            repricing.versions[product_id] = version
            repricing.events[product_id] = []
        return repricing

    def _decision(
        self, context: Context, place: Place, request: PriceRequest
    ) -> Callable[[Product], list[Event]]:
        schedule_id = self._new_id("sch")
        return lambda product: product.change_price(
            place.variant_id,
            request.change,
            context.clock(),
            schedule_id=schedule_id,
            path=[*request.path, "price"],
        )


def _schedules(_: Product, events: Sequence[Event]) -> list[Effect]:
    return _schedule_rows(events)


def _schedule_rows(events: Sequence[Event]) -> list[Effect]:
    return [schedule_price(event) for event in events if isinstance(event, PriceScheduled)]
