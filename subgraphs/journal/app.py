"""The journal service, put together. It has no settings; its feeds are the full ones."""

from __future__ import annotations

from eventstore import EventStore, EventTypes
from projections import ReadModels
from subgraphs.journal.follower import TABLES, Follower
from subgraphs.journal.queries import SCHEMA
from subgraphs.journal.reads import JournalReads
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.service import SERVICE_EVENTS, Service, ServiceContext


def build(context: ServiceContext) -> Service[JournalResources]:
    """Build the service; nothing is opened before it starts."""
    store = EventStore(context.conninfo, EventTypes(SERVICE_EVENTS), name=context.name)
    reads = ReadModels(context.conninfo)
    follower = Follower(context.conninfo, context.feeds)
    return Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=JournalResources(JournalReads(reads), follower),
        background=[follower],
        tables=TABLES,
    )
