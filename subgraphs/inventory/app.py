"""The inventory service, put together.

Settings, all optional:
    low_stock_at                units available at which stock counts as low (5)
    timer_poll_seconds          how often reservations that are over are looked for (0.5)

Feeds it listens to: orders, products, shipping, users.
"""

from __future__ import annotations

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels, TimerRunner, Timers
from subgraphs.inventory import copies, guard, live, warehouses
from subgraphs.inventory.copies import Copies
from subgraphs.inventory.domain.reservation import Reservation
from subgraphs.inventory.domain.stock_item import StockItem
from subgraphs.inventory.domain.warehouse import Warehouse
from subgraphs.inventory.events import EVENTS
from subgraphs.inventory.guard import StockGuard
from subgraphs.inventory.handlers import StockHandlers
from subgraphs.inventory.mutations import SCHEMA
from subgraphs.inventory.reactions import (
    CopyOrders,
    CopyVariants,
    Dispatches,
    Expiry,
    ReservationRequests,
)
from subgraphs.inventory.read_models import PROJECTIONS
from subgraphs.inventory.reads import InventoryReads
from subgraphs.inventory.reserving import ReservationPolicy, Reserving
from subgraphs.inventory.schema import InventoryResources
from subgraphs.inventory.turns import Turns
from subgraphs.inventory.warehouses import WarehouseHandlers
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import READ_WAIT_SECONDS_MAX, Service, ServiceContext

LOW_STOCK_AT = 5


def build(context: ServiceContext) -> Service[InventoryResources]:
    """Build the service; nothing is opened before it starts."""
    settings, clock = context.settings, context.clock
    low_at = int(settings.get("low_stock_at", LOW_STOCK_AT))
    store = context.event_store(EVENTS)
    streams, reads = Streams(store), ReadModels(context.conninfo, name=context.name)
    stock_guard, turns = StockGuard(reads), Turns()
    reserving = Reserving(
        store,
        streams,
        stock_guard,
        Timers(),
        turns,
        clock=clock,
        policy=ReservationPolicy(low_at=low_at),
    )

    async def wait_for_products(position: int) -> None:
        await service.reactor_runner.wait_for(
            "products", position, READ_WAIT_SECONDS_MAX, names=[CopyVariants.name]
        )

    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    houses = WarehouseHandlers(streams, commands, new_id=context.new_id)
    stock = StockHandlers(
        store,
        commands,
        stock_guard,
        Copies(reads),
        turns,
        warehouses=houses,
        low_at=low_at,
        wait_for_products=wait_for_products,
    )
    service = Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=InventoryResources(stock, houses, InventoryReads(reads), low_at),
        projections=PROJECTIONS,
        topics=live.topics(InventoryReads(reads)),
        histories={
            "stk": History(StockItem),
            "rsv": History(Reservation),
            "whs": History(Warehouse),
        },
        reactors=[
            ReservationRequests(reserving, clock),
            Dispatches(reserving, clock),
            CopyOrders(store, clock),
            CopyVariants(store, clock),
            Forgetting(store, clock),
        ],
        background=[
            TimerRunner(
                store,
                Expiry(reserving, clock).fire,
                clock=clock,
                poll_seconds=float(settings.get("timer_poll_seconds", 0.5)),
            )
        ],
        tables=guard.TABLES + copies.TABLES + warehouses.TABLES,
        on_start=lambda: guard.rebuild_if_lost(store, reads, context.conninfo),
    )
    return service
