"""What a service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ServiceMetrics:
    """The metrics that all services have, beside those of projections and reactors; a service adds
    its own to the same registry.
    """

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self._requests = Counter(
            "lonja_graphql_requests",
            "GraphQL operations by outcome.",
            ["service", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "lonja_graphql_seconds",
            "Time to answer a GraphQL operation.",
            ["service"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=registry,
        )
        self._head = Gauge(
            "lonja_log_head",
            "Position of the last event of the log.",
            ["service"],
            registry=registry,
        )
        self.stale_reads = Counter(
            "lonja_stale_reads",
            "Queries answered before the position they asked for was visible.",
            ["service"],
            registry=registry,
        ).labels(service)
        self.subscriptions = Gauge(
            "lonja_graphql_subscriptions",
            "Subscriptions that are open.",
            ["service"],
            registry=registry,
        ).labels(service)
        self._service = service

    def request(self, outcome: str, seconds: float) -> None:
        """Count an operation: outcome is ok, error or unauthenticated."""
        self._requests.labels(self._service, outcome).inc()
        self._seconds.labels(self._service).observe(seconds)

    def log(self, head: int) -> None:
        """Note the head of the own log."""
        self._head.labels(self._service).set(head)
