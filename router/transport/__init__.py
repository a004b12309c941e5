"""Calling subgraphs: one protocol, in process or over HTTP, with retries and a circuit breaker."""

from router.transport.errors import SubgraphError
from router.transport.http import HttpSubgraph
from router.transport.in_process import InProcessCall, InProcessSubgraph, InProcessSubscribe
from router.transport.resilient import ResilientSubgraph
from router.transport.subgraph import (
    Subgraph,
    SubgraphOperation,
    SubgraphRequest,
    SubgraphResponse,
)

__all__ = [
    "HttpSubgraph",
    "InProcessCall",
    "InProcessSubgraph",
    "InProcessSubscribe",
    "ResilientSubgraph",
    "Subgraph",
    "SubgraphError",
    "SubgraphOperation",
    "SubgraphRequest",
    "SubgraphResponse",
]
