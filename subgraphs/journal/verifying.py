"""Verification of the services' logs, in the background: its result is an event of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from eventstore import ANY, Append, EventStore, EventStoreError
from eventstore.event import Metadata
from subgraphs.journal.events import LogVerified
from subgraphs.shared.log_audit import LogAudit, LogUnreachable, Verified

log = structlog.get_logger("subgraphs.journal")


class Verifications:
    """At most one of each log at a time. One that is cut off by the end of the process is gone:
    ask again.
    """

    def __init__(self, store: EventStore, audits: Mapping[str, LogAudit]) -> None:
        self._store, self._audits = store, audits
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}

    def begin(self, service: str, metadata: Metadata) -> None:
        """Verify the log of a service, for who is in `metadata`; nothing if that is under way."""
        if not self.under_way(service):
            work = self._verify(service, metadata)
            self._tasks[service] = asyncio.create_task(work, name=f"verify.{service}")

    def under_way(self, service: str) -> bool:
        """Whether the log is being verified."""
        task = self._tasks.get(service)
        return task is not None and not task.done()

    def problem(self, service: str) -> str | None:
        """Why the last try came to no result."""
        return self._problems.get(service)

    async def start(self) -> None:
        """Nothing goes on by itself."""

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks = {}

    async def _verify(self, service: str, metadata: Metadata) -> None:
        self._problems.pop(service, None)
        try:
            found = await self._audits[service].verify()
            await record_verified(self._store, service, found, metadata)
        except (LogUnreachable, EventStoreError) as error:
            self._problems[service] = str(error)
            log.warning("verification without result", service=service, reason=str(error))


async def record_verified(
    store: EventStore, service: str, found: Verified, metadata: Metadata
) -> None:
    """Append what was found to the journal's log. Raises what EventStore.append raises."""
    event = LogVerified(
        service=service,
        events=found.events,
        sealed=found.sealed,
        seals=found.seals,
        checkpoint=found.checkpoint,
        position=found.position,
        fault=found.fault,
    )
    await store.append(Append(f"log_{service}", [event], ANY), metadata=metadata)
