"""Notifications as they come, each for whom it is for."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry

from subgraphs.notifications.events import NotificationQueued
from subgraphs.notifications.schema import Info, Notification, visible_notification
from subgraphs.shared.changes import by_member
from subgraphs.shared.graphql import subscription

topics = by_member(NotificationQueued.TYPE, "user_id")


@strawberry.type
class Subscription:
    @subscription("One's own, when they are written: whether they arrive is not known yet.")
    async def notification_received(self, info: Info) -> AsyncGenerator[Notification, None]:
        user_id = info.context.caller.require_user()
        return info.context.follow(
            [user_id], lambda change: visible_notification(info, change.stream)
        )
