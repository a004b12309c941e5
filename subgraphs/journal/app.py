"""The journal service, put together. Its feeds are the full ones.

Settings:
    exports_dir     where files of exports go; without it there are none
    exports_url     what clients reach the journal at; without it links to files are paths

Its own log is one of those that it copies: what auditors read is recorded there.
"""

from __future__ import annotations

from collections import ChainMap
from pathlib import Path
from typing import cast

from eventstore import Feed, LocalFeed, Streams
from eventstore.audit.as_of import History
from projections import ReadModels
from subgraphs.journal.downloads import Downloads
from subgraphs.journal.events import EVENTS
from subgraphs.journal.export import Export
from subgraphs.journal.exporting import Exports
from subgraphs.journal.follower import TABLES, Follower
from subgraphs.journal.queries import SCHEMA
from subgraphs.journal.reads import TABLES as READ_TABLES
from subgraphs.journal.reads import JournalReads
from subgraphs.journal.schema import JournalResources
from subgraphs.journal.tail import Tail
from subgraphs.journal.verifying import Verifications
from subgraphs.journal.withdrawing import WithdrawExports
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.log_audit import LogAudit
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[JournalResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store(EVENTS)
    models = ReadModels(context.conninfo)
    reads = JournalReads(models, store)
    own: dict[str, Feed] = {context.name: LocalFeed(store, public_only=False)}
    feeds = ChainMap(own, cast("dict[str, Feed]", context.feeds))  # filled until the start
    follower = Follower(context.conninfo, feeds, store)
    own_audit: dict[str, LogAudit] = {}
    audits = ChainMap(own_audit, cast("dict[str, LogAudit]", context.audits))
    verifications = Verifications(store, audits)
    folder = context.settings.get("exports_dir")
    exports = Exports(store, reads, audits, Path(folder) if folder else None, context.clock)
    downloads = Downloads(
        store,
        exports,
        secret=context.internal_secret,
        url=context.settings.get("exports_url", ""),
        clock=context.clock,
    )
    service = Service(
        context,
        store=store,
        reads=models,
        schema=SCHEMA,
        resources=JournalResources(
            reads,
            follower,
            Tail(follower, reads, store),
            store,
            audits,
            verifications,
            exports,
            downloads,
            Commands(store, Streams(store), name=context.name, secret=context.internal_secret),
            context.new_id,
        ),
        reactors=[Forgetting(store, context.clock), WithdrawExports(exports)],
        background=[follower, verifications, exports],
        routes=downloads.routes(),
        histories={"exp": History(Export)},
        tables=TABLES + READ_TABLES,
    )
    own_audit[context.name] = service.audit
    return service
