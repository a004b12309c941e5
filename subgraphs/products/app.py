"""The products service, put together.

Settings, all optional:
    timer_poll_seconds      how often prices that are due are looked for
"""

from __future__ import annotations

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels
from projections.timers import POLL_SECONDS, TimerRunner
from subgraphs.products import live
from subgraphs.products.category import Category
from subgraphs.products.category_handlers import CategoryHandlers
from subgraphs.products.domain import Product
from subgraphs.products.events import EVENTS
from subgraphs.products.handlers import ProductHandlers
from subgraphs.products.keys import TABLES, CatalogueKeys
from subgraphs.products.mutations import SCHEMA
from subgraphs.products.price_handlers import PriceHandlers
from subgraphs.products.read_models import EXTENSIONS, Catalogue, Categories
from subgraphs.products.reads import CatalogueReads
from subgraphs.products.schedule import PriceSchedule
from subgraphs.products.schema import ProductsResources
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[ProductsResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store(EVENTS)
    streams, reads = Streams(store), ReadModels(context.conninfo)
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    keys = CatalogueKeys(reads)
    resources = ProductsResources(
        ProductHandlers(commands, keys, context.new_id),
        PriceHandlers(commands, streams, keys, context.new_id),
        CategoryHandlers(commands, streams, context.new_id),
        CatalogueReads(reads),
    )
    schedule = PriceSchedule(streams, context.name, context.clock)
    return Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=resources,
        projections=[Catalogue(), Categories()],
        topics=live.topics,
        histories={"prd": History(Product), "cat": History(Category)},
        reactors=[Forgetting(store, context.clock)],
        background=[
            TimerRunner(
                store,
                schedule.fire,
                clock=context.clock,
                poll_seconds=context.settings.get("timer_poll_seconds", POLL_SECONDS),
            )
        ],
        tables=EXTENSIONS + TABLES,
    )
