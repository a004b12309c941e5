"""`/health`, `/ready`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.telemetry import Metrics

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def health_routes(*, ready: Callable[[], bool], metrics: Metrics) -> list[Route]:
    """`/health` is 200 while the process lives; `/ready` is 503 before it serves and once it stops.

    Subgraphs that are down do not make a router unready: it still gives partial answers.
    """

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def is_ready(request: Request) -> Response:
        if ready():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready"}, status_code=503)

    async def prometheus(request: Request) -> Response:
        return Response(metrics.page(), media_type=PROMETHEUS)

    return [
        Route("/health", health),
        Route("/ready", is_ready),
        Route("/metrics", prometheus),
    ]
