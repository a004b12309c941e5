"""The notifications subgraph: what was told to whom, and whether it arrived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import strawberry

from eventstore import Streams
from subgraphs.notifications import domain
from subgraphs.notifications.domain import Channel, DeliveryState
from subgraphs.notifications.read_models import BY_NEWEST, NotificationReads, Row
from subgraphs.notifications.render import render
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands
from subgraphs.shared.graphql import (
    Connection,
    Node,
    RequestContext,
    field,
)
from subgraphs.shared.paging import Page, read_page

SEES_ALL = (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN)
"""Roles that see what was told to others."""


@dataclass(frozen=True, slots=True)
class NotificationsResources:
    """What resolvers write through and read through."""

    commands: Commands
    streams: Streams
    reads: NotificationReads
    insecure: bool = False
    """Whether webhooks may be plain HTTP and on private networks."""


Info = strawberry.Info[RequestContext[NotificationsResources], None]

ChannelEnum = strawberry.enum(Channel)
DeliveryStateEnum = strawberry.enum(DeliveryState)


@strawberry.federation.type(keys=["id"])
class Order:
    id: strawberry.ID

    @field("Oldest first; none for somebody else's order.")
    async def notifications(self, info: Info) -> list[Notification] | None:
        loader = info.context.loader(info.context.resources.reads.of_orders)
        rows = await loader.load(str(self.id)) or []
        caller = info.context.caller
        return [Notification.of(row) for row in rows if caller.may_see(row["user_id"], *SEES_ALL)]


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID

    @field("Newest first; none of somebody else.")
    async def notifications(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[Notification] | None:
        page = read_page(first, after, BY_NEWEST)
        if not info.context.caller.may_see(str(self.id), *SEES_ALL):
            return Connection[Notification].empty()
        loader = info.context.loader(_of_users(info, page), variant=(first, after))
        rows = await loader.load(str(self.id)) or []
        return Connection[Notification].of(rows, page, BY_NEWEST, Notification.of)


@strawberry.federation.type(keys=["id"])
class Notification(Node):
    version: int
    channel: Channel
    template: str
    subject: str
    text: str = strawberry.field(description="What it says, without the name of whom it is for.")
    recipient: User | None
    order: Order | None
    state: DeliveryState
    attempts: int
    reason: str | None = strawberry.field(description="Why it is not delivered.")
    caused_by: strawberry.ID = strawberry.field(description="The event that it tells of.")
    queued_at: datetime
    sent_at: datetime | None

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Notification | None:  # noqa: A002
        return await visible_notification(info, str(id))

    @classmethod
    def of(cls, row: Row) -> Notification:
        """From a row of the read model."""
        text = render(row["template"], row["shown"])
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            channel=Channel(row["channel"]),
            template=row["template"],
            subject=text.subject,
            text=text.body,
            recipient=User(id=strawberry.ID(row["user_id"])),
            order=None if row["order_id"] is None else Order(id=strawberry.ID(row["order_id"])),
            state=DeliveryState(row["state"]),
            attempts=row["attempts"],
            reason=row["reason"],
            caused_by=strawberry.ID(row["caused_by"]),
            queued_at=row["queued_at"],
            sent_at=row["sent_at"],
        )

    @classmethod
    def written(cls, state: domain.Notification, version: int) -> Notification:
        """From what a command has just left in the log: a queued notification."""
        assert state.queued is not None, f"{state.id} was never queued"
        queued = state.queued
        row = {
            "id": state.id,
            "version": version,
            "channel": queued.channel,
            "template": queued.template,
            "shown": queued.values,
            "user_id": queued.user_id,
            "order_id": queued.order_id,
            "state": state.state.value,
            "attempts": state.attempts,
            "reason": None,
            "caused_by": queued.caused_by,
            "queued_at": queued.at,
            "sent_at": state.sent_at,
        }
        return cls.of(row)


async def visible_notification(info: Info, notification_id: str) -> Notification | None:
    """The notification, if it is the caller's or they see all."""
    row = await info.context.loader(info.context.resources.reads.by_id).load(notification_id)
    if row is None or not info.context.caller.may_see(row["user_id"], *SEES_ALL):
        return None
    return Notification.of(row)


@strawberry.type
class NotificationTotal:
    template: str
    channel: Channel
    state: DeliveryState
    count: int
    orders: int = strawberry.field(description="How many different orders they are about.")


def _of_users(
    info: Info, page: Page
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, list[Row]]]]:
    reads = info.context.resources.reads

    async def load(user_ids: Sequence[str]) -> Mapping[str, list[Row]]:
        return await reads.of_users(user_ids, page)

    return load
