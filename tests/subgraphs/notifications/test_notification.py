"""Notifications, given, when, then; what they say; where they go."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from eventstore.event import Event
from subgraphs.notifications.domain import (
    ATTEMPTS_MAX,
    Channel,
    Notification,
    NotResendable,
    Recipient,
)
from subgraphs.notifications.events import (
    AttemptFailed,
    NotificationBounced,
    NotificationFailed,
    NotificationQueued,
    NotificationRequeued,
    NotificationSent,
    NotificationSuppressed,
)
from subgraphs.notifications.render import mail, render
from subgraphs.notifications.transport import (
    AddressRefused,
    DeliveryFailed,
    MailboxTransport,
    SmtpTransport,
)
from subgraphs.shared.errors import NotFound
from tests.support.given import Given, given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = {"number": "1001", "total": "10.50 EUR"}
QUEUED = NotificationQueued(
    "ntf_1", "EMAIL", "order_confirmation", "usr_1", "ord_1", "evt_1", VALUES, NOW
)
SENT = NotificationSent("ntf_1", "EMAIL", "order_confirmation", "usr_1", "ord_1", NOW)


def notification(*events: Event) -> Given[Notification]:
    return given(Notification, "ntf_1", *events)


def queue(current: Notification, channel: Channel = Channel.EMAIL) -> list[Event]:
    return current.queue(
        channel,
        "order_confirmation",
        user_id="usr_1",
        order_id="ord_1",
        caused_by="evt_1",
        values=VALUES,
        now=NOW,
    )


def test_queue_once() -> None:
    notification().when(queue).then(QUEUED)
    notification(QUEUED).when(queue).then_nothing()


def test_an_in_app_message_is_delivered_by_being_there() -> None:
    events = queue(Notification("ntf_1"), Channel.IN_APP)
    assert [type(event) for event in events] == [NotificationQueued, NotificationSent]


def test_deliver_once() -> None:
    notification(QUEUED).when(lambda n: n.deliver(NOW)).then(SENT)
    notification(QUEUED, SENT).when(lambda n: n.deliver(NOW)).then_nothing()
    notification().when(lambda n: n.deliver(NOW)).then_nothing()


def test_failures_are_retried_at_longer_and_longer_intervals_then_given_up() -> None:
    events: list[Event] = [QUEUED]
    pauses = []
    for _ in range(ATTEMPTS_MAX - 1):
        (failed,) = notification(*events).state.fail("no answer", NOW)
        assert isinstance(failed, AttemptFailed)
        pauses.append((failed.retry_at - NOW) / timedelta(seconds=1))
        events.append(failed)
    assert pauses == [15, 30, 60, 120, 240, 480, 960]
    given_up = NotificationFailed("ntf_1", "usr_1", ATTEMPTS_MAX, "no answer")
    notification(*events).when(lambda n: n.fail("no answer", NOW)).then(given_up)
    notification(*events, given_up).when(lambda n: n.fail("again", NOW)).then_nothing()


def test_bounce_and_suppress() -> None:
    bounced = NotificationBounced("ntf_1", "usr_1", "550 unknown")
    notification(QUEUED).when(lambda n: n.bounce("550 unknown")).then(bounced)
    notification(QUEUED, bounced).when(lambda n: n.bounce("550")).then_nothing()
    suppressed = NotificationSuppressed("ntf_1", "usr_1", "forgotten")
    notification(QUEUED).when(lambda n: n.suppress("forgotten")).then(suppressed)
    notification(QUEUED, SENT).when(lambda n: n.suppress("forgotten")).then_nothing()


def test_resend_what_went_its_way() -> None:
    again = (
        notification(QUEUED, SENT)
        .when(lambda n: n.resend("usr_9"))
        .then(NotificationRequeued("ntf_1", "usr_9"))
    )
    assert (again.round, again.attempts) == (2, 0)
    assert again.deliver(NOW) == [SENT]
    notification(QUEUED).when(lambda n: n.resend("usr_9")).then_nothing()
    notification().when(lambda n: n.resend("usr_9")).then_raises(NotFound)
    suppressed = NotificationSuppressed("ntf_1", "usr_1", "forgotten")
    notification(QUEUED, suppressed).when(lambda n: n.resend("usr_9")).then_raises(
        NotResendable, "wants no mail"
    )
    in_app = queue(Notification("ntf_1"), Channel.IN_APP)
    notification(*in_app).when(lambda n: n.resend("usr_9")).then_raises(NotResendable, "no mail")


def written(name: str | None = "Ana <b>Núñez</b>") -> EmailMessage:
    recipient = Recipient("usr_1", "ana@example.com", name)
    return mail(notification(QUEUED).state, recipient, "shop@lonja.example")


def test_a_domain_of_other_letters_is_sent_in_ascii() -> None:
    recipient = Recipient("usr_1", "ana@bücher.example", "Ana")
    message = mail(notification(QUEUED).state, recipient, "shop@lonja.example")
    assert message["To"] == "Ana <ana@xn--bcher-kva.example>"


def test_the_mail_says_what_was_ordered_and_escapes_names() -> None:
    message = written()
    assert message["Subject"] == "Your order 1001 is confirmed"
    assert message["To"].addresses[0].addr_spec == "ana@example.com"
    assert message["Message-ID"] == "<ntf_1.1@lonja.example>"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Total: 10.50 EUR" in text.get_content()
    assert "Ana &lt;b&gt;" in html.get_content()


@pytest.mark.parametrize(
    "template", ["order_confirmation", "order_rejected", "order_cancelled", "order_completed"]
)
def test_every_template_has_a_subject_and_a_body(template: str) -> None:
    text = render(template, {**VALUES, "reason": "OUT_OF_STOCK"})
    assert "1001" in text.subject
    assert text.body.startswith("Hello,")


async def test_a_mailbox_holds_each_mail_once(tmp_path: Path) -> None:
    transport = MailboxTransport(tmp_path / "mailbox")
    for _ in range(2):
        await transport.deliver("ntf_1.1", written())
    (file,) = (tmp_path / "mailbox" / "new").iterdir()
    assert file.name == "ntf_1.1"
    assert b"Subject: Your order 1001 is confirmed\r\n" in file.read_bytes()
    assert not list((tmp_path / "mailbox" / "tmp").iterdir())


async def test_a_mailbox_that_cannot_be_written_is_a_failure_for_now(tmp_path: Path) -> None:
    (tmp_path / "mailbox").write_text("a file in the way")
    with pytest.raises(DeliveryFailed):
        await MailboxTransport(tmp_path / "mailbox").deliver("ntf_1.1", written())


class Server:
    """A mail server that takes, refuses for good, or refuses for now, by the address."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - the name is the library's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("unknown"):
            return "550 no such mailbox"
        if address.startswith("full"):
            return "452 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the name is the library's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.taken.append(envelope)
        return "250 OK"


async def test_smtp_tells_for_good_from_for_now() -> None:
    handler = Server()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = SmtpTransport("127.0.0.1", port)
    async with server:
        await transport.deliver("ntf_1.1", written(None))
        (envelope,) = handler.taken
        assert envelope.rcpt_tos == ["ana@example.com"]
        message = written(None)
        message.replace_header("To", "unknown@example.com")
        with pytest.raises(AddressRefused, match="550"):
            await transport.deliver("ntf_1.1", message)
        message.replace_header("To", "full@example.com")
        with pytest.raises(DeliveryFailed, match="452"):
            await transport.deliver("ntf_1.1", message)
    with pytest.raises(DeliveryFailed):
        await transport.deliver("ntf_1.1", written(None))
