"""Personal data in what feeds give: opened, and marked so that whoever keeps it can forget it."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from eventstore.errors import EventStoreError, Unreadable
from eventstore.feed_page import FeedEvent
from eventstore.privacy.privacy import Privacy, Sealed
from eventstore.privacy.sealing import PREFIX
from eventstore.types import EventTypes

_members = msgspec.json.Decoder(dict[str, Any]).decode


class FeedOpener:
    """Opens the events of one feed; with `clients`, also where commands came from."""

    def __init__(self, types: EventTypes, privacy: Privacy, *, clients: bool) -> None:
        self._types, self._privacy, self._clients = types, privacy, clients

    def is_sealed(self, event: FeedEvent) -> bool:
        """Whether there is something in an event to be opened, as it was stored."""
        client = event.metadata.client
        return self._has_sealed_data(event) or (
            self._clients and client is not None and client.sealed is not None
        )

    def opened(
        self, connection: psycopg.Connection[Any], events: list[FeedEvent]
    ) -> list[FeedEvent]:
        """Events as they were stored, in their newest shape, opened, or marked where they do not
        open. Raises what `Privacy.marked` does.
        """
        found = [number for number, event in enumerate(events) if self._has_sealed_data(event)]
        sealed = [
            Sealed(event.stream, event.type, event.type_version, event.data)
            for event in (events[number] for number in found)
        ]
        events = list(events)
        opened = self._privacy.open(connection, sealed)
        for number, data in zip(found, opened, strict=True):
            event, why = events[number], None
            if isinstance(data, Unreadable):
                why = str(data)
                data = self._privacy.unreadable(event.type, event.type_version, event.data)
            elif isinstance(data, EventStoreError):
                raise data
            events[number] = msgspec.structs.replace(event, data=data, unreadable=why)
        return self.with_clients(connection, events)

    def with_clients(
        self, connection: psycopg.Connection[Any], events: list[FeedEvent]
    ) -> list[FeedEvent]:
        """Events with where their commands came from, if this feed gives that."""
        if not self._clients:
            return events
        opened = self._privacy.marked_clients(connection, [event.metadata for event in events])
        return [
            event
            if event.metadata is metadata
            else msgspec.structs.replace(
                event, metadata=metadata, unreadable=event.unreadable or (fault and str(fault))
            )
            for event, (metadata, fault) in zip(events, opened, strict=True)
        ]

    def marked(self, events: list[FeedEvent]) -> list[FeedEvent]:
        """Opened events with the names of their personal members, and whose they are."""
        if not any(event.type in self._types.personal_names for event in events):
            return events
        return [self._marked(event) for event in events]

    def _marked(self, event: FeedEvent) -> FeedEvent:
        shape = self._types.personal(event.type)
        if shape is None:
            return event
        subject = _members(event.data).get(shape.subject)
        return msgspec.structs.replace(
            event,
            personal=tuple(sorted(shape.stand_ins)),
            subject=subject if isinstance(subject, str) else None,
        )

    def _has_sealed_data(self, event: FeedEvent) -> bool:
        return event.type in self._types.personal_names and event.data.startswith(PREFIX)
