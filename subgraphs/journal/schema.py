"""The journal subgraph: every recorded event, and a stub of everything that has a history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import strawberry
from strawberry.scalars import JSON

from eventstore import EventStore, event
from eventstore.audit import EventHash
from subgraphs.journal.downloads import Downloads
from subgraphs.journal.exporting import Exports
from subgraphs.journal.follower import Follower
from subgraphs.journal.reads import BY_VERSION, OLDEST, JournalReads, Row
from subgraphs.journal.tail import Tail
from subgraphs.journal.verifying import Verifications
from subgraphs.shared import events
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands
from subgraphs.shared.errors import Forbidden
from subgraphs.shared.graphql import Connection, Node, RequestContext, field
from subgraphs.shared.ids import is_id
from subgraphs.shared.log_audit import LogAudit
from subgraphs.shared.paging import Page, read_page
from subgraphs.shared.reading import asked
from subgraphs.shared.refused import refusals_stream


@dataclass(frozen=True, slots=True)
class JournalResources:
    """What resolvers read through. `store` is the journal's own log."""

    reads: JournalReads
    follower: Follower
    tail: Tail
    store: EventStore
    audits: Mapping[str, LogAudit]
    verifications: Verifications
    exports: Exports
    downloads: Downloads
    commands: Commands
    new_id: Callable[[str], str]


Info = strawberry.Info[RequestContext[JournalResources], None]


@strawberry.enum
class ActorKind(Enum):
    USER = "user"
    STAFF = "staff"
    SERVICE = "service"
    PROCESS_MANAGER = "process_manager"
    SYSTEM_TIMER = "system_timer"
    PROVIDER_WEBHOOK = "provider"


@strawberry.type
class Actor:
    kind: ActorKind
    id: str = strawberry.field(description="The user's id, or the name of the service.")
    user: User | None
    service: str | None
    on_behalf_of: User | None
    ip: str | None


@strawberry.federation.type(keys=["id"], description="A fact, as a service's log holds it.")
class RecordedEvent(Node):
    service: str
    stream_id: strawberry.ID
    version: int
    position: str = strawberry.field(description="Its place in the service's log.")
    type: str
    schema_version: int
    data: JSON
    redacted_fields: list[str]
    unreadable: str | None = strawberry.field(
        description="Why personal values in it do not open, if so; they read “unreadable”."
    )
    actor: Actor
    reason: str | None
    command_id: strawberry.ID
    causation_id: strawberry.ID | None = strawberry.field(
        description="The event (or command) that led to it directly."
    )
    correlation_id: strawberry.ID = strawberry.field(description="The client's first intent.")
    occurred_at: datetime
    recorded_at: datetime
    cursor: str | None = strawberry.field(
        default=None, description="Of the live tail: what `after` takes to go on from here."
    )

    @field("Events of all services that it led to directly, oldest first.")
    async def consequences(self, info: Info) -> list[RecordedEvent]:
        require_auditor(info, of=str(self.id))
        loader = info.context.loader(info.context.resources.reads.consequences)
        return [RecordedEvent.of(info, row) for row in await loader.load(str(self.id)) or []]

    @field("The hash of its record in the log: the leaf (RFC 6962) that proofs are of.")
    async def hash(self, info: Info) -> str | None:
        found = await self._hashed(info)
        return None if found is None else found.hash

    @field("The number of the seal that covers it; null until it is sealed.")
    async def seal(self, info: Info) -> int | None:
        found = await self._hashed(info)
        return None if found is None else found.seal

    async def _hashed(self, info: Info) -> EventHash | None:
        loader = info.context.loader(_hashes(info))
        return await loader.load((self.service, str(self.id)))

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> RecordedEvent | None:  # noqa: A002
        if not is_auditor(info):
            return None
        info.context.reading.ask("RecordedEvent", {"id": id})
        return await load_event(info, str(id))

    @classmethod
    def of(cls, info: Info, row: Row) -> RecordedEvent:
        """From a row of the copied events; that it is shown is noted here."""
        info.context.reading.saw(_seen(row))
        return cls(
            id=strawberry.ID(str(row["id"])),
            service=row["service"],
            stream_id=strawberry.ID(row["stream"]),
            version=row["version"],
            position=f"{row['service']}:{row['position']}",
            type=row["type"],
            schema_version=row["type_version"],
            data=row["data"],
            redacted_fields=list(row["redacted"]),
            unreadable=row["unreadable"],
            actor=actor_of(row),
            reason=row["reason"] or _written(row["data"]),
            command_id=strawberry.ID(row["command_id"]),
            causation_id=_id(row["causation_id"]),
            correlation_id=strawberry.ID(row["correlation_id"]),
            occurred_at=row["occurred_at"],
            recorded_at=row["recorded_at"],
        )


@strawberry.type(description="A question that was put to the log.")
class AskedField:
    field: str = strawberry.field(description="Of the schema, or a command of `lonja log`.")
    of: str | None = strawberry.field(description="The thing whose field it is.")
    arguments: JSON


@strawberry.type(description="An auditor read events, in one request.")
class AuditRead(Node):
    service: str
    at: datetime
    reader: Actor
    asked: list[AskedField]
    events: int = strawberry.field(description="How many were shown.")
    persons: list[strawberry.ID] = strawberry.field(description="The users whom they tell of.")
    persons_unlisted: int

    @classmethod
    def of(cls, row: Row) -> AuditRead:
        """From a row of the copied events."""
        event = msgspec.convert(row["data"], events.AuditRead)
        return cls(
            id=strawberry.ID(str(row["id"])),
            service=row["service"],
            at=row["recorded_at"],
            reader=actor_of(row),
            asked=[
                AskedField(field=each.field, of=each.of or None, arguments=_read(each.arguments))
                for each in event.asked
            ],
            events=event.events,
            persons=[strawberry.ID(person) for person in event.persons],
            persons_unlisted=event.persons_unlisted,
        )


@strawberry.type
class Historic(Node):
    """Base of the stubs: an id and the events of its stream. Not a type of the schema itself."""

    @field("The events of its own stream, in order. For auditors, and for whom it is about.")
    async def history(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[RecordedEvent] | None:
        await require_history(info, str(self.id))
        page = read_page(first, after, BY_VERSION)
        loader = info.context.loader(_histories(info, page), variant=(first, after))
        rows = await loader.load(str(self.id)) or []
        if not is_auditor(info):
            rows = [_without_address(row, info.context.caller.user_id) for row in rows]
        return Connection[RecordedEvent].of(rows, page, BY_VERSION, partial(RecordedEvent.of, info))

    @field("Commands on it that were refused, and by whom they were given. For auditors.")
    async def refusals(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[RecordedEvent] | None:
        require_auditor(info, of=str(self.id))
        page = read_page(first, after, OLDEST)
        loader = info.context.loader(_histories(info, page), variant=("refusals", first, after))
        rows = await loader.load(refusals_stream(str(self.id))) or []
        return Connection[RecordedEvent].of(rows, page, OLDEST, partial(RecordedEvent.of, info))


@strawberry.federation.type(keys=["id"])
class User(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Product(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class ProductVariant(Node):
    pass


@strawberry.federation.type(keys=["id"])
class Category(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class StockItem(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Warehouse(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Reservation(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Cart(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Order(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Payment(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Shipment(Historic):
    pass


@strawberry.federation.type(keys=["id"])
class Notification(Historic):
    pass


STUBS: Mapping[str, type[Node]] = {
    "usr": User,
    "prd": Product,
    "var": ProductVariant,
    "cat": Category,
    "stk": StockItem,
    "whs": Warehouse,
    "rsv": Reservation,
    "crt": Cart,
    "ord": Order,
    "pay": Payment,
    "shp": Shipment,
    "ntf": Notification,
}
"""Types by the prefix of their ids."""


def is_auditor(info: Info) -> bool:
    """Whether the caller may read the log."""
    return info.context.caller.has(Role.AUDITOR)


def require_auditor(info: Info, *, of: str = "") -> None:
    """For each field that shows events; what is asked is noted. Raises Unauthenticated,
    Forbidden.
    """
    info.context.caller.require_role("read the log", Role.AUDITOR)
    asked(info, of=of)


async def require_history(info: Info, thing_id: str) -> None:
    """Auditors read every history; users their own, and that of their orders. Raises Forbidden."""
    asked(info, of=thing_id)
    if is_auditor(info):
        return
    user_id = info.context.caller.require_user()
    if thing_id == user_id:
        return
    if is_id(thing_id, "ord"):
        loader = info.context.loader(info.context.resources.reads.customers_of)
        if await loader.load(thing_id) == user_id:
            return
    raise Forbidden(f"read the history of {thing_id}", needs=[Role.AUDITOR.value])


async def load_event(info: Info, event_id: str) -> RecordedEvent | None:
    """One statement for all events that a request wants at the same time."""
    try:
        key = str(UUID(event_id))
    except ValueError:
        return None
    row = await info.context.loader(info.context.resources.reads.events).load(key)
    return None if row is None else RecordedEvent.of(info, row)


def _read(text: str) -> JSON:
    """Arguments; those that were cut off stay text."""
    try:
        return JSON(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return JSON(text)


def _seen(row: Row) -> bytes:
    """Everything of an event that may name a person."""
    return msgspec.json.encode(
        [row["stream"], row["actor_id"], row["on_behalf_of"], row["data"]], enc_hook=str
    )


def _without_address(row: Row, user_id: str | None) -> Row:
    """Where others acted from is for auditors: staff keep their addresses to themselves."""
    return row if row["actor_id"] == user_id else {**row, "ip": None}


def _written(data: Mapping[str, Any]) -> str | None:
    """The reason that an event itself has: somebody's words, or a code."""
    found = (data.get(name) for name in ("note", "reason"))
    return next((text for text in found if isinstance(text, str)), None)


def actor_of(row: Row) -> Actor:
    """Who acted, by a copied event."""
    who = event.Actor(row["actor_kind"], row["actor_id"], row["on_behalf_of"])
    return actor_named(who, ip=row["ip"])


def actor_named(who: event.Actor, *, ip: str | None = None) -> Actor:
    """Who acted, by the metadata of an event."""
    kind = ActorKind(who.kind)
    by_person = kind in (ActorKind.USER, ActorKind.STAFF)
    return Actor(
        kind=kind,
        id=who.id,
        user=User(id=strawberry.ID(who.id)) if by_person and is_id(who.id, "usr") else None,
        service=None if by_person else who.id,
        on_behalf_of=User(id=strawberry.ID(who.on_behalf_of)) if who.on_behalf_of else None,
        ip=ip,
    )


def _hashes(
    info: Info,
) -> Callable[[Sequence[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], EventHash]]]:
    """By service and event id, asked of the owners of the logs: one question for each."""
    audits = info.context.resources.audits

    async def load(events: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], EventHash]:
        asked: dict[str, list[UUID]] = {}
        for service, id_ in events:
            asked.setdefault(service, []).append(UUID(id_))
        answers = await asyncio.gather(*(audits[each].hashes(ids) for each, ids in asked.items()))
        return {
            (service, str(found.id)): found
            for service, answer in zip(asked, answers, strict=True)
            for found in answer
        }

    return load


def _histories(
    info: Info, page: Page
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, list[Row]]]]:
    reads = info.context.resources.reads

    async def load(streams: Sequence[str]) -> Mapping[str, list[Row]]:
        return await reads.histories(streams, page)

    return load


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)
