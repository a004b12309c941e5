"""The journal service, put together. It has no settings; its feeds are the full ones.

Its own log is one of those that it copies: what auditors read is recorded there.
"""

from __future__ import annotations

from collections import ChainMap
from typing import cast

from eventstore import Feed, LocalFeed
from projections import ReadModels
from subgraphs.journal.events import EVENTS
from subgraphs.journal.follower import TABLES, Follower
from subgraphs.journal.queries import SCHEMA
from subgraphs.journal.reads import TABLES as READ_TABLES
from subgraphs.journal.reads import JournalReads
from subgraphs.journal.schema import JournalResources
from subgraphs.journal.verifying import Verifications
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.log_audit import LogAudit
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[JournalResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store(EVENTS)
    reads = ReadModels(context.conninfo)
    own: dict[str, Feed] = {context.name: LocalFeed(store, public_only=False)}
    feeds = ChainMap(own, cast("dict[str, Feed]", context.feeds))  # filled until the start
    follower = Follower(context.conninfo, feeds, store)
    own_audit: dict[str, LogAudit] = {}
    audits = ChainMap(own_audit, cast("dict[str, LogAudit]", context.audits))
    verifications = Verifications(store, audits)
    service = Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=JournalResources(
            JournalReads(reads, store), follower, store, audits, verifications
        ),
        reactors=[Forgetting(store, context.clock)],
        background=[follower, verifications],
        tables=TABLES + READ_TABLES,
    )
    own_audit[context.name] = service.audit
    return service
