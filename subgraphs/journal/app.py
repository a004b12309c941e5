"""The journal service, put together. It has no settings; its feeds are the full ones.

Its own log is one of those that it copies: what auditors read is recorded there.
"""

from __future__ import annotations

from collections import ChainMap
from typing import cast

from eventstore import Feed, LocalFeed
from projections import ReadModels
from subgraphs.journal.follower import TABLES, Follower
from subgraphs.journal.queries import SCHEMA
from subgraphs.journal.reads import TABLES as READ_TABLES
from subgraphs.journal.reads import JournalReads
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[JournalResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store([])
    reads = ReadModels(context.conninfo)
    own: dict[str, Feed] = {context.name: LocalFeed(store, public_only=False)}
    feeds = ChainMap(own, cast("dict[str, Feed]", context.feeds))  # filled until the start
    follower = Follower(context.conninfo, feeds, store)
    return Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=JournalResources(JournalReads(reads, store), follower, store),
        reactors=[Forgetting(store, context.clock)],
        background=[follower],
        tables=TABLES + READ_TABLES,
    )
