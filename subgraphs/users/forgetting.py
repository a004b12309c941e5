"""What is left to do in this service once a user is erased: nobody signs in as them any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from eventstore import Actor, Append, Effect, EventStore, Streams
from projections import Message
from subgraphs.shared.forgetting import AfterErasure, Erased, Shown
from subgraphs.users.domain import User
from subgraphs.users.events import EmailReleased, EmailReserved
from subgraphs.users.read_models import UserReads
from subgraphs.users.sessions import Session


class ForgetUser(AfterErasure):
    """Ends their sessions, removes the password, frees the address for whoever registers next, and
    tells the other services where that was not `eraseUser`'s doing.
    """

    name = "users.forgetting"

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        reads: UserReads,
        shown: Shown,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(shown)
        self._store, self._streams, self._reads = store, streams, reads
        self._clock = clock

    async def forget(self, erased: Erased, message: Message) -> None:
        """All in one append. Raises WrongExpectedVersion."""
        user_id = erased.subject
        user, version = await self._streams.load(User, user_id)
        forgotten = user.forgotten(erased.reason, message.recorded_at)
        appends = [Append(user_id, forgotten, version)] if forgotten else []
        for session_id in await self._reads.sessions_of(user_id):
            session, version = await self._streams.load(Session, session_id)
            if revoked := session.revoke("erased"):
                appends.append(Append(session_id, revoked, version))
        await self._store.append(
            [*appends, *await self._released(user_id)],
            metadata=message.caused(Actor("service", self._store.name), at=self._clock()),
            idempotency=message.idempotency,
            effects=[
                Effect("DELETE FROM public.user_credentials WHERE user_id = %s", (user_id,)),
            ],
        )

    async def _released(self, user_id: str) -> list[Append]:
        """Of the address, which nobody knows any more: its stream is found by the user's id."""
        found = await self._store.read(0, types=[EmailReserved.TYPE], tags=[user_id])
        appends = []
        for stream in {recorded.stream for recorded in found}:
            [last] = await self._store.read_stream(stream, limit=1, backwards=True)
            if isinstance(last.event, EmailReserved) and last.event.user_id == user_id:
                appends.append(Append(stream, [EmailReleased(user_id)], last.version))
        return appends
