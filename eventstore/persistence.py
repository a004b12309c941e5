"""The persistence module for `eventsourcing`: its applications on our tables and our append path.

    PERSISTENCE_MODULE=eventstore.persistence  POSTGRES_DBNAME=…  POSTGRES_HOST=…  POSTGRES_USER=…

Configured by the library's own names: POSTGRES_DBNAME, _HOST, _PORT, _USER, _PASSWORD,
_GET_PASSWORD_TOPIC, _CONNECT_TIMEOUT, _SCHEMA (else the application's name), ORIGINATOR_ID_TYPE,
CREATE_TABLE and the topics of recorders. Keyword arguments of `save` reach the log: `metadata`,
`idempotency`, `effects`.
"""

from __future__ import annotations

import re
import threading
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool
from psycopg.conninfo import make_conninfo

from eventstore.recorders import (
    LogAggregateRecorder,
    LogApplicationRecorder,
)
from eventstore.side_table import SideTableRecorder
from eventstore.store import EventStore
from eventstore.tracking import LogProcessRecorder, LogTrackingRecorder
from eventstore.types import EventTypes

T = TypeVar("T")

EVENTS = "events"
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]+")


class _DroppedStore(EventStore):
    """Closes when nobody has it any more: the library drops factories, and keeps recorders."""

    def __del__(self) -> None:  # in whichever thread, maybe one of its own: joins none
        self.close_sync(wait=False)


class Factory(InfrastructureFactory[LogTrackingRecorder]):
    """Builds recorders over one event store, which opens with the first of them."""

    aggregate_recorder_class = LogAggregateRecorder
    application_recorder_class = LogApplicationRecorder
    tracking_recorder_class = LogTrackingRecorder
    process_recorder_class = LogProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._store: EventStore | None = None
        self._opening = threading.Lock()
        self._conninfo = self._read_conninfo()
        id_type = (self.env.get("ORIGINATOR_ID_TYPE") or "uuid").lower()
        if id_type not in ("uuid", "text"):
            raise OSError(f"ORIGINATOR_ID_TYPE is {id_type!r}, expected 'uuid' or 'text'")
        self.to_originator_id: type[UUID] | type[str] = UUID if id_type == "uuid" else str

    def _read_conninfo(self) -> str:
        given: dict[str, Any] = {}
        for part, required in (("dbname", True), ("host", True), ("user", True), ("port", False)):
            name = f"POSTGRES_{part.upper()}"
            value = self.env.get(name)
            if required and value is None:
                raise OSError(f"{name} is not set in the environment of {self.env.name!r}")
            if value:
                given[part] = value
        if topic := self.env.get("POSTGRES_GET_PASSWORD_TOPIC"):
            given["password"] = resolve_topic(topic)()
        elif password := self.env.get("POSTGRES_PASSWORD"):
            given["password"] = password
        if timeout := self.env.get("POSTGRES_CONNECT_TIMEOUT"):
            if not timeout.isdigit():
                raise OSError(f"POSTGRES_CONNECT_TIMEOUT is {timeout!r}, expected whole seconds")
            given["connect_timeout"] = timeout
        return make_conninfo("", **given)

    @property
    def store(self) -> EventStore:
        """The event store of the application, opened."""
        with self._opening:
            if self._store is None:
                name = _NOT_IN_NAMES.sub("_", self.env.name.lower()) or "eventstore"
                store = _DroppedStore(
                    self._conninfo,
                    EventTypes([]),
                    name=name,
                    schema=self.env.get("POSTGRES_SCHEMA") or name,
                    create_tables=self._create_tables(),
                )
                store.open_sync()
                self._store = store
            return self._store

    def close(self) -> None:
        with self._opening:
            if self._store is not None:
                self._store.close_sync()
                self._store = None

    def aggregate_recorder(self, purpose: str = EVENTS) -> AggregateRecorder:
        """Events go to the log; anything else (snapshots) to a table of its own beside it."""
        if purpose == EVENTS:
            return type(self).aggregate_recorder_class(self.store, self.to_originator_id)
        recorder = SideTableRecorder(self.store, self.to_originator_id, purpose)
        if self._create_tables():
            recorder.create_table()
        return recorder

    def application_recorder(self) -> ApplicationRecorder:
        default = type(self).application_recorder_class
        return self._class("APPLICATION_RECORDER_TOPIC", default)(self.store, self.to_originator_id)

    def tracking_recorder(
        self, tracking_recorder_class: type[LogTrackingRecorder] | None = None
    ) -> LogTrackingRecorder:
        default = type(self).tracking_recorder_class
        chosen = tracking_recorder_class or self._class(self.TRACKING_RECORDER_TOPIC, default)
        return self._with_table(chosen(self.store, self.to_originator_id))

    def process_recorder(self) -> ProcessRecorder:
        default = type(self).process_recorder_class
        chosen = self._class(self.PROCESS_RECORDER_TOPIC, default)
        return self._with_table(chosen(self.store, self.to_originator_id))

    def _with_table(self, recorder: T) -> T:
        if isinstance(recorder, LogTrackingRecorder) and self._create_tables():
            recorder.create_table()
        return recorder

    def _create_tables(self) -> bool:
        return strtobool(self.env.get("CREATE_TABLE") or "yes")

    def _class(self, topic_name: str, default: type[T]) -> type[T]:
        topic = self.env.get(topic_name)
        if not topic:
            return default
        chosen = resolve_topic(topic)
        if not isinstance(chosen, type) or not issubclass(chosen, default):
            raise OSError(f"{topic_name} is {topic!r}, expected a subclass of {default.__name__}")
        return chosen
