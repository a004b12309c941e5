"""Turn a template and its values into a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from pathlib import Path

from email_validator import validate_email
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from subgraphs.notifications.domain import Notification, Recipient

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    autoescape=lambda name: name is not None and name.endswith(".html"),
    keep_trailing_newline=True,
)


@dataclass(frozen=True, slots=True)
class Text:
    """The first line of a template is the subject; after a blank line comes the body."""

    subject: str
    body: str
    html: str | None = None


def render(template: str, values: Mapping[str, str], *, name: str | None = None) -> Text:
    """The text of a message to somebody of this name. Raises jinja2's errors: a bug of ours."""
    filled = {**values, "greeting": f"Dear {name}" if name else "Hello"}
    text = _ENVIRONMENT.get_template(f"{template}.txt").render(filled)
    subject, _, body = text.partition("\n")
    try:
        html = _ENVIRONMENT.get_template(f"{template}.html").render(filled)
    except TemplateNotFound:
        html = None
    return Text(subject.strip(), body.lstrip("\n"), html)


def mail(notification: Notification, recipient: Recipient, sender: str) -> EmailMessage:
    """The mail of a queued notification.

    Its Message-ID is made of the notification's id and round: a receiver that gets it twice, after
    a crash at the wrong moment, can tell.
    """
    queued = notification.queued
    assert queued is not None, f"{notification.id} was never queued"
    text = render(queued.template, queued.values, name=recipient.name)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = formataddr((recipient.name or "", _ascii(recipient.email)))
    message["Subject"] = text.subject
    message["Date"] = format_datetime(queued.at)
    message["Message-ID"] = f"<{notification.id}.{notification.round}@{sender.rpartition('@')[2]}>"
    message["X-Lonja-Notification"] = notification.id
    if queued.order_id is not None:
        message["X-Lonja-Order"] = queued.order_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.body)
    if text.html is not None:
        message.add_alternative(text.html, subtype="html")
    return message


def _ascii(email: str) -> str:
    """The address as a mail's header holds it: a domain of other letters in IDNA (RFC 5891)."""
    address = validate_email(email, check_deliverability=False).ascii_email
    return email if address is None else address
