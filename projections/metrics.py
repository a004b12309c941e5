"""What monitoring sees of projections and reactors, collected when it asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from projections.reactor_runner import ReactorRunner
from projections.runner import ProjectionRunner


class ProjectionMetrics(Collector):
    """Register it with a `CollectorRegistry`. It reads what the runner learnt in the last second,
    and never the database.

    Alert on `projection_parked_keys`, `projection_missing_positions` (a gap that zero lag would
    hide), `reactor_lag_positions` and `reactor_parked_streams`.
    """

    def __init__(self, runner: ProjectionRunner, reactors: ReactorRunner | None = None) -> None:
        self.runner, self.reactors = runner, reactors

    def collect(self) -> Iterator[Metric]:
        labels = ["projection", "build", "state"]
        position = _gauge("projection_position", "Last position committed", labels)
        lag = _gauge("projection_lag_positions", "Positions behind the head", labels)
        seconds = _gauge("projection_lag_seconds", "Age of the last event when behind", labels)
        missing = _gauge("projection_missing_positions", "Positions passed but not seen", labels)
        parked = _gauge("projection_parked_keys", "Keys that wait behind a failed event", labels)
        waiting = _gauge("projection_parked_events", "Events that wait", labels)
        unknown = _gauge("projection_unknown_events", "Events of types not known here", labels)
        now = datetime.now(UTC)
        for build in self.runner.known:
            at = [build.name, str(build.number), str(build.state)]
            where = max(build.position, self.runner.position_of(build.id))
            behind = max(0, self.runner.head - where)
            age = (now - build.recorded_at).total_seconds() if build.recorded_at else 0.0
            position.add_metric(at, where)
            lag.add_metric(at, behind)
            seconds.add_metric(at, max(0.0, age) if behind else 0.0)
            missing.add_metric(at, build.position - build.seen)
            parked.add_metric(at, build.parked_keys)
            waiting.add_metric(at, build.parked_events)
            unknown.add_metric(at, build.unknown)
        yield from (position, lag, seconds, missing, parked, waiting, unknown)
        if self.reactors is not None:
            behind_by = _gauge("reactor_lag_positions", "Positions behind its source", ["reactor"])
            for name, value in self.reactors.lags().items():
                behind_by.add_metric([name], value)
            waiting_of = _gauge(
                "reactor_parked_streams", "Streams that wait behind a failed message", ["reactor"]
            )
            for name, value in self.reactors.parked_streams().items():
                waiting_of.add_metric([name], value)
            yield from (behind_by, waiting_of)


def _gauge(name: str, help_text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, labels=labels)
