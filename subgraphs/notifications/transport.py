"""Where mail goes: an SMTP server, or a mailbox folder on this machine."""

from __future__ import annotations

import asyncio
import os
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

import aiosmtplib

SMTP_SECONDS_MAX = 20.0
SMTP_CONNECTIONS_MAX = 4


class DeliveryFailed(Exception):
    """Not this time: the same message may be taken later."""

    code = "DELIVERY_FAILED"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the mail was not taken: {reason}")


class AddressRefused(Exception):
    """Not ever: the receiving server does not know the address, or wants nothing from us."""

    code = "ADDRESS_REFUSED"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the address was refused: {reason}")


class Transport(Protocol):
    """Takes one mail. `name` is the same for every attempt at the same mail."""

    async def deliver(self, name: str, message: EmailMessage) -> None:
        """Raises DeliveryFailed, AddressRefused."""
        ...

    async def recall(self, notification_id: str) -> None:
        """Take back every mail of a notification, as far as that is in our hands."""
        ...


class SmtpTransport:
    """Hands mail to a server, over a connection a mail, a few at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str | None = None,
        password: str | None = None,
        starttls: bool = False,
    ) -> None:
        self._host, self._port = host, port
        self._user, self._password, self._starttls = user, password, starttls
        self._connections = asyncio.Semaphore(SMTP_CONNECTIONS_MAX)

    async def deliver(self, name: str, message: EmailMessage) -> None:
        """Send. 5xx for the recipient is for good, everything else is for now."""
        try:
            async with self._connections:
                await aiosmtplib.send(
                    message,
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    start_tls=self._starttls,
                    timeout=SMTP_SECONDS_MAX,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusals = error.recipients
            reason = "; ".join(f"{refused.code} {refused.message}" for refused in refusals)
            if all(refused.code >= 500 for refused in refusals):
                raise AddressRefused(reason) from error
            raise DeliveryFailed(reason) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}") from error

    async def recall(self, notification_id: str) -> None:
        """Nothing: what a server took is not ours any more."""


class MailboxTransport:
    """Puts mail into a Maildir folder, for machines without a mail server.

    A mail delivered again takes the place of itself: its file is named after it, and keeps that
    beginning whatever flags a reader adds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, name: str, message: EmailMessage) -> None:
        """Write the mail in a thread."""
        try:
            await asyncio.to_thread(self._write, name, message)
        except OSError as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}") from error

    def _write(self, name: str, message: EmailMessage) -> None:
        for part in ("tmp", "new", "cur"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        written = self._folder / "tmp" / name
        written.write_bytes(message.as_bytes(policy=SMTP))
        os.replace(written, self._folder / "new" / name)

    async def recall(self, notification_id: str) -> None:
        """Remove the files, read or not, in a thread. Raises OSError."""
        await asyncio.to_thread(self._remove, notification_id)

    def _remove(self, notification_id: str) -> None:
        for part in ("tmp", "new", "cur"):
            for written in (self._folder / part).glob(f"{notification_id}.*"):
                written.unlink(missing_ok=True)
