"""Taking back what was written to somebody who is erased."""

from __future__ import annotations

from projections import Message
from subgraphs.notifications.read_models import NotificationReads
from subgraphs.notifications.transport import Transport
from subgraphs.shared.forgetting import AfterErasure, Erased, Shown


class RecallMails(AfterErasure):
    """Removes the mails of a person, once all that were queued for them are known."""

    name = "notifications.recalls"

    def __init__(self, reads: NotificationReads, transport: Transport, shown: Shown) -> None:
        super().__init__(shown)
        self._reads, self._transport = reads, transport

    async def forget(self, erased: Erased, message: Message) -> None:
        """Removing twice is removing once. Raises OSError."""
        for notification_id in await self._reads.mails_of(erased.subject):
            await self._transport.recall(notification_id)
