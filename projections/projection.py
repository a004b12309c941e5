"""What a projection is: event types, tables, and how an event changes their rows.

    class OrderSummaries(Projection):
        name, version, handles = "order_summaries", 1, (OrderPlaced, OrderConfirmed)
        tables = "CREATE TABLE order_summaries (id text PRIMARY KEY, status text NOT NULL)"

        def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None: ...

The engine owns the rest: following, batches, checkpoints, builds, parking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import psycopg
from eventsourcing.utils import get_topic

from eventstore.event import Event, Recorded
from projections.errors import InvalidProjection

Cursor = psycopg.Cursor[Any]

NAME_CHARACTERS_MAX = 48
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Projection:
    """Folds events into rows of its own tables. Deterministic: same events, same rows.

    `tables` is plain SQL with unqualified names, run once for each build in a schema of its own.
    Any change of `tables`, `handles` or `apply` that changes rows needs a higher `version`.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    handles: ClassVar[tuple[type[Any] | str, ...]] = ()
    """Event classes: of ours, or of an `eventsourcing` application (its topics will do as well)."""
    tables: ClassVar[str] = ""
    parallel: ClassVar[bool] = False
    """Whether events of different streams may be applied at the same time, by several workers: no
    row depends on the order between streams. Rows of several streams are then changed by sums."""
    bare: ClassVar[bool] = False
    """Whether `recorded.id` and `recorded.metadata` are never used: rebuilds do not read them then,
    and are faster by a third."""
    fold_sql: ClassVar[tuple[str, ...]] = ()
    """Statements that fold a whole relation `batch` (position, stream, version, id, type,
    recorded_at, tags, metadata, payload; the last two as json), for rebuilds at the speed of the
    database. Optional; each sees all of the batch, one after the other. They must leave what
    `apply` leaves. Old versions of payloads never get there: those batches go through `fold`. What
    is personal in a payload is sealed there: a projection that needs it has no `fold_sql`."""

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event; nothing else, for it may run again. Statements are
        pipelined: an error may show only later, and `rowcount` is not known at once.
        """
        raise NotImplementedError

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """Write the rows of a batch, in order. Override it to write by sets; it must leave what
        `apply` on each event leaves (`projections.testing` checks that). COPY is allowed here.
        """
        for recorded in batch:
            self.apply(recorded, cursor)

    def key(self, recorded: Recorded[Any]) -> str:
        """What is parked when an event fails: later events of the same key wait behind it."""
        return recorded.stream

    @property
    def folds(self) -> bool:
        """Whether it writes by sets."""
        return type(self).fold is not Projection.fold

    @property
    def types(self) -> frozenset[str]:
        """The names of the event types it handles."""
        return frozenset(map(type_name, self.handles))

    @property
    def shape(self) -> str:
        """A digest of the declared tables, blind to white space: it tells when they changed."""
        return hashlib.sha256(" ".join(self.tables.split()).encode()).hexdigest()


def type_name(handled: type[Any] | str) -> str:
    """The name that events of this class are stored under: the topic, for one of a library's
    aggregate. Empty if the class has none.
    """
    if isinstance(handled, str):
        return handled
    if issubclass(handled, Event):
        return handled.TYPE
    fields = {name for each in handled.__mro__ for name in getattr(each, "__annotations__", ())}
    return get_topic(handled) if {"originator_id", "originator_version"} <= fields else ""


def check(projection: Projection) -> None:
    """Raises InvalidProjection for a declaration that cannot be run."""
    name = projection.name or type(projection).__name__
    if not _NAME.match(projection.name) or len(projection.name) > NAME_CHARACTERS_MAX:
        raise InvalidProjection(
            name,
            f"a name is lower-case letters, digits and _, at most {NAME_CHARACTERS_MAX} characters",
        )
    if projection.version < 1:
        raise InvalidProjection(name, f"version {projection.version}: versions start at 1")
    if not projection.handles:
        raise InvalidProjection(name, "it declares no handled event types in `handles`")
    for handled in projection.handles:
        if not type_name(handled):
            named = getattr(handled, "__name__", repr(handled))
            raise InvalidProjection(name, f"{named} in `handles` has no type name: use @event_type")
    if not projection.tables.strip():
        raise InvalidProjection(name, "it declares no `tables`")
