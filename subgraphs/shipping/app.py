"""The shipping service, put together.

Settings, all optional:
    carrier                     a Carrier; "fake": one that acts by itself (default); "none"
    collected_in_seconds        when the fake carrier collects what is packed (0: at once)
    delivered_in_seconds        when it delivers after that (60)
    rates                       RateRow's that a new shop starts with
    timer_poll_seconds          how often timers are looked at (0.5)

Feeds it listens to: orders, users.
"""

from __future__ import annotations

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels, TimerRunner, Timers
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.shipping import copies, live
from subgraphs.shipping.carrier import Carrier, FakeCarrier, NoCarrier
from subgraphs.shipping.domain.fulfilment import Fulfilment
from subgraphs.shipping.domain.rates import RateTable
from subgraphs.shipping.domain.shipment import Shipment
from subgraphs.shipping.events import EVENTS
from subgraphs.shipping.handlers import ShippingHandlers
from subgraphs.shipping.mutations import SCHEMA
from subgraphs.shipping.planning import Planning
from subgraphs.shipping.rate_card import DEFAULT_RATES
from subgraphs.shipping.reactions import Bookings, CarrierTimers, CopyOrders, ShipmentRequests
from subgraphs.shipping.read_models import PROJECTIONS
from subgraphs.shipping.reads import ShippingReads
from subgraphs.shipping.schema import ShippingResources


def build(context: ServiceContext) -> Service[ShippingResources]:
    """Build the service; nothing is opened before it starts."""
    settings, clock = context.settings, context.clock
    store = context.event_store(EVENTS)
    streams, reads = Streams(store), ReadModels(context.conninfo, name=context.name)
    planning, timers = Planning(store, streams), Timers()
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    handlers = ShippingHandlers(store, streams, commands, planning)

    async def seed() -> None:
        await handlers.seed_rates(settings.get("rates", DEFAULT_RATES), clock())

    return Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=ShippingResources(handlers, ShippingReads(reads)),
        projections=PROJECTIONS,
        topics=live.topics,
        histories={"shp": History(Shipment), "ful": History(Fulfilment), "rat": History(RateTable)},
        reactors=[
            ShipmentRequests(planning, clock),
            Bookings(streams, chosen_carrier(context), timers, clock),
            CopyOrders(store, clock),
            Forgetting(store, clock),
        ],
        background=[
            TimerRunner(
                store,
                CarrierTimers(streams, timers, clock).fire,
                clock=clock,
                poll_seconds=float(settings.get("timer_poll_seconds", 0.5)),
            )
        ],
        tables=copies.TABLES,
        on_start=seed,
    )


def chosen_carrier(context: ServiceContext) -> Carrier:
    """The carrier of the settings. Raises ValueError for a name that no carrier has."""
    settings = context.settings
    chosen = settings.get("carrier", "fake")
    if not isinstance(chosen, str):
        carrier: Carrier = chosen
        return carrier
    match chosen:
        case "fake":
            return FakeCarrier(
                collected_in_seconds=float(settings.get("collected_in_seconds", 0.0)),
                delivered_in_seconds=float(settings.get("delivered_in_seconds", 60.0)),
            )
        case "none":
            return NoCarrier()
        case _:
            raise ValueError(f"carrier {chosen!r} is not known: choose 'fake' or 'none'")
