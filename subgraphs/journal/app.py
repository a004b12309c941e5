"""The journal service, put together. It has no settings; its feeds are the full ones."""

from __future__ import annotations

from projections import ReadModels
from subgraphs.journal.follower import TABLES, Follower
from subgraphs.journal.queries import SCHEMA
from subgraphs.journal.reads import JournalReads
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[JournalResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store([])
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
