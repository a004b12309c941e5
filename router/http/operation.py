"""The way of an operation: parse, limit, validate, plan, compile, check variables, execute.

What depends on the text alone is done once and kept, refusals included; it is done in a thread of
its own, so that one large operation does not hold up all others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

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
from router.executor import BadVariables, CompiledOperation
from router.executor.state import SubgraphCaller
from router.http.cache import BoundedCache
from router.http.errors import MethodNotAllowed, OperationLimitExceeded, OperationRefused
from router.http.limits import NESTING_MAX, check_document, check_text
from router.http.request import GraphQLRequest
from router.http.response import Answer
from router.planner.plan import QueryPlan
from router.supergraph import Supergraph

PARSE_FAILED: Final = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED: Final = "GRAPHQL_VALIDATION_FAILED"
NO_OPERATION: Final = "OPERATION_RESOLUTION_FAILURE"
UNSUPPORTED: Final = "OPERATION_NOT_SUPPORTED"
ENTRY_BYTES: Final = 5_000
CHARACTER_BYTES: Final = 20
FETCH_CHARACTER_BYTES: Final = 30
"""What a kept operation takes, about: each, per character of its text and of its fetches."""

Key: TypeAlias = tuple[str, str | None, frozenset[str]]
"""Text, operation name, active override labels."""


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
class Prepared:
    """A kept operation, or why it is refused."""

    compiled: CompiledOperation | None
    refusal: OperationRefused | None


@dataclass(frozen=True, slots=True)
class Caller:
    """What an execution needs to know of the request around it."""

    headers: Mapping[str, str]
    deadline: float
    by_get: bool = False
    query_plan: str | None = None
    """`true` adds the plan to the answer, `dry-run` gives the plan instead of executing it."""


class OperationPipeline:
    """All operations of one supergraph."""

    def __init__(
        self,
        supergraph: Supergraph,
        config: RouterConfig,
        call: SubgraphCaller,
        planner: PlanOperation,
        *,
        percent: Callable[[], float] = lambda: random.random() * 100,
    ) -> None:
        self.supergraph = supergraph
        self.config = config
        self._call = call
        self._percent = percent
        self._planner = planner
        self._interfaces = frozenset(
            kind.name for kind in supergraph.schema.type_map.values() if is_interface_type(kind)
        )
        self._labels = _label_shares(supergraph.override_labels, config.override_labels)
        caches = config.caches
        self._prepared: BoundedCache[Key, Prepared] = BoundedCache(
            caches.operations_max, caches.operations_bytes_max
        )
        self._refused: BoundedCache[Key, Prepared] = BoundedCache(
            caches.refusals_max, caches.refusals_bytes_max
        )
        self._under_way: dict[Key, asyncio.Future[Prepared]] = {}
        self._threads = ThreadPoolExecutor(config.planning_threads, thread_name_prefix="plan")

    async def run(self, request: GraphQLRequest, caller: Caller) -> Answer:
        """Answer one request. Raises MethodNotAllowed for a mutation by GET; bugs pass through."""
        prepared = await self.prepare(request.query, request.operation_name)
        compiled = prepared.compiled
        if compiled is None:
            assert prepared.refusal is not None
            return Answer({"errors": prepared.refusal.errors}, executed=False)
        if caller.by_get and compiled.operation.operation is not OperationType.QUERY:
            raise MethodNotAllowed("By GET only queries are executed.", allowed="POST")
        try:
            values = compiled.variables.check(request.variables)
        except BadVariables as error:
            errors = [_located(found, error.code) for found in error.errors]
            return Answer({"errors": errors}, executed=False)
        if caller.query_plan == "dry-run":
            return Answer({"data": None, "extensions": _shown(compiled)}, executed=True)
        result = await compiled.execute(
            values,
            call=self._call,
            headers=caller.headers,
            deadline=caller.deadline,
            masked=self.config.mask_subgraph_errors,
        )
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = result.errors
        if caller.query_plan is not None:
            body["extensions"] = _shown(compiled)
        return Answer(body, executed=True, headers=result.response_headers)

    async def prepare(self, text: str, operation_name: str | None) -> Prepared:
        """The kept operation; worked out once however many ask at the same time."""
        key = (text, operation_name, self._active_labels() if self._labels else _NO_LABELS)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._refused.get(key)
        if prepared is not None:
            return prepared
        under_way = self._under_way.get(key)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._threads, self._work_out, key)
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(under_way)

    def _keep(self, key: Key, done: asyncio.Future[Prepared]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            prepared = done.result()
            kept = self._prepared if prepared.compiled is not None else self._refused
            kept.put(key, prepared, weight=_weight(key[0], prepared))

    def _active_labels(self) -> frozenset[str]:
        percent = self._percent()
        return frozenset(label for label, share in self._labels if percent < share)

    def _work_out(self, key: Key) -> Prepared:
        text, operation_name, labels = key
        try:
            return Prepared(self._compile(text, operation_name, labels), None)
        except OperationRefused as refusal:
            return Prepared(None, refusal)
        except RecursionError:
            return Prepared(
                None,
                OperationLimitExceeded("nesting_max", "levels of nesting", None, NESTING_MAX),
            )

    def _compile(
        self, text: str, operation_name: str | None, labels: frozenset[str]
    ) -> CompiledOperation:
        document = self._parse(text)
        # What is kept needs no locations: they hold on to every token of the text.
        lean = parse(text, no_location=True)
        check_document(document, self.config.limits, introspection=self.config.introspection)
        self._validate(document)
        operation = _pick(document, operation_name)
        if operation.operation is OperationType.SUBSCRIPTION:
            raise OperationRefused(
                [_plain("Subscriptions need a streaming transport.", UNSUPPORTED)]
            )
        try:
            plan = self._planner.plan(lean, operation_name, override_labels=labels)
        except OperationRefused:
            raise
        except RouterError as error:
            raise OperationRefused([_plain(str(error), error.code)]) from error
        return CompiledOperation(
            self.supergraph.api_schema,
            lean,
            _pick(lean, operation_name),
            plan,
            self._interfaces,
        )

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
        return len(self._prepared)

    def close(self) -> None:
        """End the planning threads once they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _weight(text: str, prepared: Prepared) -> int:
    """An estimate of the bytes that keeping it takes."""
    weight = ENTRY_BYTES + CHARACTER_BYTES * len(text)
    if prepared.compiled is not None:
        fetches = prepared.compiled.plan.fetches()
        weight += FETCH_CHARACTER_BYTES * sum(len(fetch.operation) for fetch in fetches)
    return weight


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


def _shown(compiled: CompiledOperation) -> dict[str, Any]:
    from router.planner.display import display, to_json

    return {"queryPlan": {"text": display(compiled.plan), "object": to_json(compiled.plan)}}
