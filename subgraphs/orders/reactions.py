"""What orders does when other services speak, and when its own timers come due.

The answers to a placement's requests go to the placement process; what products and shipping say of
prices goes into the local copies. A reactor is never replayed; its inbox makes each effect happen
once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from eventstore import Actor, Effect, EventStore, Metadata, Streams
from projections import Message, Reactor, Timer
from subgraphs.orders import answers
from subgraphs.orders.cart import Cart, Offer
from subgraphs.orders.catalogue import Rate, keep_price, keep_publication, keep_rate, keep_variant
from subgraphs.orders.process import PlacementProcess

MANAGER = Actor("process_manager", "orders.placement")
COPYIST = Actor("service", "orders.catalogue")
CART_EXPIRY = "EXPIRY"
DEFAULT_CHANNEL = "default"
"""The place of sale whose prices and publications count here."""

Clock = Callable[[], datetime]


class PlacementAnswers(Reactor):
    """Hands the answers of one service to the placements they are for."""

    def __init__(self, process: PlacementProcess, clock: Clock) -> None:
        self._process, self._clock = process, clock

    async def react(self, message: Message) -> None:
        """One answer, one append; an answer that changes nothing leaves no trace."""
        await self._process.tell(
            message.data.order_id,
            message.data,
            metadata=message.caused(MANAGER, at=self._clock()),
            idempotency=message.idempotency,
        )


class InventoryAnswers(PlacementAnswers):
    name, source = "orders.inventory", "inventory"
    reads = {  # noqa: RUF012
        "reservation.held": answers.ReservationHeld,
        "reservation.rejected": answers.ReservationRejected,
        "reservation.committed": answers.ReservationCommitted,
        "reservation.released": answers.ReservationReleased,
        "reservation.expired": answers.ReservationExpired,
    }


class PaymentAnswers(PlacementAnswers):
    name, source = "orders.payments", "payments"
    reads = {  # noqa: RUF012
        "payment.authorized": answers.Authorized,
        "payment.declined": answers.Declined,
        "payment.outcome_unknown": answers.OutcomeUnknown,
        "payment.action_required": answers.ActionRequired,
        "payment.captured": answers.Captured,
        "payment.capture_failed": answers.CaptureFailed,
        "payment.voided": answers.Voided,
        "payment.void_failed": answers.VoidFailed,
    }


class ShippingAnswers(PlacementAnswers):
    name, source = "orders.shipping", "shipping"
    reads = {  # noqa: RUF012
        "shipment.planned": answers.Planned,
        "shipment.dispatched": answers.Dispatched,
        "shipment.cancelled": answers.Cancelled,
    }


class VariantAdded(msgspec.Struct, frozen=True):
    product_id: str
    variant_id: str
    sku: str
    title: str
    price_minor: int
    currency: str
    weight_grams: int | None = None


class PriceChanged(msgspec.Struct, frozen=True):
    variant_id: str
    to_minor: int
    currency: str
    channel: str = DEFAULT_CHANNEL


class Published(msgspec.Struct, frozen=True):
    product_id: str
    channel: str = DEFAULT_CHANNEL


class Unpublished(msgspec.Struct, frozen=True):
    product_id: str
    channel: str = DEFAULT_CHANNEL


class Archived(msgspec.Struct, frozen=True):
    product_id: str


class RateSet(msgspec.Struct, frozen=True):
    option_id: str
    name: str
    price_minor: int
    currency: str | None = None
    country: str | None = None
    weight_grams_max: int | None = None
    carrier: str = ""


class _Copying(Reactor):
    """Keeps a row of what a message says."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """The row and the inbox entry in one append of no events."""
        effect = self.row(message.data)
        if effect is None:
            return
        await self._store.append(
            (),
            metadata=message.caused(COPYIST, at=self._clock()),
            idempotency=message.idempotency,
            effects=[effect],
        )

    def row(self, said: object) -> Effect | None:
        """The row; None for what does not concern this service."""
        raise NotImplementedError


class CatalogueCopy(_Copying):
    name, source = "orders.catalogue", "products"
    reads = {  # noqa: RUF012
        "product.variant_added": VariantAdded,
        "variant.price_changed": PriceChanged,
        "product.published": Published,
        "product.unpublished": Unpublished,
        "product.archived": Archived,
    }

    def row(self, said: object) -> Effect | None:
        match said:
            case VariantAdded():
                return keep_variant(said.product_id, _offer(said))
            case PriceChanged(channel="default"):
                return keep_price(said.variant_id, said.to_minor, said.currency)
            case Published(product_id=product, channel="default"):
                return keep_publication(product, published=True)
            case Unpublished(product_id=product, channel="default") | Archived(product_id=product):
                return keep_publication(product, published=False)
            case _:
                return None


class RatesCopy(_Copying):
    name, source = "orders.shipping_rates", "shipping"
    reads = {"shipping.rate_set": RateSet}  # noqa: RUF012

    def row(self, said: object) -> Effect | None:
        assert isinstance(said, RateSet)
        return keep_rate(
            Rate(
                said.option_id,
                said.name,
                said.price_minor,
                said.currency,
                said.country,
                said.weight_grams_max,
                said.carrier,
            )
        )


class DueTimers:
    """Fires the timers of placements (`plc_…`) and of carts (`crt_…`)."""

    def __init__(
        self, store: EventStore, streams: Streams, process: PlacementProcess, clock: Clock
    ) -> None:
        self._store, self._streams = store, streams
        self._process, self._clock = process, clock

    async def fire(self, timer: Timer) -> None:
        """A timer is a message like any other: ignored if the step moved on."""
        kind, _, rest = timer.stream.partition("_")
        metadata = self._metadata(timer, kind)
        if kind == "crt":
            await self._streams.execute(
                Cart,
                timer.stream,
                lambda cart: cart.expire(now=self._clock()),
                metadata=metadata,
            )
            return
        await self._process.tell(
            f"ord_{rest}",
            answers.TimerFired(timer.step, timer.token),
            metadata=metadata,
            idempotency=timer.idempotency,
        )

    def _metadata(self, timer: Timer, kind: str) -> Metadata:
        command = timer.idempotency.key
        what = "orders.carts" if kind == "crt" else "orders.placement"
        return Metadata(
            actor=Actor("system_timer", what),
            command_id=command,
            correlation_id=timer.data.decode() or command,
            occurred_at=self._clock(),
        )


def _offer(said: VariantAdded) -> Offer:
    return Offer(
        variant_id=said.variant_id,
        sku=said.sku,
        title=said.title,
        price_minor=said.price_minor,
        currency=said.currency,
        weight_grams=said.weight_grams or 0,
        published=False,
    )
