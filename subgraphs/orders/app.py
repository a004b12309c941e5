"""The orders service, put together.

Settings, all optional:
    cart_ttl_seconds                 how long a cart stays open; 30 days
    placement_deadline_seconds       until an order is confirmed or rejected; 30 minutes
    customer_deadline_seconds        for the customer at the bank; 10 minutes
    dispatch_deadline_seconds        until a planned shipment leaves; 7 days
    timer_poll_seconds               how often due timers are looked for; 0.5
    shipping_rates                   rates beside those that shipping publishes: a list of mappings
                                     with option_id, name, price_minor and optionally currency,
                                     country, weight_grams_max, carrier; collecting for nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels, TimerRunner
from subgraphs.orders import live
from subgraphs.orders.cart import Cart
from subgraphs.orders.cart_handlers import CartHandlers
from subgraphs.orders.cart_models import Carts, RefusedLines
from subgraphs.orders.catalogue import PICKUP, TABLES, Catalogue, Rate
from subgraphs.orders.events import ALL
from subgraphs.orders.freshness import Freshness
from subgraphs.orders.history import OrderHistory, plain
from subgraphs.orders.order import Order
from subgraphs.orders.order_handlers import OrderHandlers
from subgraphs.orders.order_models import OrderSummaries
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_requests import Policy
from subgraphs.orders.process import PlacementProcess
from subgraphs.orders.reactions import (
    CatalogueCopy,
    DueTimers,
    InventoryAnswers,
    PaymentAnswers,
    RatesCopy,
    ShippingAnswers,
)
from subgraphs.orders.reads import OrderReads
from subgraphs.orders.schema import SCHEMA
from subgraphs.orders.schema_common import OrdersResources
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext

CART_TTL_SECONDS = 30 * 24 * 3600


def build(context: ServiceContext) -> Service[OrdersResources]:
    """Build the service; nothing is opened before it starts.

    It follows the feeds of products, inventory, payments, shipping and users.
    """
    settings, clock = context.settings, context.clock
    store = context.event_store(ALL)
    streams, reads = Streams(store), ReadModels(context.conninfo)
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    process = PlacementProcess(store, streams, policy=_policy(settings), clock=clock)
    catalogue = Catalogue(reads, _rates(settings))

    async def wait_for(source: str, position: int, seconds: float) -> bool:
        return await service.reactor_runner.wait_for(source, position, seconds)

    freshness = Freshness(wait_for)
    due = DueTimers(store, streams, process, clock)
    reactors = [
        InventoryAnswers(process, clock),
        PaymentAnswers(process, clock),
        ShippingAnswers(process, clock),
        CatalogueCopy(store, clock),
        RatesCopy(store, clock),
        Forgetting(store, clock),
    ]
    service = Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=OrdersResources(
            carts=CartHandlers(
                commands,
                store,
                streams,
                catalogue,
                freshness,
                new_id=context.new_id,
                cart_ttl=timedelta(seconds=settings.get("cart_ttl_seconds", CART_TTL_SECONDS)),
            ),
            orders=OrderHandlers(
                commands,
                store,
                streams,
                process,
                catalogue,
                freshness,
                new_id=context.new_id,
            ),
            reads=OrderReads(reads),
            catalogue=catalogue,
            history=OrderHistory(store),
        ),
        projections=[Carts(), RefusedLines(), OrderSummaries()],
        topics=live.topics,
        histories={"ord": History(Order, plain), "crt": History(Cart), "plc": History(Placement)},
        reactors=reactors,
        background=[
            TimerRunner(
                store,
                due.fire,
                clock=clock,
                poll_seconds=settings.get("timer_poll_seconds", 0.5),
            )
        ],
        tables=TABLES,
    )
    return service


def _policy(settings: Mapping[str, Any]) -> Policy:
    names = ("placement_deadline", "customer_deadline", "dispatch_deadline")
    given = {
        name: timedelta(seconds=settings[f"{name}_seconds"])
        for name in names
        if f"{name}_seconds" in settings
    }
    return Policy(**given)


def _rates(settings: Mapping[str, Any]) -> list[Rate]:
    given = settings.get("shipping_rates")
    return [PICKUP] if given is None else [Rate(**row) for row in given]
