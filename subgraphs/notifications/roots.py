"""The root fields of the notifications subgraph."""

from __future__ import annotations

from datetime import datetime

import strawberry

from subgraphs.notifications import domain
from subgraphs.notifications.delivery import delivery_timers
from subgraphs.notifications.domain import Channel, DeliveryState
from subgraphs.notifications.live import Subscription
from subgraphs.notifications.read_models import WEBHOOKS_BY_NEWEST, Row
from subgraphs.notifications.schema import (
    SEES_ALL,
    Info,
    Notification,
    NotificationTotal,
    Order,
    User,
    visible_notification,
)
from subgraphs.notifications.webhook import Webhook as WebhookState
from subgraphs.notifications.webhook import new_secret
from subgraphs.notifications.webhook_delivery import store_secret
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.errors import NotFound
from subgraphs.shared.graphql import (
    Connection,
    Receipt,
    UserError,
    build_schema,
    field,
    mutation,
)
from subgraphs.shared.ids import new_id
from subgraphs.shared.paging import read_page

WEBHOOK_ROLES = (Role.STAFF, Role.OPERATOR, Role.ADMIN)


@strawberry.type
class NotificationPayload:
    notification: Notification | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type(description="Somebody's server that is told of orders.")
class Webhook:
    id: strawberry.ID
    url: str
    event_types: list[str]
    disabled_reason: str | None
    created_at: datetime
    delivered: int
    failed: int = strawberry.field(description="Deliveries that were given up.")

    @classmethod
    def of(cls, row: Row) -> Webhook:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            url=row["url"],
            event_types=list(row["event_types"]),
            disabled_reason=row["disabled_reason"],
            created_at=row["created_at"],
            delivered=row["delivered"],
            failed=row["failed"],
        )


@strawberry.type
class WebhookPayload:
    webhook_id: strawberry.ID | None
    secret: str | None = strawberry.field(description="Shown this once: signatures are made of it.")
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Query:
    @strawberry.field
    async def notification(self, info: Info, id: strawberry.ID) -> Notification | None:  # noqa: A002
        info.context.caller.require_user()
        return await visible_notification(info, str(id))

    @field("How many there are of each kind. For staff.")
    async def notification_totals(self, info: Info) -> list[NotificationTotal]:
        info.context.caller.require_role("count notifications", *SEES_ALL)
        return [
            NotificationTotal(
                template=row["template"],
                channel=Channel(row["channel"]),
                state=DeliveryState(row["state"]),
                count=row["found"],
                orders=row["orders"],
            )
            for row in await info.context.resources.reads.totals()
        ]

    @field("Newest first. For staff.")
    async def webhooks(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[Webhook]:
        info.context.caller.require_role("see webhooks", *WEBHOOK_ROLES)
        page = read_page(first, after, WEBHOOKS_BY_NEWEST)
        rows = await info.context.resources.reads.webhooks(page)
        return Connection[Webhook].of(rows, page, WEBHOOKS_BY_NEWEST, Webhook.of)


@strawberry.type
class Mutation:
    @mutation("Send a mail once more: one's own, or any for staff.")
    async def resend_notification(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        idempotency_key: strawberry.ID,
    ) -> NotificationPayload:
        result = await attempt(_resend(info, str(id), str(idempotency_key)))
        if (done := result.value) is None:
            return NotificationPayload(
                notification=None, receipt=None, user_errors=result.user_errors
            )
        notification = Notification.written(done.state, done.receipt.version)
        return NotificationPayload(notification=notification, receipt=done.receipt, user_errors=[])

    @mutation("Tell a server of orders, signed as Standard Webhooks say. For staff.")
    async def create_webhook(self, info: Info, url: str, event_types: list[str]) -> WebhookPayload:
        context, resources = info.context, info.context.resources
        by = context.caller.require_role("create webhooks", *WEBHOOK_ROLES)
        webhook_id, secret = new_id("whk"), new_secret()
        result = await attempt(
            resources.commands.run(
                context,
                WebhookState,
                webhook_id,
                lambda webhook: webhook.create(
                    url, event_types, by=by, insecure=resources.insecure, now=context.clock()
                ),
                effects=lambda *_: [store_secret(webhook_id, secret)],
            )
        )
        if (done := result.value) is None:
            return WebhookPayload(
                webhook_id=None, secret=None, receipt=None, user_errors=result.user_errors
            )
        return WebhookPayload(
            webhook_id=strawberry.ID(webhook_id),
            secret=secret,
            receipt=done.receipt,
            user_errors=[],
        )

    @mutation("For staff.")
    async def disable_webhook(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        reason: str,
    ) -> WebhookPayload:
        context = info.context
        context.caller.require_role("disable webhooks", *WEBHOOK_ROLES)
        result = await attempt(
            context.resources.commands.run(
                context,
                WebhookState,
                str(id),
                lambda webhook: webhook.disable(reason),
                reason=reason,
            )
        )
        receipt = None if result.value is None else result.value.receipt
        return WebhookPayload(
            webhook_id=id, secret=None, receipt=receipt, user_errors=result.user_errors
        )


async def _resend(info: Info, notification_id: str, key: str) -> Done[domain.Notification]:
    """Raises NotFound also for what is somebody else's: they may not learn that it exists."""
    context, resources = info.context, info.context.resources
    by = context.caller.require_user()
    current, _ = await resources.streams.load(domain.Notification, notification_id)
    if current.queued is None or not context.caller.may_see(
        current.queued.user_id, Role.STAFF, Role.ADMIN
    ):
        raise NotFound("Notification", notification_id, path=["id"])
    return await resources.commands.run(
        context,
        domain.Notification,
        notification_id,
        lambda notification: notification.resend(by),
        operation="resendNotification",
        body=notification_id,
        idempotency_key=key,
        effects=lambda state, events: delivery_timers(state, events, context.clock()),
    )


SCHEMA = build_schema(
    operator="notifications",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Order, User],
)
