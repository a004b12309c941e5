"""The way of an operation: parse, limit, validate, plan, compile, check variables, execute.

What depends on the text alone is done once and kept, refusals included; it is done in a thread of
its own, so that one large operation does not hold up all others. Literals become variables first,
where they can: one plan serves all their values.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

from graphql import (
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    is_interface_type,
    parse,
    validate,
)

from router.config import RouterConfig
from router.errors import RouterError
from router.executor import BadVariables, CompiledOperation, ExecutionResult, Subgraphs
from router.http.errors import MethodNotAllowed, OperationLimitExceeded, OperationRefused
from router.http.limits import NESTING_MAX, check_document, check_text
from router.http.literals import hoist
from router.http.operation_cache import Asked, OperationCache, Prepared, Worked
from router.http.request import GraphQLRequest
from router.http.response import Answer
from router.planner.plan import QueryPlan
from router.supergraph import Supergraph

PARSE_FAILED: Final = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED: Final = "GRAPHQL_VALIDATION_FAILED"
NO_OPERATION: Final = "OPERATION_RESOLUTION_FAILURE"
UNSUPPORTED: Final = "OPERATION_NOT_SUPPORTED"


NEEDS_STREAM: Final = (
    "A subscription is answered by a stream. Ask for it with the header "
    "`accept: text/event-stream` (server-sent events), with "
    "`accept: multipart/mixed;subscriptionSpec=1.0`, or over a WebSocket that speaks "
    "graphql-transport-ws."
)


class PlanOperation(Protocol):
    """What plans: `router.planner.Planner`. Raises RouterError where there is no plan."""

    def plan(
        self,
        document: DocumentNode,
        operation_name: str | None = None,
        override_labels: frozenset[str] = frozenset(),
    ) -> QueryPlan:
        """Plan one operation of a valid document."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """What an execution needs to know of the request around it.

    `claims` are those of the verified token, None where there is none.
    """

    headers: Mapping[str, str]
    deadline: float
    by_get: bool = False
    query_plan: str | None = None
    """`true` adds the plan to the answer, `dry-run` gives the plan instead of executing it."""
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that can be executed: `values` are its checked variables."""

    compiled: CompiledOperation
    values: Mapping[str, Any]

    @property
    def streams(self) -> bool:
        """Whether it is answered by a stream."""
        return self.compiled.source is not None


class OperationPipeline:
    """All operations of one supergraph."""

    def __init__(
        self,
        supergraph: Supergraph,
        config: RouterConfig,
        call: Subgraphs,
        planner: PlanOperation,
        *,
        percent: Callable[[], float] = lambda: random.random() * 100,
    ) -> None:
        self.supergraph = supergraph
        self.replaced = False
        """Whether another one has taken its place: what is under way ends on this one."""
        self.config = config
        self._call = call
        self._percent = percent
        self._planner = planner
        self._interfaces = frozenset(
            kind.name for kind in supergraph.schema.type_map.values() if is_interface_type(kind)
        )
        self._labels = _label_shares(supergraph.override_labels, config.override_labels)
        limits = config.limits
        self.cache = OperationCache(
            config.caches, min(limits.operation_characters_max, limits.tokens_max)
        )
        self._under_way: dict[Asked, asyncio.Future[Worked]] = {}
        self._threads = ThreadPoolExecutor(config.planning_threads, thread_name_prefix="plan")

    async def run(self, request: GraphQLRequest, caller: Caller) -> Answer:
        """Answer one request. Raises MethodNotAllowed for a mutation by GET; bugs pass through.

        A subscription is refused: whoever can stream asks `ready` first.
        """
        ready = await self.ready(request, by_get=caller.by_get)
        return ready if isinstance(ready, Answer) else await self.execute(ready, caller)

    async def ready(self, request: GraphQLRequest, *, by_get: bool) -> Ready | Answer:
        """The operation with its variables checked, or the answer that says what is wrong.

        Raises MethodNotAllowed.
        """
        prepared = await self.prepare(request.query, request.operation_name)
        compiled = prepared.compiled
        if compiled is None:
            assert prepared.refusal is not None
            return Answer({"errors": prepared.refusal.errors}, executed=False)
        if by_get and compiled.operation.operation is OperationType.MUTATION:
            raise MethodNotAllowed("By GET only queries are executed.", allowed="POST")
        try:
            given = request.variables
            if prepared.literals:
                given = {**given, **prepared.literals}
            return Ready(compiled, compiled.variables.check(given))
        except BadVariables as error:
            errors = [_located(found, error.code) for found in error.errors]
            return Answer({"errors": errors}, executed=False)

    async def execute(self, ready: Ready, caller: Caller) -> Answer:
        """Execute it; of a subscription no more than its plan is shown."""
        compiled = ready.compiled
        if caller.query_plan == "dry-run":
            return Answer({"data": None, "extensions": _shown(compiled)}, executed=True)
        if compiled.source is not None:
            return Answer({"errors": [_plain(NEEDS_STREAM, UNSUPPORTED)]}, executed=False)
        result = await compiled.execute(
            ready.values,
            call=self._call,
            headers=caller.headers,
            deadline=caller.deadline,
            masked=self.config.mask_subgraph_errors,
        )
        body = _body(result, compiled, with_plan=caller.query_plan is not None)
        return Answer(body, executed=True, headers=result.response_headers)

    async def events(
        self, ready: Ready, headers: Callable[[], Mapping[str, str]], *, with_plan: bool
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answers of a subscription, as `CompiledOperation.events` says."""
        results = ready.compiled.events(
            ready.values,
            subscribe=self._call.subscribe,
            call=self._call,
            headers=headers,
            deadline_seconds=self.config.deadline_seconds,
            masked=self.config.mask_subgraph_errors,
        )
        async with aclosing(results):
            async for result in results:
                yield _body(result, ready.compiled, with_plan=with_plan)

    async def prepare(self, text: str, operation_name: str | None) -> Prepared:
        """The kept operation; worked out once however many ask at the same time."""
        labels = self._active_labels() if self._labels else _NO_LABELS
        asked = Asked(text, operation_name, labels)
        prepared = self.cache.get(asked)
        if prepared is not None:
            return prepared
        under_way = self._under_way.get(asked)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._threads, self._work_out, asked)
            self._under_way[asked] = under_way
            under_way.add_done_callback(lambda done: self._keep(asked, done))
        return (await asyncio.shield(under_way)).prepared

    def _keep(self, asked: Asked, done: asyncio.Future[Worked]) -> None:
        self._under_way.pop(asked, None)
        if not done.cancelled() and done.exception() is None:
            self.cache.put(asked, done.result())

    def _active_labels(self) -> frozenset[str]:
        percent = self._percent()
        return frozenset(label for label, share in self._labels if percent < share)

    def _work_out(self, asked: Asked) -> Worked:
        try:
            return self._compile(asked)
        except OperationRefused as refusal:
            return Worked(Prepared(None, refusal))
        except RecursionError:
            limit = OperationLimitExceeded("nesting_max", "levels of nesting", None, NESTING_MAX)
            return Worked(Prepared(None, limit))

    def _compile(self, asked: Asked) -> Worked:
        text, name, labels = asked
        document = self._parse(text)
        check_document(document, self.config.limits, introspection=self.config.introspection)
        self._validate(document)
        operation = _pick(document, name)
        form, hoisted, literals = self.cache.form(text), None, None
        if form is not None and form.literals:
            hoisted = hoist(text, document, self.supergraph.api_schema, form.literals)
            literals = hoisted.values(form.literals)
            if literals is None:  # a number without end, which graphql-core lets pass
                form = hoisted = None
            else:
                text = hoisted.text
        # What is kept needs no locations: they hold on to every token of the text.
        lean = parse(text, no_location=True)
        try:
            plan = self._planner.plan(lean, name, override_labels=labels)
        except OperationRefused:
            raise
        except RouterError as error:
            raise OperationRefused([_plain(str(error), error.code)]) from error
        if plan.node is None and operation.operation is OperationType.SUBSCRIPTION:
            raise OperationRefused(
                [_plain("The subscription selects no field.", VALIDATION_FAILED)]
            )
        compiled = CompiledOperation(
            self.supergraph.api_schema, lean, _pick(lean, name), plan, self._interfaces
        )
        return Worked(Prepared(compiled, None, literals), form, hoisted)

    def _parse(self, text: str) -> DocumentNode:
        check_text(text, self.config.limits)
        try:
            return parse(text)
        except GraphQLError as error:
            raise OperationRefused([_located(error, PARSE_FAILED)]) from None

    def _validate(self, document: DocumentNode) -> None:
        errors = validate(
            self.supergraph.api_schema,
            document,
            max_errors=self.config.limits.errors_max,
            hide_suggestions=not self.config.introspection,
        )
        if errors:
            raise OperationRefused([_located(error, VALIDATION_FAILED) for error in errors])

    @property
    def kept(self) -> int:
        """Prepared operations in the cache."""
        return self.cache.kept

    def close(self) -> None:
        """End the planning threads once they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)


_NO_LABELS: Final[frozenset[str]] = frozenset()


def _label_shares(
    labels: frozenset[str], configured: Mapping[str, float]
) -> tuple[tuple[str, float], ...]:
    """Percent of requests for which each label is active; `percent(x)` says it itself."""
    shares: dict[str, float] = {}
    for label in sorted(labels):
        share = configured.get(label, 0.0)
        if label.startswith("percent(") and label.endswith(")"):
            try:
                share = float(label[len("percent(") : -1])
            except ValueError:
                share = 0.0
        shares[label] = share
    return tuple(shares.items())


def _pick(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    if name is None:
        if len(operations) == 1:
            return operations[0]
        found = "several operations" if operations else "no operation"
        message = f"The document has {found}: name one with `operationName`."
        raise OperationRefused([_plain(message, NO_OPERATION)])
    for node in operations:
        if node.name is not None and node.name.value == name:
            return node
    raise OperationRefused([_plain(f'Unknown operation named "{name}".', NO_OPERATION)])


def _plain(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code}}


def _located(error: GraphQLError, code: str) -> dict[str, Any]:
    located: dict[str, Any] = {"message": error.message}
    if error.locations:
        located["locations"] = [
            {"line": place.line, "column": place.column} for place in error.locations
        ]
    located["extensions"] = {"code": code}
    return located


def _body(result: ExecutionResult, compiled: CompiledOperation, *, with_plan: bool) -> Any:
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = result.errors
    if with_plan:
        body["extensions"] = _shown(compiled)
    return body


def _shown(compiled: CompiledOperation) -> dict[str, Any]:
    from router.planner.display import display, to_json

    return {"queryPlan": {"text": display(compiled.plan), "object": to_json(compiled.plan)}}
