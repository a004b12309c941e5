"""The router as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from router.config import RouterConfig
from router.http.actor_header import ActorSigner
from router.http.callers import Callers
from router.http.errors import SchemaReloaded
from router.http.graphql import GRACE_SECONDS, GraphQLEndpoint
from router.http.headers import HeaderRules
from router.http.health import health_routes
from router.http.operation import OperationPipeline
from router.http.served import ServedGraph
from router.http.subscriptions import SubscriptionHub
from router.http.websocket import WebSocketEndpoint
from router.telemetry import Metrics
from router.transport import Subgraph

if TYPE_CHECKING:
    from router.http.jwks import FetchJwks
    from router.http.jwt import TokenVerifier

log = structlog.get_logger("router.http")


class RouterApp:
    """Serves one supergraph. The server calls `close` at its end, or whoever embeds it."""

    def __init__(
        self,
        endpoint: GraphQLEndpoint,
        graph: ServedGraph,
        config: RouterConfig,
        metrics: Metrics,
    ) -> None:
        self.endpoint = endpoint
        self.metrics = metrics
        self._graph = graph
        self._retiring: set[asyncio.Task[None]] = set()
        self._config = config
        self.websockets = WebSocketEndpoint(endpoint)
        self._path = config.path
        self._stopping = self._closed = False
        self._other = Starlette(
            routes=health_routes(ready=lambda: not self._stopping, metrics=metrics)
        )
        metrics.in_flight.set_function(lambda: self.endpoint.in_flight)
        metrics.operations_kept.set_function(lambda: self.pipeline.kept)

    @property
    def pipeline(self) -> OperationPipeline:
        """What executes operations now."""
        return self._graph.pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GraphQL goes ahead of all other routes."""
        if scope["type"] == "http" and scope["path"] == self._path:
            await self.endpoint(scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == self._path:
            await self.websockets(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._other(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def stop(self) -> None:
        """Say that the router is not ready, and end subscriptions: a server that waits for its
        connections to end would wait for them.
        """
        self._stopping = True
        self.endpoint.subscriptions.stop()
        self.websockets.stop()

    async def end_streams(self) -> None:
        """`stop`, and return once no client is subscribed or connected, or does not go in time."""
        self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.shutdown_seconds):
                await self.endpoint.subscriptions.idle.wait()
                await self.websockets.idle.wait()

    async def idle(self) -> None:
        """Return once no request is being answered and nobody is subscribed or connected."""
        await self.endpoint.idle.wait()
        await self.websockets.idle.wait()
        await self.endpoint.subscriptions.idle.wait()

    async def close(self) -> None:
        """Say that the router is not ready, let requests under way end, then close connections."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        try:
            async with asyncio.timeout(self._config.shutdown_seconds):
                await self.idle()
        except TimeoutError:
            log.warning("requests cut off at shutdown", requests=self.endpoint.in_flight)
        await self.endpoint.subscriptions.ended()
        for task in tuple(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._graph.close()

    async def reload(self, supergraph_sdl: str) -> None:
        """Serve another supergraph from now on.

        Requests under way end on the old one; subscriptions are ended with a code, for their
        clients to ask anew. Raises what `create_app` raises, and then the old one stays.
        """
        new = await asyncio.to_thread(self._graph.replaced, supergraph_sdl)
        old, self._graph = self._graph, new
        old.pipeline.replaced = True
        self.endpoint.pipeline = new.pipeline
        self.endpoint.subscriptions.end_all(SchemaReloaded())
        retiring = asyncio.create_task(self._retire(old, new))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, old: ServedGraph, new: ServedGraph) -> None:
        """Close what only the old graph needs, once nothing can be under way on it."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.deadline_seconds + GRACE_SECONDS):
                    await self.endpoint.idle.wait()
        finally:
            await old.close(successor=new)


def create_app(
    supergraph_sdl: str,
    *,
    transports: Mapping[str, Subgraph] | None = None,
    config: RouterConfig | None = None,
    jwks: FetchJwks | None = None,
    actor_secret: bytes | None = None,
) -> RouterApp:
    """A router for a supergraph; subgraphs without a transport are called at their URL by HTTP.

    `jwks` gives the keys of tokens instead of `config.jwt.jwks_url` or `jwks_file`; `actor_secret`
    stands in for `config.actor.secret`. Raises SupergraphError, SubgraphUrlError, ConfigError and
    other RouterErrors for settings that cannot work.
    """
    config = config if config is not None else RouterConfig()
    metrics = Metrics()
    graph = ServedGraph(supergraph_sdl, transports or {}, config, metrics)
    signer = _signer(config, actor_secret)
    callers = Callers(config, HeaderRules(config.headers), _verifier(config, jwks), signer)
    subscriptions = SubscriptionHub(config, metrics, signer)
    endpoint = GraphQLEndpoint(graph.pipeline, config, metrics, callers, subscriptions)
    return RouterApp(endpoint, graph, config, metrics)


def _verifier(config: RouterConfig, jwks: FetchJwks | None) -> TokenVerifier | None:
    if config.jwt is None:
        return None
    from router.http.jwt import TokenVerifier  # costs a start without tokens 50 ms

    return TokenVerifier(
        config.jwt,
        fetch=jwks,
        tokens_max=config.caches.tokens_max,
        tokens_seconds_max=config.caches.tokens_seconds_max,
        wall_clock=time.time,
        clock=time.monotonic,
    )


def _signer(config: RouterConfig, secret: bytes | None) -> ActorSigner | None:
    key: str | bytes = secret if secret is not None else config.actor.secret
    if not key:
        return None
    return ActorSigner(
        key, claims=config.actor.claims, lifetime_seconds=config.actor.lifetime_seconds
    )
