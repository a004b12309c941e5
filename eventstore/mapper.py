"""Typed events through the contracts of `eventsourcing`: mapper, recorder, event store, repository.

    events = library_events(store)                     # an eventsourcing EventStore over our log
    recorded = list(events.get("ord_1"))               # Recorded, as `store.read_stream` gives them
    Repository(events).get("ord_1", projector_func=fold)

A `Recorded` has `originator_id` and `originator_version`, so it is a domain event to the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eventsourcing.persistence import EventStore as LibraryEventStore
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from eventstore.append import Append
from eventstore.event import Event, Metadata, Recorded
from eventstore.read import COLUMNS, Raw, decoder
from eventstore.record import Row, make_row
from eventstore.recorders import LogApplicationRecorder
from eventstore.request import encode_metadata
from eventstore.store import EventStore


@dataclass(frozen=True)
class StoredRecord(StoredEvent):
    """A stored event of ours: its topic is the type's name, its state the canonical payload, as it
    is stored when it is written, opened when it was read. `subjects` are whom it tells of.
    """

    type_version: int = 1
    metadata: bytes = b""
    row: Raw | None = field(default=None, compare=False)
    subjects: Sequence[str] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be put into a stream at a version, with its metadata: a domain event to the
    library, before the log has given it a position.
    """

    originator_id: str
    originator_version: int
    event: Event
    metadata: Metadata


class TypedMapper(Mapper[str]):
    """Maps `NewEvent` to stored events, and stored events to `Recorded`, by the registry."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(JSONTranscoder())
        self._store, self._decode = store, decoder(store.types)

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Of a `NewEvent` or a `Recorded`. Raises what `Sealing.payload` does."""
        event: Event = domain_event.event
        stream, metadata = domain_event.originator_id, domain_event.metadata
        sealing = self._store.persons.sealing_sync([Append(stream, [event])], metadata)
        return StoredRecord(
            stream,
            domain_event.originator_version,
            event.TYPE,
            sealing.payload(stream, event),
            event.TYPE_VERSION,
            encode_metadata(sealing.metadata(metadata)),
            subjects=sealing.subjects,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded[Any]:
        """The event as it was recorded; only of what `TypedRecorder` read."""
        assert isinstance(stored_event, StoredRecord)
        assert stored_event.row is not None
        return self._decode([stored_event.row])[0]


class TypedRecorder(LogApplicationRecorder):
    """The application recorder of streams named by text, whose rows keep all that ours have."""

    columns = COLUMNS

    def __init__(self, store: EventStore) -> None:
        super().__init__(store, str)

    def subjects_of(self, stored_events: Sequence[StoredEvent]) -> Sequence[str]:
        return [
            subject
            for stored in stored_events
            if isinstance(stored, StoredRecord)
            for subject in stored.subjects
        ]

    def _select(self, *args: Any, **kwargs: Any) -> list[Any]:
        rows = super()._select(*args, **kwargs)
        if not rows or not self.store.types.personal_names:
            return rows
        return self.store.reading_sync(lambda c: self.store.privacy.opened(c, rows))

    def to_row(self, stream: str, stored: StoredEvent, metadata: bytes) -> Row:
        if not isinstance(stored, StoredRecord):
            return super().to_row(stream, stored, metadata)
        return make_row(
            stream,
            self.store.new_id(),
            stored.topic,
            stored.type_version,
            (),
            stored.metadata,
            stored.state,
        )

    def to_stored_event(self, row: Any) -> StoredEvent:
        _, stream, version, _, topic, type_version, payload, metadata, _, _ = row
        return StoredRecord(stream, version, topic, payload, type_version, metadata, row)


def library_events(store: EventStore) -> LibraryEventStore[str]:
    """An event store of the library over ours: what one puts, the other reads."""
    return LibraryEventStore(TypedMapper(store), TypedRecorder(store))
