"""The notifications service, put together.

Settings, all optional:
    smtp_host, smtp_port, smtp_user, smtp_password, smtp_starttls     a mail server
    mailbox_dir     without one: the Maildir folder that mail is put in (default: ./mailbox)
    sender          the address that mail comes from
    timer_poll_seconds      how often mail that is due is looked for
    webhooks_insecure       whether webhooks may be plain HTTP and on private networks
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels, Timer, TimerRunner
from projections.timers import POLL_SECONDS
from subgraphs.notifications import live
from subgraphs.notifications.delivery import Delivery
from subgraphs.notifications.domain import Notification, Recipient
from subgraphs.notifications.events import EVENTS
from subgraphs.notifications.forgetting import RecallMails
from subgraphs.notifications.post import Poster
from subgraphs.notifications.reactions import OrderNews, Recipients
from subgraphs.notifications.read_models import NotificationReads, Notifications, Webhooks
from subgraphs.notifications.roots import SCHEMA
from subgraphs.notifications.schema import NotificationsResources
from subgraphs.notifications.transport import MailboxTransport, SmtpTransport, Transport
from subgraphs.notifications.webhook import Webhook, WebhookDelivery
from subgraphs.notifications.webhook_delivery import STEP, TABLES, WebhookNews, WebhookPost
from subgraphs.notifications.webhook_events import WEBHOOK_EVENTS
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext


def build(context: ServiceContext) -> Service[NotificationsResources]:
    """Build the service; nothing is opened before it starts."""
    store = context.event_store([*EVENTS, *WEBHOOK_EVENTS])
    streams, reads = Streams(store), ReadModels(context.conninfo)
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    mails = transport(context.settings)
    delivery = Delivery(
        store,
        streams,
        mails,
        sender=context.settings.get("sender") or "shop@lonja.example",
        clock=context.clock,
    )
    insecure = bool(context.settings.get("webhooks_insecure", False))
    posts = WebhookPost(store, streams, reads, Poster(private_allowed=insecure), context.clock)

    async def fire(timer: Timer) -> None:
        await (posts if timer.step == STEP else delivery).fire(timer)

    async def shown(position: int, seconds: float) -> bool:
        return await service.runner.wait_for(position, timeout_seconds=seconds)

    notification_reads = NotificationReads(reads)
    service = Service(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=NotificationsResources(commands, streams, notification_reads, insecure),
        projections=[Notifications(), Webhooks()],
        topics=live.topics,
        histories={
            "ntf": History(Notification),
            "rcp": History(Recipient),
            "whk": History(Webhook),
            "whd": History(WebhookDelivery),
        },
        reactors=[
            Recipients(store, streams, context.clock),
            Forgetting(store, context.clock),
            RecallMails(notification_reads, mails, shown),
            OrderNews(store, streams, context.clock),
            WebhookNews(store, reads, context.clock),
        ],
        background=[
            TimerRunner(
                store,
                fire,
                clock=context.clock,
                poll_seconds=context.settings.get("timer_poll_seconds", POLL_SECONDS),
            )
        ],
        tables=TABLES,
    )
    return service


def transport(settings: Mapping[str, Any]) -> Transport:
    """The mail server of the settings, or else the mailbox folder."""
    if not settings.get("smtp_host"):
        return MailboxTransport(Path(settings.get("mailbox_dir", "mailbox")))
    return SmtpTransport(
        settings["smtp_host"],
        settings.get("smtp_port", 25),
        user=settings.get("smtp_user") or None,
        password=settings.get("smtp_password") or None,
        starttls=settings.get("smtp_starttls", False),
    )
