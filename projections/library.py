"""Projections of an `eventsourcing` application, whose log is kept by `eventstore.persistence`.

    log = ApplicationLog(application)
    ProjectionRunner(log.store, [Parcels()], source=log)
    Operations(log.store, [Parcels()], source=log)

`handles` names the application's event classes, nested in their aggregates as they are; `apply`
gets a `Recorded` whose `event` is the library's own, with its attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent

from eventstore.event import Actor, Metadata, Recorded
from eventstore.persistence import Factory
from eventstore.record import to_state
from eventstore.recorders import NO_METADATA
from projections.errors import InvalidProjection
from projections.log import Undecodable
from projections.store_log import NOT_READ, StoreLog

_metadata = msgspec.json.Decoder(Metadata).decode
APPLICATION = "application"
"""The kind of the actor of events that were saved without metadata."""


class ApplicationLog(StoreLog):
    """The log of one application, its events decoded by the application's own mapper: upcast,
    decompressed and decrypted as the application reads them.

    Raises InvalidProjection if the application keeps its events elsewhere.
    """

    def __init__(self, application: Application[Any]) -> None:
        factory = application.factory
        if not isinstance(factory, Factory):
            raise InvalidProjection(
                application.name,
                f"the application stores events with {type(factory).__module__}: set "
                "PERSISTENCE_MODULE to eventstore.persistence",
            )
        super().__init__(factory.store)
        self.known = None  # the library finds classes by topic, as they come
        self._mapper: Mapper[Any] = application.mapper
        self._to_originator_id = factory.to_originator_id

    def shape(self, name: str) -> int:
        return 1

    def _recorded(self, rows: Iterable[Any]) -> list[Recorded[Any]]:
        events = []
        for position, stream, version, topic, shape, time, id_, tags, raw, payload in rows:
            event: Any
            try:
                event = self._mapper.to_domain_event(
                    StoredEvent(self._to_originator_id(stream), version, topic, to_state(payload))
                )
            except Exception as error:  # whatever the mapper and its upcasters raise
                event = Undecodable(error)
            metadata = NOT_READ if raw is None else self._given(raw, id_, time)
            given = tuple(tags or ())
            events.append(
                Recorded(
                    *(position, stream, version, id_, topic, shape, event, metadata, time, given)
                )
            )
        return events

    def _given(self, raw: bytes, id_: UUID, time: datetime) -> Metadata:
        """The metadata that came with `save`; without any, the application itself did it."""
        if raw != NO_METADATA:
            return _metadata(raw)
        return Metadata(
            actor=Actor(APPLICATION, self.name),
            command_id=str(id_),
            correlation_id=str(id_),
            occurred_at=time,
        )


def last_position(recordings: Iterable[Any]) -> int:
    """The position to wait for after `Application.save`; 0 if it saved nothing."""
    return max((recording.notification.id for recording in recordings), default=0)
