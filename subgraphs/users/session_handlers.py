"""Sign in, stay in, sign out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakValueDictionary

from eventstore import NO_STREAM, Append, EventStore, Streams
from eventstore.event import Event
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue
from subgraphs.users.domain import User, checked_email, checked_password
from subgraphs.users.email_streams import EmailStreams
from subgraphs.users.events import SessionRevoked, SessionStarted, SignedIn
from subgraphs.users.failure_limit import FailureLimit
from subgraphs.users.handlers import Context, UserHandlers, acting, store_password
from subgraphs.users.passwords import Passwords
from subgraphs.users.read_models import UserReads
from subgraphs.users.sessions import RefreshToken, Session, SessionOver
from subgraphs.users.sign_in import SignInGuard, SignInPolicy, SignInRefused
from subgraphs.users.tokens import AccessToken, SigningKeys

RECENT_EVENTS = 200
"""Sign-ins and failures of an address that the read model of sessions is never behind by."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What a client gets when it signs in or refreshes. `version` is the user's."""

    user: User
    version: int
    access: AccessToken
    refresh_token: str


@dataclass(frozen=True, slots=True)
class TokenLifetimes:
    access_seconds: int = 600
    session_seconds: int = 30 * 24 * 3600


class SessionHandlers:
    """Commands on sessions. Guesses are counted per address (in the log) and per client address."""

    def __init__(
        self,
        commands: Commands,
        store: EventStore,
        streams: Streams,
        users: UserHandlers,
        reads: UserReads,
        emails: EmailStreams,
        passwords: Passwords,
        keys: SigningKeys,
        *,
        policy: SignInPolicy,
        lifetimes: TokenLifetimes,
        limit: FailureLimit,
        new_id: Callable[[str], str],
    ) -> None:
        self._commands, self._store, self._streams = commands, store, streams
        self._users, self._reads, self._emails = users, reads, emails
        self._passwords, self._keys = passwords, keys
        self._policy, self._lifetimes, self._limit = policy, lifetimes, limit
        self._new_id = new_id
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def sign_in(self, context: Context, email: str, password: str) -> OpenSession:
        """Start a session. Raises SignInRefused, SignInBlocked.

        Attempts on one address go one after the other, so that many at once are no more guesses.
        """
        self._limit.check(context.headers.get("x-client-ip"), context.clock())
        try:
            address = checked_email(email)
        except InvalidValue:
            raise SignInRefused from None
        user_id, better_hash = await self._proved(context, address, password)
        now = context.clock()
        session_id = self._new_id("ses")
        token = RefreshToken.new(session_id)
        expires_at = now + timedelta(seconds=self._lifetimes.session_seconds)
        await self._store.append(
            [
                Append(self._emails.attempts(address), [SignedIn(user_id, session_id, now)]),
                Append(
                    session_id,
                    [SessionStarted(session_id, user_id, token.hash, expires_at)],
                    NO_STREAM,
                ),
            ],
            metadata=acting(context, user_id),
            effects=[store_password(user_id, better_hash)] if better_hash else (),
        )
        return await self._open(context, user_id, token)

    async def change_password(self, context: Context, current: str, new: str) -> Done[User]:
        """Change the caller's password, and end their other sessions.

        Raises Unauthenticated, SignInRefused, SignInBlocked, InvalidValue.
        """
        user_id = context.caller.require_user()
        checked_password(new, ["newPassword"])
        self._limit.check(context.headers.get("x-client-ip"), context.clock())
        user, _ = await self._users.load(user_id)
        await self._proved(context, user.email, current)
        password_hash = await self._passwords.hash(new)
        done = await self._commands.run(
            context,
            User,
            user_id,
            lambda user: user.change_password(),
            effects=lambda *_: [store_password(user_id, password_hash)],
        )
        others = await self._sessions_of(user_id, user.email) - {context.caller.session_id}
        await self._revoke(context, others, "password_changed")
        return done

    async def _proved(self, context: Context, email: str, password: str) -> tuple[str, str | None]:
        """The user's id, and a hash to store instead of the old one if its costs have changed.

        Raises SignInRefused, SignInBlocked; failures are counted.
        """
        lock = self._locks.setdefault(email.lower(), asyncio.Lock())
        async with lock:
            now = context.clock()
            latest = await self._store.read_stream(
                self._emails.attempts(email), limit=self._policy.events_read_max, backwards=True
            )
            guard = SignInGuard.of(recorded.event for recorded in reversed(latest))
            guard.check(now)
            user_id = await self._users.owner_of(email)
            stored = await self._reads.password_hash(user_id) if user_id else None
            right, better_hash = await self._passwords.verify(password, stored)
            if user_id is not None and right:
                return user_id, better_hash
            self._limit.failed(context.headers.get("x-client-ip"), now)
            reason = "wrong_password" if user_id else "unknown_email"
            failures = guard.fail(self._policy, reason=reason, user_id=user_id, now=now)
            await self._store.append(
                Append(self._emails.attempts(email), failures),
                metadata=context.metadata(on_behalf_of=user_id),
            )
            raise SignInRefused

    async def refresh(self, context: Context, text: str) -> OpenSession:
        """Exchange a refresh token for new tokens, once. Raises SessionOver.

        A token that comes a second time ends the session for whoever else has it.
        """
        token = RefreshToken.read(text)
        new = RefreshToken.new(token.session_id)
        now = context.clock()
        decided: list[Event] = []

        def decide(session: Session) -> list[Event]:
            decided[:] = session.refresh(token, new, now)
            return decided

        session, _ = await self._streams.load(Session, token.session_id)
        if session.user_id is None:
            raise SessionOver("unknown token")
        user, _ = await self._users.load(session.user_id)
        if user.erased_at is not None:
            raise SessionOver("erased")
        await self._streams.execute(
            Session, token.session_id, decide, metadata=acting(context, session.user_id)
        )
        if any(isinstance(event, SessionRevoked) for event in decided):
            raise SessionOver("the token was used before")
        return await self._open(context, session.user_id, new)

    async def sign_out(self, context: Context, *, all_devices: bool) -> tuple[User, int]:
        """End the caller's session, or all of them. Raises Unauthenticated."""
        user_id = context.caller.require_user()
        ids: list[str] = []
        if context.caller.session_id is not None:
            ids = [context.caller.session_id]
        if all_devices:
            user, _ = await self._users.load(user_id)
            ids = list({*ids, *await self._sessions_of(user_id, user.email)})
        reason = "signed_out_everywhere" if all_devices else "signed_out"
        await self._revoke(context, ids, reason)
        return await self._users.load(user_id)

    async def _sessions_of(self, user_id: str, email: str) -> set[str]:
        """The user's sessions: those of the read model, and the latest of the log, which it may not
        show yet.
        """
        latest = await self._store.read_stream(
            self._emails.attempts(email), limit=RECENT_EVENTS, backwards=True
        )
        recent = {
            recorded.event.session_id
            for recorded in latest
            if isinstance(recorded.event, SignedIn) and recorded.event.user_id == user_id
        }
        return recent | set(await self._reads.sessions_of(user_id))

    async def _revoke(self, context: Context, ids: Iterable[str], reason: str) -> None:
        for session_id in sorted(ids):
            await self._streams.execute(
                Session,
                session_id,
                lambda session: session.revoke(reason),
                metadata=context.metadata(),
            )

    async def _open(self, context: Context, user_id: str, token: RefreshToken) -> OpenSession:
        user, version = await self._users.load(user_id)
        access = self._keys.sign(
            user_id=user_id,
            roles=user.roles,
            session_id=token.session_id,
            now=context.clock(),
            lifetime=timedelta(seconds=self._lifetimes.access_seconds),
        )
        return OpenSession(user, version, access, token.text)
