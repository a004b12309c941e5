"""A service: its store, its read models, what follows the log, and its ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

import structlog
from graphql import OperationType
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute
from strawberry.federation import Schema

from eventstore import (
    Event,
    EventStore,
    EventStoreError,
    EventTypes,
    Feed,
    Keyring,
    Limits,
    LocalFeed,
)
from eventstore.audit.as_of import History
from projections import (
    OPERATOR_EVENTS,
    Projection,
    ProjectionMetrics,
    ProjectionRunner,
    Reactor,
    ReactorRunner,
    ReadModels,
)
from subgraphs.shared import events
from subgraphs.shared.auth import read_caller
from subgraphs.shared.changes import Changes, Topics, nothing
from subgraphs.shared.errors import Unauthenticated
from subgraphs.shared.graphql.context import RequestContext, read_positions
from subgraphs.shared.graphql.execution import Answer, Executor, refused
from subgraphs.shared.http import build_app
from subgraphs.shared.ids import new_id
from subgraphs.shared.log_audit import LocalAudit, LogAudit, Trust
from subgraphs.shared.metrics import ServiceMetrics
from subgraphs.shared.operations import Operator
from subgraphs.shared.reading import Reading, record_reads
from subgraphs.shared.refused import RefusedCommands
from subgraphs.shared.tables import create_tables

READ_WAIT_SECONDS_MAX = 2.0
PROBE_SECONDS_MAX = 1.0
TOKEN_CHARACTERS_MAX = 200
SUBSCRIPTIONS_MAX = 2000
"""Of one service of one process at a time; a router shares identical ones."""

TOO_MANY = f"{SUBSCRIPTIONS_MAX} subscriptions are open, no more are taken now: try again later"
NOT_RECORDED = (
    "what auditors read is recorded before they see it, and it cannot be recorded now: try again"
)

log = structlog.get_logger("subgraphs.service")

R = TypeVar("R")

SERVICE_EVENTS: tuple[type[Event], ...] = (*OPERATOR_EVENTS, *events.EVENTS)
"""Event types that every service has, to be registered with its own."""


class Background(Protocol):
    """Something that runs beside: timers, a mail queue."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """Everything a service takes from outside.

    `feeds` are those of the services it listens to, by name; they must be there when the service
    starts, not before. `settings` are the service's own: each `app.py` says which. `seal` makes
    what seals the log beside the service; None leaves it unsealed. `keyring` wraps the keys of the
    persons whom the log tells of. `trust` says whose seals are believed when the log is verified;
    `audits` are, for the journal alone, what it asks the owners of logs, filled as feeds are.
    `limits` are the log's.
    """

    name: str
    conninfo: str
    feeds: Mapping[str, Feed]
    internal_secret: bytes
    clock: Callable[[], datetime]
    new_id: Callable[[str], str] = new_id
    settings: Mapping[str, Any] = field(default_factory=dict)
    seal: Callable[[EventStore], Background] | None = None
    keyring: Keyring | None = None
    trust: Trust | None = None
    audits: Mapping[str, LogAudit] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def event_store(self, events: Sequence[type[Event]]) -> EventStore:
        """The log of the service, with these types of events and those every service has."""
        types = EventTypes([*events, *SERVICE_EVENTS])
        return EventStore(
            self.conninfo, types, name=self.name, keyring=self.keyring, limits=self.limits
        )


class Service(Generic[R]):
    """One service, built by its `app.py`. Start it, serve `app` or call `execute`, stop it.

    `histories` fold its streams, by the prefix of their ids, for whoever asks how things stood.
    `topics` say what subscribers are told an event under. `tables` is idempotent DDL of what the
    service owns beside its log and read models; `on_start` runs when requests could be served,
    before reactors and `background`; `on_stop` comes last.
    """

    def __init__(
        self,
        context: ServiceContext,
        *,
        store: EventStore,
        reads: ReadModels,
        schema: Schema,
        resources: R,
        projections: Sequence[Projection] = (),
        reactors: Sequence[Reactor] = (),
        background: Sequence[Background] = (),
        routes: Sequence[BaseRoute] = (),
        histories: Mapping[str, History] = MappingProxyType({}),
        topics: Topics = nothing,
        tables: str = "",
        on_start: Callable[[], Awaitable[None]] | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        self.context, self.name = context, context.name
        self.store, self.reads, self.resources = store, reads, resources
        self.projections, self.reactors = tuple(projections), tuple(reactors)
        self.schema, self.sdl = schema, schema.as_str()
        self.feed = LocalFeed(store)
        self.full_feed = LocalFeed(store, public_only=False)
        self.audit = LocalAudit(store, context.conninfo, histories, context.trust)
        self.runner = ProjectionRunner(store, self.projections, conninfo=context.conninfo)
        self.changes = Changes(store, self.full_feed, self.runner, topics)
        self.reactor_runner: ReactorRunner  # there from `start` on: it needs the feeds
        self.histories = dict(histories)
        self.registry = CollectorRegistry()
        self.metrics = ServiceMetrics(self.registry, self.name)
        sealing = [context.seal(store)] if context.seal is not None else []
        self._background, self._tables, self._on_start = [*background, *sealing], tables, on_start
        self._on_stop = on_stop
        self._executor = Executor(schema)
        self._operator = Operator(
            store,
            self.projections,
            [reactor.name for reactor in self.reactors],
            name=self.name,
            conninfo=context.conninfo,
            secret=context.internal_secret,
        )
        self._refused = RefusedCommands(store)
        self._subscriptions = 0
        self._running: AsyncExitStack | None = None
        self.app = build_app(self, routes)

    @property
    def started(self) -> bool:
        """Whether `start` has come to its end and `stop` has not begun."""
        return self._running is not None

    async def start(self) -> None:
        """Open the store, follow the log and the feeds. Returns when requests can be served."""
        async with AsyncExitStack() as stack:
            if self._on_stop is not None:
                stack.callback(self._on_stop)
            await stack.enter_async_context(self.catching_up())
            if self._on_start is not None:
                await self._on_start()
            self.reactor_runner = ReactorRunner(self.store, self.context.feeds, self.reactors)
            await self.reactor_runner.start()
            stack.push_async_callback(self.reactor_runner.stop)
            followers = ProjectionMetrics(self.runner, self.reactor_runner)
            self.registry.register(followers)
            stack.callback(self.registry.unregister, followers)
            for work in self._background:
                await work.start()
                stack.push_async_callback(work.stop)
            stack.push_async_callback(self._operator.stop)
            self._running = stack.pop_all()

    @asynccontextmanager
    async def catching_up(self) -> AsyncIterator[None]:
        """The store is open and the read models follow it, unless another process sees to them.
        Nothing else of the service runs.
        """
        async with AsyncExitStack() as stack:
            await self.store.open()
            stack.push_async_callback(self.store.close)
            await create_tables(self.context.conninfo, self._tables)
            await self.runner.start()
            stack.push_async_callback(self.runner.stop)
            await self.reads.open()
            stack.push_async_callback(self.reads.close)
            yield

    async def stop(self) -> None:
        """Stop in the opposite order. Nothing acknowledged is lost."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    async def __aenter__(self) -> Service[R]:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run a GraphQL operation: the same for `/graphql` and for a router in this process.

        `headers` have lower-case names; the actor among them is verified here.
        """
        started = asyncio.get_running_loop().time()
        context = await self._context(headers or {})
        if not isinstance(context, RequestContext):
            return context
        answer = await self._executor.execute(query, variables, operation_name, context)
        if context.reading.questions:
            answer = await self._recorded(context, answer)
        self.metrics.request(
            "error" if "errors" in answer else "ok", asyncio.get_running_loop().time() - started
        )
        return answer

    async def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """Run a subscription: an answer for each event, as `execute` gives it, until it ends.

        An answer without `data` is the last one: refused, or unable to go on. The caller is known
        by the headers as they were at the beginning. Other operations have one answer.
        """
        if self._executor.kind(query, operation_name) is not OperationType.SUBSCRIPTION:
            yield await self.execute(query, variables, operation_name, headers)
            return
        context = await self._context(headers or {})
        if not isinstance(context, RequestContext):
            yield context
            return
        if self._subscriptions >= SUBSCRIPTIONS_MAX:
            yield refused(TOO_MANY, "TOO_MANY_SUBSCRIPTIONS")
            return
        self._subscriptions += 1
        self.metrics.subscriptions.inc()
        try:
            answers = self._executor.subscribe(query, variables, operation_name, context)
            async with aclosing(answers):
                async for answer in answers:
                    if context.reading.questions:
                        answer = await self._recorded(context, answer)
                        context.reading = Reading()
                    yield answer
                    if "data" not in answer:
                        return
                    context.stale = None  # it told how things stood at the beginning
        finally:
            self._subscriptions -= 1
            self.metrics.subscriptions.dec()

    async def _context(self, headers: Mapping[str, str]) -> RequestContext[R] | Answer:
        """What the operation's resolvers know of it; or the answer to who is not believed.

        Waits until the read models show what the client asks for.
        """
        request_id = _token(headers.get("x-request-id")) or self.context.new_id("req")
        try:
            caller = read_caller(
                headers.get("x-router-actor"), self.context.internal_secret, self.context.clock()
            )
        except Unauthenticated as error:
            self.metrics.request("unauthenticated", 0.0)
            return refused(str(error), error.code)
        context = RequestContext(
            resources=self.resources,
            clock=self.context.clock,
            caller=caller,
            request_id=request_id,
            correlation_id=_token(headers.get("x-correlation-id")) or request_id,
            headers=headers,
            read_positions=read_positions(headers.get("x-read-position")),
            operator=self._operator,
            refused=self._refused,
            told=self.changes,
        )
        if self.name in context.read_positions:
            await self._wait_for(context, context.read_positions[self.name])
        return context

    async def head(self) -> int:
        """The position of the last event. Raises TimeoutError after PROBE_SECONDS_MAX.

        For probes, which want to know now, where requests would wait for a database to come back.
        """
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            return await self.store.head()

    async def measure(self) -> None:
        """Bring the gauges up to date; they keep their last values while the database is away."""
        if not self.started:
            return
        with suppress(EventStoreError, TimeoutError):
            self.metrics.log(await self.head())

    async def _recorded(self, context: RequestContext[R], answer: dict[str, Any]) -> dict[str, Any]:
        """The answer, once it is in the log that an auditor got it; or none."""
        try:
            await record_reads(self.store, [context.reading.event()], context.metadata())
        except EventStoreError as error:
            log.warning("reading not recorded", request_id=context.request_id, reason=str(error))
            return refused(NOT_RECORDED, "READ_NOT_RECORDED")
        return answer

    async def _wait_for(self, context: RequestContext[R], position: int) -> None:
        """Wait, bounded, for the read models to show the position; say so if they do not."""
        if not await self.runner.wait_for(position, timeout_seconds=READ_WAIT_SECONDS_MAX):
            self.metrics.stale_reads.inc()
            context.stale = {
                "service": self.name,
                "position": f"{self.name}:{position}",
                "waitedSeconds": READ_WAIT_SECONDS_MAX,
            }


def _token(header: str | None) -> str | None:
    """An id from outside, if it is one that logs and events can hold: short, printable ASCII."""
    if header and len(header) <= TOKEN_CHARACTERS_MAX and header.isascii() and header.isprintable():
        return header
    return None
