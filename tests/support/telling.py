"""A service that tells what a test wants to be told: a real log with a real feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from eventstore import Append, Event, EventStore, EventTypes, LocalFeed
from eventstore.event import Actor, Client, Metadata
from subgraphs.shared.ids import new_id
from tests.support.keys import KEYRING

AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Teller:
    """Appends events as its service would; `feed` is what others read."""

    store: EventStore
    feed: LocalFeed
    full_feed: LocalFeed

    async def tell(
        self,
        stream: str,
        *events: Event,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        actor: Actor | None = None,
        client: Client | None = None,
    ) -> int:
        """Append events to a stream; gives the position of the last."""
        command_id = new_id("cmd")
        metadata = Metadata(
            actor=actor or Actor("user", "usr_1"),
            command_id=command_id,
            correlation_id=correlation_id or command_id,
            causation_id=causation_id,
            occurred_at=AT,
            client=client,
        )
        appended = await self.store.append(Append(stream, events), metadata=metadata)
        return appended.position


@asynccontextmanager
async def telling(name: str, conninfo: str, *types: type[Event]) -> AsyncIterator[Teller]:
    """The log of service `name`, with events of these types."""
    async with EventStore(conninfo, EventTypes(types), name=name, keyring=KEYRING) as store:
        yield Teller(store, LocalFeed(store), LocalFeed(store, public_only=False))
