"""What is asked of notifications: by user, by order, and how many of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from eventstore import SubjectErased
from eventstore.event import ERASED, Recorded
from projections import Cursor, Projection, ReadModels
from subgraphs.notifications.events import (
    AttemptFailed,
    NotificationBounced,
    NotificationFailed,
    NotificationQueued,
    NotificationRequeued,
    NotificationSent,
    NotificationSuppressed,
)
from subgraphs.notifications.webhook_events import (
    WebhookCreated,
    WebhookDelivered,
    WebhookDeliveryFailed,
    WebhookDisabled,
)
from subgraphs.shared.paging import Keyset, Page

BY_NEWEST = Keyset("queued_at", "id", descending=True, cast="timestamptz")

WEBHOOKS_BY_NEWEST = Keyset("created_at", "id", descending=True, cast="timestamptz")

Row = Mapping[str, Any]


class Notifications(Projection):
    """One row per notification. An erasure leaves what events that are read after it would: so it
    does not matter which comes first, and streams stay independent.
    """

    name, version = "notifications", 2
    handles = (
        NotificationQueued,
        NotificationRequeued,
        AttemptFailed,
        NotificationSent,
        NotificationBounced,
        NotificationFailed,
        NotificationSuppressed,
        SubjectErased,
    )
    parallel = True
    tables = """
        CREATE TABLE notifications (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            channel text NOT NULL,
            template text NOT NULL,
            user_id text NOT NULL,
            order_id text,
            state text NOT NULL,
            attempts integer NOT NULL,
            caused_by text NOT NULL,
            shown jsonb NOT NULL,
            reason text,
            queued_at timestamptz NOT NULL,
            sent_at timestamptz
        );
        CREATE INDEX notifications_by_user ON notifications (user_id, queued_at DESC, id DESC);
        CREATE INDEX notifications_by_order ON notifications (order_id, queued_at);
        CREATE INDEX notifications_by_kind ON notifications (template, channel, state);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        event = recorded.event
        match event:
            case NotificationQueued():
                cursor.execute(
                    "INSERT INTO notifications (id, version, channel, template, user_id, order_id,"
                    " state, attempts, caused_by, shown, queued_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, 'QUEUED', 0, %s, %s, %s)",
                    (
                        event.notification_id,
                        recorded.version,
                        event.channel,
                        event.template,
                        event.user_id,
                        event.order_id,
                        event.caused_by,
                        Jsonb(event.values),
                        event.at,
                    ),
                )
            case NotificationRequeued():
                _set(cursor, recorded, "state = 'QUEUED', attempts = 0, reason = NULL")
            case AttemptFailed():
                _set(cursor, recorded, "attempts = %s, reason = %s", event.attempt, event.reason)
            case NotificationSent():
                _set(
                    cursor,
                    recorded,
                    "state = 'SENT', attempts = attempts + 1, reason = NULL, sent_at = %s",
                    event.at,
                )
            case NotificationBounced():
                _set(
                    cursor,
                    recorded,
                    "state = 'BOUNCED', attempts = attempts + 1, reason = %s",
                    event.reason,
                )
            case NotificationFailed():
                _set(
                    cursor,
                    recorded,
                    "state = 'FAILED', attempts = %s, reason = %s",
                    event.attempts,
                    event.reason,
                )
            case NotificationSuppressed():
                _set(cursor, recorded, "state = 'SUPPRESSED', reason = %s", event.reason)
            case SubjectErased():  # what mail servers say names addresses
                cursor.execute(
                    "UPDATE notifications SET reason = %s"
                    " WHERE user_id = %s AND reason IS NOT NULL AND state <> 'SUPPRESSED'",
                    (ERASED, event.subject),
                )


def _set(cursor: Cursor, recorded: Recorded[Any], assignments: str, *values: Any) -> None:
    cursor.execute(
        f"UPDATE notifications SET version = %s, {assignments} WHERE id = %s".encode(),
        (recorded.version, *values, recorded.event.notification_id),
    )


class Webhooks(Projection):
    """One row per webhook, with what became of its deliveries."""

    name, version = "webhooks", 1
    handles = (WebhookCreated, WebhookDisabled, WebhookDelivered, WebhookDeliveryFailed)
    tables = """
        CREATE TABLE webhooks (
            id text PRIMARY KEY,
            url text NOT NULL,
            event_types text[] NOT NULL,
            disabled boolean NOT NULL DEFAULT false,
            disabled_reason text,
            created_at timestamptz NOT NULL,
            delivered bigint NOT NULL DEFAULT 0,
            failed bigint NOT NULL DEFAULT 0
        )
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        match recorded.event:
            case WebhookCreated() as event:
                cursor.execute(
                    "INSERT INTO webhooks (id, url, event_types, created_at)"
                    " VALUES (%s, %s, %s, %s)",
                    (event.webhook_id, event.url, event.event_types, event.at),
                )
            case WebhookDisabled() as event:
                cursor.execute(
                    "UPDATE webhooks SET disabled = true, disabled_reason = %s WHERE id = %s",
                    (event.reason, event.webhook_id),
                )
            case WebhookDelivered() as event:
                cursor.execute(
                    "UPDATE webhooks SET delivered = delivered + 1 WHERE id = %s",
                    (event.webhook_id,),
                )
            case WebhookDeliveryFailed(retry_at=None) as event:
                cursor.execute(
                    "UPDATE webhooks SET failed = failed + 1 WHERE id = %s", (event.webhook_id,)
                )

    def key(self, recorded: Recorded[Any]) -> str:
        """Deliveries have streams of their own: what counts here is the webhook."""
        return str(recorded.event.webhook_id)


class NotificationReads:
    """Rows by key for loaders, and totals."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[str]) -> dict[str, Row]:
        """Notifications by id."""
        rows = await self._reads.fetch(
            "SELECT * FROM notifications WHERE id = ANY(%s)", (list(ids),)
        )
        return {row["id"]: row for row in rows}

    async def of_orders(self, order_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Notifications by order, oldest first."""
        rows = await self._reads.fetch(
            "SELECT * FROM notifications WHERE order_id = ANY(%s) ORDER BY queued_at, id",
            (list(order_ids),),
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["order_id"], []).append(row)
        return found

    async def of_users(self, user_ids: Sequence[str], page: Page) -> dict[str, list[Row]]:
        """The same page of each user's notifications, newest first."""
        rows = await self._reads.fetch(
            f"""
            SELECT found.* FROM unnest(%(user_ids)s::text[]) AS asked (id)
            CROSS JOIN LATERAL (
                SELECT * FROM notifications WHERE user_id = asked.id AND {page.condition}
                ORDER BY {page.order} LIMIT {page.limit}
            ) AS found
            """,
            {**page.params, "user_ids": list(user_ids)},
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append(row)
        return found

    async def mails_of(self, user_id: str) -> list[str]:
        """Ids of the mails to a user."""
        rows = await self._reads.fetch(
            "SELECT id FROM notifications WHERE user_id = %s AND channel = 'EMAIL'", (user_id,)
        )
        return [row["id"] for row in rows]

    async def totals(self) -> Sequence[Row]:
        """How many notifications there are of each template, channel and state."""
        return await self._reads.fetch(
            "SELECT template, channel, state, count(*) AS found,"
            " count(DISTINCT order_id) AS orders FROM notifications"
            " GROUP BY template, channel, state ORDER BY template, channel, state"
        )

    async def webhooks(self, page: Page) -> list[dict[str, Any]]:
        """Webhooks, newest first."""
        return await self._reads.fetch(
            f"SELECT * FROM webhooks WHERE {page.condition}"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            page.params,
        )
