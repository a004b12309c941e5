"""What users can do: register, give themselves addresses; and what administrators can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from eventstore import Append, Effect, EventStore, Streams, WrongExpectedVersion
from eventstore.event import Actor, Event, Metadata
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import VersionChanged
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.users.domain import (
    Address,
    EmailTaken,
    User,
    checked_email,
    checked_password,
    checked_reason,
)
from subgraphs.users.email_streams import EmailStreams
from subgraphs.users.events import EmailReserved
from subgraphs.users.orders_under_way import OrdersUnderWay
from subgraphs.users.passwords import Passwords

TABLES = """
CREATE TABLE IF NOT EXISTS public.user_credentials (
    user_id text PRIMARY KEY,
    password_hash text NOT NULL
);
"""
"""Hashes stay out of the log: a log is kept, and a hash must be forgettable."""

Context = RequestContext[Any]


@dataclass(frozen=True, slots=True)
class Registration:
    """What `registerUser` is given; the part of the body that a repeat must have in common."""

    email: str
    password: str
    display_name: str | None = None


def store_password(user_id: str, password_hash: str) -> Effect:
    """Write the hash in the transaction of an append."""
    return Effect(
        "INSERT INTO public.user_credentials VALUES (%s, %s) "
        "ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash",
        (user_id, password_hash),
    )


class UserHandlers:
    """Commands on users. Who may give them is decided here, so that no caller can forget it."""

    def __init__(
        self,
        commands: Commands,
        store: EventStore,
        streams: Streams,
        emails: EmailStreams,
        passwords: Passwords,
        orders: OrdersUnderWay,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._store, self._streams = commands, store, streams
        self._emails, self._passwords, self._orders = emails, passwords, orders
        self._new_id = new_id

    async def register(
        self,
        context: Context,
        registration: Registration,
        *,
        idempotency_key: str | None,
        roles: Sequence[Role] = (),
        reason: str = "",
    ) -> Done[User]:
        """Register a user, their address and password in one transaction.

        `roles` are granted at once, for the bootstrap administrator. Raises InvalidValue,
        EmailTaken, KeyReused.
        """
        operation = "registerUser"
        done = await self._commands.replayed(
            context,
            User,
            operation=operation,
            idempotency_key=idempotency_key,
            body=registration,
        )
        if done is not None:
            return done
        email = checked_email(registration.email)
        password = checked_password(registration.password)
        owner, version = await self._reservation(email)
        if owner is not None:
            raise EmailTaken(email)
        password_hash = await self._passwords.hash(password)
        user_id = self._new_id("usr")
        user = User.initial(user_id)
        events: list[Event] = user.register(email, registration.display_name, context.clock())
        for event in events:
            user = user.evolve(event)
        for role in roles:
            granted = user.grant(role, reason)
            events += granted
            for event in granted:
                user = user.evolve(event)
        try:
            return await self._commands.append(
                context,
                User,
                {user_id: user},
                [
                    Append(
                        self._emails.reservation(email),
                        [EmailReserved(user_id)],
                        version,
                        tags=(user_id,),
                    ),
                    Append(user_id, events, 0),
                ],
                operation=operation,
                idempotency_key=idempotency_key,
                body=registration,
                actor=registering(context, user_id),
                effects=[store_password(user_id, password_hash)],
            )
        except WrongExpectedVersion:
            raise EmailTaken(email) from None

    async def owner_of(self, email: str) -> str | None:
        """The id of the user who has this address, from the log itself."""
        return (await self._reservation(email))[0]

    async def _reservation(self, email: str) -> tuple[str | None, int]:
        """Who has this address, and the version of its stream: its last event decides."""
        latest = await self._store.read_stream(
            self._emails.reservation(email), limit=1, backwards=True
        )
        if not latest:
            return None, 0
        event = latest[0].event
        return event.user_id if isinstance(event, EmailReserved) else None, latest[0].version

    async def change_profile(
        self, context: Context, display_name: str | None, expected_version: int | None
    ) -> Done[User]:
        """Change what the caller is called."""
        return await self._run(
            context,
            context.caller.require_user(),
            lambda user: user.change_profile(display_name),
            expected_version=expected_version,
        )

    async def grant_role(
        self, context: Context, user_id: str, role: Role, reason: str, expected: int | None
    ) -> Done[User]:
        """Raises Forbidden for everybody but administrators."""
        context.caller.require_role("grant roles", Role.ADMIN)
        return await self._run(
            context,
            user_id,
            lambda user: user.grant(role, reason),
            expected_version=expected,
        )

    async def revoke_role(
        self, context: Context, user_id: str, role: Role, reason: str, expected: int | None
    ) -> Done[User]:
        """Raises Forbidden for everybody but administrators."""
        admin = context.caller.require_role("revoke roles", Role.ADMIN)
        return await self._run(
            context,
            user_id,
            lambda user: user.revoke(role, reason, by=admin),
            expected_version=expected,
        )

    async def add_address(
        self, context: Context, address: Address, *, make_default: bool
    ) -> Done[User]:
        """Give the caller one more address."""
        address_id = self._new_id("adr")
        return await self._run(
            context,
            context.caller.require_user(),
            lambda user: user.add_address(address_id, address, make_default=make_default),
        )

    async def change_address(
        self, context: Context, address_id: str, address: Address
    ) -> Done[User]:
        """Change one of the caller's addresses."""
        return await self._run(
            context,
            context.caller.require_user(),
            lambda user: user.change_address(address_id, address),
        )

    async def choose_default_address(self, context: Context, address_id: str) -> Done[User]:
        """Make one of the caller's addresses the default one."""
        return await self._run(
            context,
            context.caller.require_user(),
            lambda user: user.choose_default_address(address_id),
        )

    async def remove_address(self, context: Context, address_id: str) -> Done[User]:
        """Remove one of the caller's addresses."""
        return await self._run(
            context, context.caller.require_user(), lambda user: user.remove_address(address_id)
        )

    async def request_erasure(self, context: Context, user_id: str, reason: str) -> Done[User]:
        """Users ask for themselves; administrators for anybody. Raises Forbidden."""
        if context.caller.require_user() != user_id:
            context.caller.require_role("ask for the erasure of somebody else", Role.ADMIN)
        return await self._run(
            context,
            user_id,
            lambda user: user.request_erasure(reason, context.clock()),
        )

    async def erase(self, context: Context, user_id: str, reason: str) -> Done[User]:
        """Forget a user: what is personal of them reads "erased" from now on. Erased already is
        nothing to do.

        Raises Forbidden for everybody but administrators, NotFound, OrdersUnderWay, LastAdmin,
        VersionChanged.
        """
        admin = context.caller.require_role("erase users", Role.ADMIN)
        user, version = await self._streams.load(User, user_id)
        under_way = await self.orders_under_way(user_id)
        events = user.erase(reason, context.clock(), by=admin, under_way=under_way)
        metadata = context.metadata()
        try:
            appended = await self._store.persons.erase(
                user_id,
                reason=checked_reason(reason),
                metadata=metadata,
                appends=[Append(user_id, events, version)] if events else (),
            )
        except WrongExpectedVersion as error:
            raise VersionChanged(user_id, version, error.actual) from error
        user, version = await self._streams.load(User, user_id)
        receipt = self._commands.receipt(appended, user_id, metadata.command_id)
        receipt.version = version
        return Done(user_id, user, receipt)

    async def orders_under_way(self, user_id: str) -> Sequence[str]:
        """The numbers of a user's orders that have not ended."""
        return await self._orders.of(user_id)

    async def load(self, user_id: str) -> tuple[User, int]:
        """The user as the log has them now, and their version."""
        return await self._streams.load(User, user_id)

    async def bootstrap(self, context: Context, email: str, password: str) -> None:
        """Make the first administrator, if nobody has the address. Raises InvalidValue."""
        if await self.owner_of(checked_email(email)) is not None:
            return
        try:
            await self.register(
                context,
                Registration(email, password, "Administrator"),
                idempotency_key=None,
                roles=tuple(Role),
                reason="named in the bootstrap setting",
            )
        except EmailTaken:
            return

    async def _run(
        self,
        context: Context,
        user_id: str,
        decide: Callable[[User], Sequence[Event]],
        *,
        expected_version: int | None = None,
    ) -> Done[User]:
        return await self._commands.run(
            context, User, user_id, decide, expected_version=expected_version
        )


def acting(context: Context, user_id: str) -> Metadata:
    """Metadata of what a caller does who has just proved to be this user."""
    return msgspec.structs.replace(context.metadata(), actor=Actor("user", user_id))


def registering(context: Context, user_id: str) -> Actor:
    """Who makes a user: they themselves, unless somebody who has signed in does, or the service."""
    anonymous = context.service_actor is None and context.caller.user_id is None
    return Actor("user", user_id) if anonymous else context.actor
