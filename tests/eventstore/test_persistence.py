"""The test cases that `eventsourcing` ships, over our persistence module.

Left out are two. `TranscoderTestCase` tests the transcoder of the library, used unchanged.
`TaggedDecisionCountersProjectionTestCase` needs recorders of another contract, that of
`eventsourcing.dcb`, which this module does not offer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    ProcessRecorder,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, get_topic
from psycopg.conninfo import conninfo_to_dict

from eventstore.persistence import Factory
from eventstore.recorders import LogAggregateRecorder, LogApplicationRecorder, library_errors
from eventstore.tracking import LogProcessRecorder, LogTrackingRecorder
from tests.support.library_cases import application, persistence, projection

pytestmark = pytest.mark.slow


def environment(conninfo: str) -> dict[str, str]:
    parts = conninfo_to_dict(conninfo)
    names = {"dbname": "POSTGRES_DBNAME", "host": "POSTGRES_HOST", "user": "POSTGRES_USER"}
    settings = {variable: str(parts[name]) for name, variable in names.items()}
    return settings | {"PERSISTENCE_MODULE": "eventstore.persistence"}


class OnOurTables:
    """A factory of the test's own, and the process environment for tests that make theirs."""

    factory: Any

    @pytest.fixture(autouse=True)
    def _on_our_tables(self, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name, value in environment(database).items():
            monkeypatch.setenv(name, value)
        self.recorders = Factory(Environment("tested", dict(os.environ)))
        yield
        self.recorders.close()


class TestAggregateRecorder(OnOurTables, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.recorders.aggregate_recorder()


class TestSnapshotRecorder(OnOurTables, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.recorders.aggregate_recorder("snapshots")


class TestApplicationRecorder(OnOurTables, persistence.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> ApplicationRecorder:
        return self.recorders.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(OnOurTables, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.recorders.tracking_recorder()


class TestProcessRecorder(OnOurTables, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.recorders.process_recorder()


class TestNonInterleaving(OnOurTables, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.recorders.application_recorder()


class OtherTrackingRecorder(LogTrackingRecorder):
    pass


class TestFactory(OnOurTables, persistence.InfrastructureFactoryTestCase[Factory]):
    def setUp(self) -> None:
        self.env = Environment("tested", dict(os.environ))
        super().setUp()

    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return LogAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return OtherTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return LogProcessRecorder


class TestExampleApplication(OnOurTables, application.ExampleApplicationTestCase):
    expected_factory_topic = "eventstore.persistence:Factory"


@pytest.mark.filterwarnings("default::DeprecationWarning")
class TestApplication(OnOurTables, application.ApplicationTestCase):
    pass


class EventCounters(LogTrackingRecorder, projection.EventCountersView):
    """The library's example of a view, in two rows."""

    def create_table(self) -> None:
        super().create_table()
        self.table = f"{self.schema}.counters"
        self.store.reading_sync(
            lambda c: c.execute(
                f"CREATE TABLE IF NOT EXISTS {self.table} (name text PRIMARY KEY, n int)"
            )
        )

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increment("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increment("subsequent", tracking)

    def _count(self, name: str) -> int:
        statement = f"SELECT n FROM {self.table} WHERE name = %s".encode()
        row = self.store.reading_sync(lambda c: c.execute(statement, [name]).fetchone())
        return int(row[0]) if row else 0

    @library_errors()
    def _increment(self, name: str, tracking: Tracking) -> None:
        effect = self.tracking_effect(tracking)

        def write(connection: Any) -> None:
            with connection.transaction():
                connection.execute(effect.sql, effect.params)
                connection.execute(
                    f"INSERT INTO {self.table} AS old VALUES (%s, 1) "
                    "ON CONFLICT (name) DO UPDATE SET n = old.n + 1",
                    [name],
                )

        self.store.reading_sync(write)


class TestEventCountersView(OnOurTables, projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> projection.EventCountersView:
        return self.recorders.tracking_recorder(EventCounters)


class TestProjection(OnOurTables, projection.AggregateEventCountersProjectionTestCase):
    view_class = EventCounters
    env: ClassVar[dict[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _environment(self, _on_our_tables: None) -> None:
        type(self).env = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("POSTGRES_") or name == "PERSISTENCE_MODULE"
        }


class TestEventSourcedProjection(OnOurTables, projection.EventSourcedProjectionTestCase):
    @pytest.fixture(autouse=True)
    def _environment(self, _on_our_tables: None) -> None:
        type(self).env = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("POSTGRES_") or name == "PERSISTENCE_MODULE"
        }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"POSTGRES_DBNAME": None}, "POSTGRES_DBNAME is not set"),
        ({"POSTGRES_HOST": None}, "POSTGRES_HOST is not set"),
        ({"ORIGINATOR_ID_TYPE": "int"}, "expected 'uuid' or 'text'"),
        ({"POSTGRES_CONNECT_TIMEOUT": "soon"}, "whole seconds"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, str | None], message: str) -> None:
    settings: dict[str, Any] = environment("dbname=a host=b user=c") | changes
    given = {name: value for name, value in settings.items() if value is not None}
    with pytest.raises(OSError, match=message):
        Factory(Environment("tested", given))


def test_what_a_recorder_topic_must_be(database: str) -> None:
    given = environment(database) | {"PROCESS_RECORDER_TOPIC": get_topic(UUID)}
    with pytest.raises(OSError, match="expected a subclass of LogProcessRecorder"):
        Factory(Environment("tested", given)).process_recorder()
