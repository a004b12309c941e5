"""What a reactor is: something that acts on messages of a feed, once each, and is never replayed.

    class ReserveStock(Reactor):
        name, source = "inventory.reservations", "orders"
        reads = {"placement.stock_requested": StockRequested}

        async def react(self, message: Message) -> None: ...

A message comes at least once. What makes its effect happen once is the effect's own transaction:
append with `message.idempotency`, and the store answers a second time with what it did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from eventstore.append import Idempotency
from eventstore.event import Actor, Metadata
from projections.errors import InvalidProjection


@dataclass(frozen=True, slots=True)
class Message:
    """An event of a feed, decoded by the consumer's own struct (`data`). `position`, `stream` and
    `version` are those of the source's log.
    """

    reactor: str
    source: str
    position: int
    id: UUID
    type: str
    stream: str
    version: int
    data: Any
    metadata: Metadata
    recorded_at: datetime

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this message to this reactor."""
        return f"{self.reactor}:{self.id}"

    @property
    def idempotency(self) -> Idempotency:
        """What to append the one effect of this message with."""
        return Idempotency(self.idempotency_key, b"")

    def step(self, name: str) -> Idempotency:
        """The same for a reaction of several appends: each step has a name of its own."""
        return Idempotency(f"{self.idempotency_key}:{name}", b"")

    def caused(
        self, actor: Actor, *, reason: str | None = None, at: datetime | None = None
    ) -> Metadata:
        """Metadata of what the reaction appends: same correlation, caused by this event."""
        return Metadata(
            actor=actor,
            command_id=self.idempotency_key,
            correlation_id=self.metadata.correlation_id,
            causation_id=str(self.id),
            reason=reason,
            occurred_at=datetime.now(UTC) if at is None else at,
            traceparent=self.metadata.traceparent,
        )


class Reactor:
    """Acts on what it `reads`: event type name to the struct its data are decoded with.

    `source` names a feed; an empty one is the service's own log, private events included. Messages
    of one stream come in order, of different streams at the same time. When `react` raises it is
    tried again, `attempts_max` times in all; then the stream is parked with the error.
    """

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = {}
    attempts_max: ClassVar[int] = 6
    backoff_seconds: ClassVar[float] = 0.05
    react_seconds_max: ClassVar[float] = 60.0
    concurrency_max: ClassVar[int] = 32

    async def react(self, message: Message) -> None:
        """Do what the message asks for. Raise to be called again later."""
        raise NotImplementedError


def check_reactor(reactor: Reactor) -> None:
    """Raises InvalidProjection for a declaration that cannot be run."""
    name = reactor.name or type(reactor).__name__
    if not reactor.name.strip():
        raise InvalidProjection(name, "a reactor needs a name: its checkpoint is kept under it")
    if not reactor.reads:
        raise InvalidProjection(name, "the reactor reads no event types")
    if reactor.attempts_max < 1 or reactor.concurrency_max < 1:
        raise InvalidProjection(name, "attempts_max and concurrency_max are at least 1")
