"""Metrics for Prometheus, and structured logs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from router.config import Logs

SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)

CODES: Final = frozenset(
    {
        "BAD_USER_INPUT",
        "DOWNSTREAM_SERVICE_ERROR",
        "FORBIDDEN",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "INTERNAL_SERVER_ERROR",
        "INTROSPECTION_DISABLED",
        "OPERATION_LIMIT_EXCEEDED",
        "OPERATION_RESOLUTION_FAILURE",
        "QUERY_PLANNING_FAILED",
        "SUBREQUEST_CIRCUIT_OPEN",
        "SUBREQUEST_CONNECTION_ERROR",
        "SUBREQUEST_FAILED",
        "SUBREQUEST_HTTP_ERROR",
        "SUBREQUEST_MALFORMED_RESPONSE",
        "SUBREQUEST_OVERLOADED",
        "SUBREQUEST_RESPONSE_TOO_LARGE",
        "SUBREQUEST_TIMEOUT",
        "SUBSCRIPTION_INTERRUPTED",
        "SUBSCRIPTION_JWT_EXPIRED",
        "SUBSCRIPTION_SCHEMA_RELOAD",
        "SUBSCRIPTION_SERVER_SHUTDOWN",
        "SUBSCRIPTION_TOO_SLOW",
        "UNAUTHENTICATED",
        "UNEXPECTED_NULL",
        "UNEXPECTED_VALUE",
    }
)
"""Codes that are labels; others are subgraphs' own, and their variety has no bound."""


def known_code(code: Any) -> str:
    """A label for a code."""
    return code if isinstance(code, str) and code in CODES else "OTHER"


class Metrics:
    """The metrics of one router, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "router_http_requests",
            "GraphQL requests answered, by HTTP status.",
            ["status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "router_http_request_seconds",
            "Time to answer a GraphQL request.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.errors = Counter(
            "router_graphql_errors",
            "Errors in answers, by code.",
            ["code"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "router_http_requests_in_flight",
            "GraphQL requests being answered.",
            registry=self.registry,
        )
        self.subgraph_seconds = Histogram(
            "router_subgraph_request_seconds",
            "Time a subgraph took, by subgraph.",
            ["subgraph"],
            registry=self.registry,
            buckets=SECONDS,
        )
        self.subgraph_requests = Counter(
            "router_subgraph_requests",
            "Requests to subgraphs, by outcome.",
            ["subgraph", "outcome"],
            registry=self.registry,
        )
        self.operations_kept = Gauge(
            "router_operations_kept", "Prepared operations in the cache.", registry=self.registry
        )
        self.subscriptions = Gauge(
            "router_subscriptions", "Clients' subscriptions.", registry=self.registry
        )
        self.subscription_streams = Gauge(
            "router_subscription_streams",
            "Streams of subgraphs that feed them; identical subscriptions share one.",
            registry=self.registry,
        )
        self.websockets = Gauge("router_websockets", "Clients' WebSockets.", registry=self.registry)
        self.subscription_events = Counter(
            "router_subscription_events",
            "Events that came from subgraphs.",
            ["subgraph"],
            registry=self.registry,
        )
        self.subscriptions_ended = Counter(
            "router_subscriptions_ended",
            "Subscriptions that ended: `complete`, `gone` (the client left), or an error's code.",
            ["reason"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self._statuses: dict[int, Counter] = {}
        self._subgraphs: dict[str, Histogram] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}

    def answered(self, status: int, seconds: float) -> None:
        """Count an answered request."""
        counter = self._statuses.get(status)
        if counter is None:
            counter = self._statuses[status] = self.requests.labels(str(status))
        counter.inc()
        self.request_seconds.observe(seconds)

    def count_errors(self, errors: Iterable[Mapping[str, Any]]) -> None:
        """Count the errors of an answer by their codes."""
        for error in errors:
            self.errors.labels(known_code(error.get("extensions", {}).get("code", "NONE"))).inc()

    def subgraph_called(self, service: str, outcome: str, seconds: float) -> None:
        """Count a call of a subgraph."""
        histogram = self._subgraphs.get(service)
        if histogram is None:
            histogram = self._subgraphs[service] = self.subgraph_seconds.labels(service)
        histogram.observe(seconds)
        key = (service, outcome)
        counter = self._outcomes.get(key)
        if counter is None:
            counter = self._outcomes[key] = self.subgraph_requests.labels(service, outcome)
        counter.inc()

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def configure_logs(settings: Logs) -> None:
    """Write structured logs to standard error. For processes of the router's own."""
    level = logging.getLevelNamesMapping().get(settings.level.upper(), logging.INFO)
    renderer = (
        structlog.processors.JSONRenderer() if settings.json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if settings.json
            else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
