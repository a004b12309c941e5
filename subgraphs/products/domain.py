"""The product with its variants: one consistency boundary, one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from eventstore.event import Event
from subgraphs.products.domain_rules import (
    Details,
    NewVariant,
    Path,
    check_channel,
    check_price,
    check_slug,
    check_variant,
    checked_details,
)
from subgraphs.products.events import (
    DEFAULT_CHANNEL,
    DetailsChanged,
    Option,
    PriceChanged,
    PriceScheduled,
    ProductArchived,
    ProductCreated,
    ProductPublished,
    ProductUnpublished,
    VariantAdded,
)
from subgraphs.products.refusals import Archived, SkuTaken
from subgraphs.shared.errors import InvalidValue, NotFound
from subgraphs.shared.money import CurrencyDiffers, Money

VARIANTS_MAX = 100
SCHEDULED_MAX = 50


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price for one channel. Without `effective_at`, now."""

    price: Money
    channel: str = DEFAULT_CHANNEL
    effective_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing that can be bought; `prices` and `scheduled` (by schedule id) by channel."""

    id: str
    sku: str
    title: str
    options: tuple[Option, ...]
    weight_grams: int | None
    tax_class: str
    prices: Mapping[str, Money]
    scheduled: Mapping[str, PriceScheduled] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    """State folded from one product's stream."""

    id: str
    slug: str = ""
    details: Details = field(default_factory=lambda: Details(""))
    created_at: datetime | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    channels: frozenset[str] = frozenset()
    archived: bool = False

    @classmethod
    def initial(cls, stream: str) -> Product:
        """No product yet."""
        return cls(stream)

    def create(
        self,
        slug: str,
        details: Details,
        variants: Sequence[NewVariant],
        now: datetime,
        *,
        publish: bool = False,
        path: Path = ("input",),
    ) -> list[Event]:
        """Decide. Raises InvalidValue, NegativePrice, SkuTaken (twice in one product)."""
        if self.created_at is not None:
            return []
        check_slug(slug, [*path, "slug"])
        checked = checked_details(details, path)
        if not variants:
            raise InvalidValue("a product has at least one variant", path=[*path, "variants"])
        events: list[Event] = [
            ProductCreated(
                self.id, slug, checked.title, checked.description, checked.category_id, now
            )
        ]
        product = self.evolve(events[0])
        for index, variant in enumerate(variants):
            added = product.add_variant(variant, now, path=[*path, "variants", str(index)])
            for event in added:
                product = product.evolve(event)
            events += added
        return [*events, *(product.publish(DEFAULT_CHANNEL) if publish else ())]

    def change_details(self, details: Details) -> list[Event]:
        """Decide. Nothing to do where all is the same."""
        self._changeable()
        checked = checked_details(details, ["input"])
        if checked == self.details:
            return []
        return [DetailsChanged(self.id, checked.title, checked.description, checked.category_id)]

    def add_variant(self, new: NewVariant, now: datetime, path: Path = ("input",)) -> list[Event]:
        """Decide. The same id again is nothing to do."""
        self._changeable()
        if new.id in self.variants:
            return []
        if len(self.variants) >= VARIANTS_MAX:
            raise InvalidValue(f"a product has at most {VARIANTS_MAX} variants", path=path)
        check_variant(new, path)
        if any(variant.sku == new.sku for variant in self.variants.values()):
            raise SkuTaken(new.sku, path=[*path, "sku"])
        options = ", ".join(option.value for option in new.options)
        return [
            VariantAdded(
                self.id,
                new.id,
                new.sku,
                f"{self.details.title} ({options})" if options else self.details.title,
                list(new.options),
                new.weight_grams,
                new.tax_class,
                new.price.minor,
                new.price.currency,
                now,
            )
        ]

    def change_price(
        self,
        variant_id: str,
        change: PriceChange,
        now: datetime,
        *,
        schedule_id: str,
        path: Path = ("price",),
    ) -> list[Event]:
        """Decide: now, or at a time to come. The price that holds already is nothing to do.

        Raises NotFound, NegativePrice, CurrencyDiffers.
        """
        self._changeable()
        variant = self._variant(variant_id)
        check_price(change.price, [*path, "amount"])
        check_channel(change.channel)
        current = variant.prices.get(change.channel)
        if current is not None and current.currency != change.price.currency:
            raise CurrencyDiffers(change.price.currency, current.currency, path=[*path, "currency"])
        if change.effective_at is not None and change.effective_at > now:
            return self._schedule(variant, change, schedule_id)
        if current == change.price:
            return []
        return [_changed(self.id, variant, change, current, change.effective_at or now)]

    def apply_schedule(self, variant_id: str, schedule_id: str) -> list[Event]:
        """Decide, when the time has come. Applied already, or archived since, is nothing to do."""
        variant = self.variants.get(variant_id)
        if self.archived or variant is None:
            return []
        scheduled = variant.scheduled.get(schedule_id)
        if scheduled is None:
            return []
        price = Money(scheduled.to_minor, scheduled.currency)
        change = PriceChange(price, scheduled.channel, None, scheduled.reason)
        current = variant.prices.get(scheduled.channel)
        return [_changed(self.id, variant, change, current, scheduled.effective_at)]

    def publish(self, channel: str) -> list[Event]:
        """Decide. Published there already is nothing to do."""
        self._changeable()
        check_channel(channel)
        return [] if channel in self.channels else [ProductPublished(self.id, channel)]

    def unpublish(self, channel: str, reason: str | None) -> list[Event]:
        """Decide. Not published there is nothing to do."""
        self._existing()
        check_channel(channel)
        if channel not in self.channels:
            return []
        return [ProductUnpublished(self.id, channel, reason)]

    def archive(self, reason: str) -> list[Event]:
        """Decide: withdraw it everywhere, for good."""
        self._existing()
        if self.archived:
            return []
        if not reason.strip():
            raise InvalidValue("give a reason", path=["reason"])
        withdrawn = [ProductUnpublished(self.id, ch, reason) for ch in sorted(self.channels)]
        return [*withdrawn, ProductArchived(self.id, reason)]

    def evolve(self, event: Event) -> Product:
        """Fold. Never refuses: the event already happened."""
        match event:
            case ProductCreated():
                details = Details(event.title, event.description, event.category_id)
                return replace(self, slug=event.slug, details=details, created_at=event.at)
            case DetailsChanged():
                details = Details(event.title, event.description, event.category_id)
                return replace(self, details=details)
            case VariantAdded():
                return self._with(_added(event))
            case PriceChanged():
                return self._with(_priced(self.variants[event.variant_id], event))
            case PriceScheduled():
                variant = self.variants[event.variant_id]
                scheduled = {**variant.scheduled, event.schedule_id: event}
                return self._with(replace(variant, scheduled=scheduled))
            case ProductPublished():
                return replace(self, channels=self.channels | {event.channel})
            case ProductUnpublished():
                return replace(self, channels=self.channels - {event.channel})
            case ProductArchived():
                return replace(self, archived=True)
            case _:
                return self

    def _schedule(self, variant: Variant, change: PriceChange, schedule_id: str) -> list[Event]:
        if schedule_id in variant.scheduled:
            return []
        if len(variant.scheduled) >= SCHEDULED_MAX:
            raise InvalidValue(f"a variant has at most {SCHEDULED_MAX} prices to come")
        assert change.effective_at is not None
        return [
            PriceScheduled(
                self.id,
                variant.id,
                schedule_id,
                change.channel,
                change.price.minor,
                change.price.currency,
                change.effective_at,
                change.reason,
            )
        ]

    def _with(self, variant: Variant) -> Product:
        return replace(self, variants={**self.variants, variant.id: variant})

    def _variant(self, variant_id: str) -> Variant:
        try:
            return self.variants[variant_id]
        except KeyError:
            raise NotFound("ProductVariant", variant_id, path=["variantId"]) from None

    def _existing(self) -> None:
        if self.created_at is None:
            raise NotFound("Product", self.id, path=["id"])

    def _changeable(self) -> None:
        self._existing()
        if self.archived:
            raise Archived(self.id)


def _added(event: VariantAdded) -> Variant:
    return Variant(
        event.variant_id,
        event.sku,
        event.title,
        tuple(event.options),
        event.weight_grams,
        event.tax_class,
        {DEFAULT_CHANNEL: Money(event.price_minor, event.currency)},
    )


def _priced(variant: Variant, event: PriceChanged) -> Variant:
    """The variant with the price; what was scheduled for the channel until then is done with."""
    still = {
        key: scheduled
        for key, scheduled in variant.scheduled.items()
        if scheduled.channel != event.channel or scheduled.effective_at > event.effective_at
    }
    price = Money(event.to_minor, event.currency)
    return replace(variant, prices={**variant.prices, event.channel: price}, scheduled=still)


def _changed(
    product_id: str, variant: Variant, change: PriceChange, current: Money | None, at: datetime
) -> PriceChanged:
    return PriceChanged(
        product_id,
        variant.id,
        variant.sku,
        change.channel,
        current.minor if current else None,
        change.price.minor,
        change.price.currency,
        at,
        change.reason,
    )
