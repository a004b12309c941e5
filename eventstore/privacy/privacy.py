"""What a store does with personal data: sealed before it is appended, opened when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import psycopg

from eventstore.append import Append
from eventstore.errors import (
    ErasedSubject,
    EventStoreError,
    MalformedEvent,
    NoKeyring,
    SealedDataCorrupt,
    Unreadable,
)
from eventstore.event import ERASED, NOBODY, UNREADABLE, Client, Event, Metadata
from eventstore.layout import Layout
from eventstore.privacy.erasure import SUBJECT_BYTES_MAX
from eventstore.privacy.keyring import Keyring
from eventstore.privacy.sealing import (
    PREFIX,
    Parts,
    Tampered,
    merged,
    open_sealed,
    parts,
    place,
    seal,
    split,
    stored,
)
from eventstore.privacy.shape import MEMBER
from eventstore.privacy.subject_keys import Connection, Keys, SubjectKeys
from eventstore.types import EventTypes

_PERSONS = frozenset({"user", "staff"})
_encode = msgspec.json.Encoder(order="sorted").encode
_client = msgspec.json.Decoder(Client).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ERASED_CLIENT = Client(ERASED, ERASED)


class Sealed(NamedTuple):
    """A stored payload, and what it is bound to."""

    stream: str
    type: str
    type_version: int
    payload: bytes


class Note(NamedTuple):
    """Something personal that is kept outside events; `context` says what and where it is."""

    subject: str
    context: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sealing:
    """Seals what one append is made of. `subjects` are those its events tell of."""

    types: EventTypes
    keys: Keys
    subjects: Sequence[str] = ()

    def payload(self, stream: str, event: Event) -> bytes:
        """The payload as it is stored. Raises ErasedSubject and what EventTypes.encode raises."""
        payload, shape = self.types.encode(event), self.types.personal(event.TYPE)
        if shape is None or not shape.told_by(event):
            return payload
        personal, rest = split(payload, shape.stand_ins)
        subject = subject_of(event)
        if (key := self.keys.get(subject)) is None:
            raise ErasedSubject(subject)
        return stored(subject, seal(key, personal, place(subject, event.TYPE, stream)), rest)

    def metadata(self, metadata: Metadata) -> Metadata:
        """The metadata with its client sealed for whom it tells of; of an erased one, nothing."""
        if metadata.client is None or not self.keys:
            return metadata
        subject = client_subject(metadata, self.subjects)
        if subject is None or metadata.client.sealed is not None:
            return metadata
        client = None
        if (key := self.keys.get(subject)) is not None:
            sealed = seal(key, _encode(metadata.client), _client_place(metadata, subject))
            client = Client(of=subject, sealed=sealed.decode())
        return msgspec.structs.replace(metadata, client=client)


class Privacy:
    """The personal data of one store. `keyring` may be None where no event type has any."""

    def __init__(self, types: EventTypes, layout: Layout, keyring: Keyring | None) -> None:
        self._types, self._store = types, layout.name
        self.keys = SubjectKeys(layout, keyring) if keyring is not None else None
        self.plain = Sealing(types, {})
        """Seals an append that tells of nobody."""
        self.seen: dict[int, Unreadable] | None = None
        """Where `opened` notes, by position, what does not open, in a process in which people only
        look; None: it raises.
        """

    def check(self, connection: psycopg.Connection[Any]) -> None:
        """Raises NoKeyring or WrongMasterKey: the store cannot be used."""
        if self.keys is not None:
            self.keys.check(connection)
        elif self._types.personal_names:
            raise NoKeyring(self._store, sorted(self._types.personal_names))

    def forget(self) -> None:
        """Drop cached keys: somebody was erased."""
        if self.keys is not None:
            self.keys.forget()

    # Appending

    def told_of(self, appends: Iterable[Append], metadata: Metadata) -> tuple[list[str], list[str]]:
        """Whom the events of an append tell of, and whose keys it needs: theirs and the client's.

        Raises MalformedEvent for an event that does not say whom.
        """
        if self.keys is None:
            return [], []
        subjects = list(
            {
                subject_of(event): None
                for append in appends
                for event in append.events
                if event.SUBJECT is not None
                and (shape := self._types.personal(event.TYPE)) is not None
                and shape.told_by(event)
            }
        )
        needed = subjects
        if metadata.client is not None:
            client = client_subject(metadata, subjects)
            if client is not None and client not in subjects:
                needed = [*subjects, client]
        return subjects, needed

    # Reading

    def opened(self, connection: Connection, rows: list[Any]) -> list[Any]:
        """Rows of `read.COLUMNS` with their payloads opened; one statement if any is sealed.

        Raises what `open` gives.
        """
        rows, faults = self.marked(connection, rows)
        if faults and self.seen is None:
            raise next(iter(faults.values()))
        if self.seen is not None:
            self.seen.update(faults)
        return rows

    def marked(
        self, connection: Connection, rows: list[Any]
    ) -> tuple[list[Any], dict[int, Unreadable]]:
        """The same for whoever shows or hands on: what does not open reads "unreadable", and why is
        given by position. Raises what concerns all persons: WrongMasterKey, NoKeyring.
        """
        faults: dict[int, Unreadable] = {}
        if not self._types.personal_names:
            return rows, faults
        found = [number for number, row in enumerate(rows) if row[6].startswith(PREFIX)]
        if not found:
            return rows, faults
        sealed = [Sealed(row[1], row[4], row[5], row[6]) for row in (rows[n] for n in found)]
        rows = list(rows)
        for number, payload in zip(found, self.open(connection, sealed), strict=True):
            row = rows[number]
            if isinstance(payload, Unreadable):
                faults[row[0]] = payload
                payload = self.unreadable(row[4], row[5], row[6])
            elif isinstance(payload, EventStoreError):
                raise payload
            rows[number] = (*row[:6], payload, *row[7:])
        return rows, faults

    def unreadable(self, type_: str, type_version: int, payload: bytes) -> bytes:
        """What is plain in a stored payload, and "unreadable" for what is sealed."""
        plain = _members(payload)
        del plain[MEMBER]
        return _encode({**plain, **_members(self._types.stand_in(type_, type_version, UNREADABLE))})

    def open(
        self, connection: Connection, events: Sequence[Sealed]
    ) -> Iterator[bytes | EventStoreError]:
        """The plain payload of each, stand-ins for who was erased; or what is wrong with it:
        WrongMasterKey, SubjectKeyLost, SubjectKeyCorrupt, SealedDataCorrupt, NoKeyring.
        """
        taken = [_parts(event.payload) for event in events]
        keys = self._find(connection, {each.subject for each in taken if each is not None})
        for event, each in zip(events, taken, strict=True):
            what = f"{event.type} in {event.stream}"
            if each is None:
                yield SealedDataCorrupt(self._store, what)
                continue
            key = keys[each.subject]
            if isinstance(key, EventStoreError):
                yield key
                continue
            if key is None:
                yield merged(self._types.stand_in(event.type, event.type_version), each.rest)
                continue
            try:
                context = place(each.subject, event.type, event.stream)
                yield merged(open_sealed(key, each.sealed, context), each.rest)
            except Tampered:
                yield SealedDataCorrupt(self._store, what)

    def clients(self, connection: Connection, of: Sequence[Metadata]) -> list[Metadata]:
        """Metadata with their clients opened, `of` saying whose they are; "erased" if they were.

        Raises what `open` gives.
        """
        opened = self.marked_clients(connection, of)
        for _, fault in opened:
            if fault is not None:
                raise fault
        return [metadata for metadata, _ in opened]

    def marked_clients(
        self, connection: Connection, of: Sequence[Metadata]
    ) -> list[tuple[Metadata, Unreadable | None]]:
        """The same, "unreadable" with the reason for a client that does not open. Raises what
        `marked` does.
        """
        wanted = {m.client.of for m in of if m.client is not None and m.client.of is not None}
        keys = self._find(connection, wanted) if wanted else {}
        opened: list[tuple[Metadata, Unreadable | None]] = []
        for metadata in of:
            try:
                opened.append((self._with_client(metadata, keys), None))
            except Unreadable as fault:
                assert metadata.client is not None
                client = Client(UNREADABLE, UNREADABLE, metadata.client.of)
                opened.append((msgspec.structs.replace(metadata, client=client), fault))
        return opened

    def _with_client(self, metadata: Metadata, keys: dict[str, Any]) -> Metadata:
        client = metadata.client
        if client is None or client.sealed is None or client.of is None:
            return metadata
        key = keys[client.of]
        if isinstance(key, EventStoreError):
            raise key
        opened = _ERASED_CLIENT
        if key is not None:
            try:
                opened = _client(
                    open_sealed(key, client.sealed, _client_place(metadata, client.of))
                )
            except (Tampered, msgspec.MsgspecError):
                what = f"the client of command {metadata.command_id}"
                raise SealedDataCorrupt(self._store, what) from None
        return msgspec.structs.replace(metadata, client=Client(opened.ip, opened.agent, client.of))

    # What is kept beside the log

    def seal_notes(self, keys: Keys, notes: Sequence[Note]) -> list[str | None]:
        """Text for each note, to be kept in whatever table; None for whom was erased."""
        return [
            seal(key, note.data, _note_place(note.subject, note.context)).decode()
            if (key := keys[note.subject]) is not None
            else None
            for note in notes
        ]

    def open_notes(
        self, connection: Connection, notes: Sequence[Note]
    ) -> list[bytes | Unreadable | None]:
        """The data of each note (whose `data` is what `seal_notes` gave); None if it was forgotten,
        or why it does not open. Raises what `marked` does.
        """
        keys = self._find(connection, {note.subject for note in notes}) if notes else {}
        opened: list[bytes | Unreadable | None] = []
        for note in notes:
            key = keys[note.subject]
            if isinstance(key, Unreadable):
                opened.append(key)
                continue
            if isinstance(key, EventStoreError):
                raise key
            if key is None:
                opened.append(None)
                continue
            try:
                context = _note_place(note.subject, note.context)
                opened.append(open_sealed(key, note.data, context))
            except Tampered:
                opened.append(SealedDataCorrupt(self._store, note.context))
        return opened

    def _find(self, connection: Connection, subjects: set[str]) -> dict[str, Any]:
        if self.keys is None:
            error = NoKeyring(self._store, sorted(self._types.personal_names))
            return dict.fromkeys(subjects, error)
        return self.keys.find(connection, subjects) if subjects else {}


def subject_of(event: Event) -> str:
    """Whom an event with a SUBJECT tells of. Raises MalformedEvent unless it says so."""
    assert event.SUBJECT is not None
    subject: object = getattr(event, event.SUBJECT)
    if not isinstance(subject, str) or not subject:
        reason = f"is {subject!r}, expected the id of the person its personal fields tell of"
    elif len(subject) > SUBJECT_BYTES_MAX or "\x00" in subject or not subject.isascii():
        reason = f"is {subject[:80]!r}, expected at most {SUBJECT_BYTES_MAX} ASCII characters"
    else:
        return subject
    raise MalformedEvent(event.TYPE, event.TYPE_VERSION, f"its field {event.SUBJECT} {reason}")


def client_subject(metadata: Metadata, subjects: Sequence[str]) -> str | None:
    """Whom the client of an append tells of: the person who acts; of somebody unknown, and of what
    is no person, whom they act for or whom its events are of.
    """
    actor = metadata.actor
    if actor.kind not in _PERSONS:
        return subjects[0] if subjects else None
    if actor.id != NOBODY:
        return actor.id
    return actor.on_behalf_of or (subjects[0] if subjects else actor.id)


def _client_place(metadata: Metadata, subject: str) -> str:
    return place(subject, "$client", metadata.command_id)


def _note_place(subject: str, context: str) -> str:
    return place(subject, "$note", context)


def _parts(payload: bytes) -> Parts | None:
    try:
        return parts(payload)
    except Tampered:
        return None
