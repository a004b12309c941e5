"""The persons of whom a log tells: forgetting them, and the keys that seal what tells of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from eventstore.append import Append, Appended
from eventstore.errors import NoKeyring, Unreadable, WrongExpectedVersion
from eventstore.event import Metadata
from eventstore.privacy.erasing import erased_before, erasure
from eventstore.privacy.erasure import subject_stream
from eventstore.privacy.privacy import Note, Sealing
from eventstore.privacy.subject_keys import Keys

if TYPE_CHECKING:
    from eventstore.store import EventStore


class Persons:
    """`EventStore.persons`. Coroutines and threads may use it at once, as the store."""

    def __init__(self, store: EventStore) -> None:
        self._store, self._privacy = store, store.privacy

    async def erase(
        self, subject: str, *, reason: str, metadata: Metadata, appends: Sequence[Append] = ()
    ) -> Appended:
        """Forget a person: destroy their key and append `subject.erased` and `appends`, in one
        transaction. Whoever was erased before is not again: `replayed` says so.

        States that `Streams` keep in memory are dropped, in other processes as soon as they hear of
        it. Raises InvalidAppend for events that tell of the subject, and what `append` raises.
        """
        request = erasure(
            self._store.layout,
            await self.sealing(appends, metadata),
            subject,
            reason=reason,
            metadata=metadata,
            appends=appends,
            new_id=self._store.new_id,
        )
        try:
            erased = await self._store.submit(request)
        except WrongExpectedVersion as error:
            if error.stream != subject_stream(subject):
                raise
            return await self._store.reading(
                lambda c: erased_before(c, self._store.layout, subject)
            )
        await self._store.reading(self._notice_erasures)
        return erased

    def erase_sync(
        self, subject: str, *, reason: str, metadata: Metadata, appends: Sequence[Append] = ()
    ) -> Appended:
        """`erase` for threads."""
        request = erasure(
            self._store.layout,
            self.sealing_sync(appends, metadata),
            subject,
            reason=reason,
            metadata=metadata,
            appends=appends,
            new_id=self._store.new_id,
        )
        try:
            erased = self._store.submit_sync(request)
        except WrongExpectedVersion as error:
            if error.stream != subject_stream(subject):
                raise
            return self._store.reading_sync(lambda c: erased_before(c, self._store.layout, subject))
        self._store.reading_sync(self._notice_erasures)
        return erased

    def _notice_erasures(self, connection: psycopg.Connection[Any]) -> None:
        row = connection.execute(self._store.layout.sql.standing).fetchone()
        assert row is not None
        self._store.watch.erased(row[1])
        self._privacy.forget()

    async def clients(self, of: Sequence[Metadata]) -> list[Metadata]:
        """Metadata as they were read, with their clients opened: "erased" if the person was."""
        return await self._store.reading(lambda connection: self._privacy.clients(connection, of))

    async def seal_notes(self, notes: Sequence[Note]) -> list[str | None]:
        """Text for each note, to be kept in any table; None if its subject was erased."""
        keys = await self._keys({note.subject for note in notes})
        return self._privacy.seal_notes(keys, notes)

    async def open_notes(self, notes: Sequence[Note]) -> list[bytes | Unreadable | None]:
        """What was given to `seal_notes`, from what it gave; None for who was erased since, and why
        for what does not open.
        """
        return await self._store.reading(
            lambda connection: self._privacy.open_notes(connection, notes)
        )

    async def sealing(self, appends: Sequence[Append], metadata: Metadata) -> Sealing:
        """What seals an append: the keys of whom it tells, new ones being made for new persons."""
        subjects, needed = self._privacy.told_of(appends, metadata)
        if not needed:
            return self._privacy.plain
        return Sealing(self._store.types, await self._keys(needed), subjects)

    def sealing_sync(self, appends: Sequence[Append], metadata: Metadata) -> Sealing:
        """`sealing` for threads."""
        subjects, needed = self._privacy.told_of(appends, metadata)
        keys = self._privacy.keys
        if keys is None or not needed:
            return self._privacy.plain
        found = keys.cached(needed)
        if found is None:
            found = self._store.reading_sync(lambda connection: keys.make(connection, needed))
        return Sealing(self._store.types, found, subjects)

    async def _keys(self, subjects: Collection[str]) -> Keys:
        keys = self._privacy.keys
        if keys is None:
            raise NoKeyring(self._store.name, "notes")
        found = keys.cached(subjects)
        if found is None:
            found = await self._store.reading(lambda connection: keys.make(connection, subjects))
        return found
