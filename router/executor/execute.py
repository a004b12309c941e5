"""One operation, compiled once: run its plan, then complete the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from router.executor.errors import ErrorSink
from router.executor.introspection import (
    Introspect,
    compile_introspection,
    introspection_nodes,
)
from router.executor.nodes import compile_node
from router.executor.null_propagation import complete
from router.executor.projection import Faulty, Project, compile_projection
from router.executor.shape import ObjectShape, Shapes
from router.executor.state import ExecutionState, SubgraphCaller, SubgraphSubscriber
from router.executor.subscription import EventSource
from router.executor.variables import Variables
from router.planner.plan import QueryPlan, Subscription

PROJECTIONS_MAX: Final = 64
"""Projections kept for one operation: one for each set of values of its conditions."""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """`data` null or complete; `response_headers` of subgraphs, in the order they came."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]
    response_headers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Projection:
    """How to complete the answer under one set of conditions."""

    shape: ObjectShape
    project: Project
    introspect: Introspect | None


class CompiledOperation:
    """A validated operation with its plan. Shared by all requests that send it.

    `schema` is the API schema; `interfaces` names all interfaces of the supergraph.

    `variables` checks what a request brings; `execute` takes what that returned.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        plan: QueryPlan,
        interfaces: frozenset[str] = frozenset(),
    ) -> None:
        self.operation = operation
        self.plan = plan
        self.variables = Variables(schema, operation)
        self._schema = schema
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._run = compile_node(plan.node, interfaces) if plan.node is not None else None
        self.source = (
            EventSource(plan.node, interfaces) if isinstance(plan.node, Subscription) else None
        )
        self._condition_names = _condition_names(operation, self._fragments.values())
        self._introspection = introspection_nodes(
            operation.selection_set.selections, self._fragments
        )
        self._projections: dict[tuple[bool, ...], _Projection] = {}
        if not self._condition_names:
            self._projections[()] = self._compile_projection({})

    async def execute(
        self,
        values: Mapping[str, Any],
        *,
        call: SubgraphCaller,
        headers: Mapping[str, str],
        deadline: float,
        masked: bool = False,
    ) -> ExecutionResult:
        """Run the plan. Failures of subgraphs become errors of the answer; nothing is raised.

        `deadline` is loop time; `masked` hides the messages of subgraphs.
        """
        conditions = self.variables.conditions(values)
        errors = ErrorSink(masked=masked)
        state = ExecutionState(
            call=call,
            variables=values,
            conditions=conditions,
            headers=headers,
            deadline=deadline,
            errors=errors,
        )
        return await self._complete(state)

    async def events(
        self,
        values: Mapping[str, Any],
        *,
        subscribe: SubgraphSubscriber,
        call: SubgraphCaller,
        headers: Callable[[], Mapping[str, str]],
        deadline_seconds: float,
        masked: bool = False,
    ) -> AsyncGenerator[ExecutionResult, None]:
        """Of a subscription: the answer to each event, in order. Only for plans with a `source`.

        The next event is taken once this one's answer was. Raises StreamFailed.
        """
        assert self.source is not None
        conditions = self.variables.conditions(values)

        def new_state(sent: Mapping[str, str], deadline: float) -> ExecutionState:
            return ExecutionState(
                call=call,
                variables=values,
                conditions=conditions,
                headers=sent,
                deadline=deadline,
                errors=ErrorSink(masked=masked),
            )

        states = self.source.states(
            new_state, subscribe=subscribe, headers=headers, deadline_seconds=deadline_seconds
        )
        async with aclosing(states):
            async for state in states:
                yield await self._complete(state)

    async def _complete(self, state: ExecutionState) -> ExecutionResult:
        """Run the plan on the state, and make the answer of what is there then."""
        errors = state.errors
        if self._run is not None:
            await self._run(state)
        projection = self._projection(state.conditions)
        if projection.introspect is not None:
            projection.introspect(state.tree, state.variables, errors)
        try:
            data: dict[str, Any] | None = projection.project(state.tree)
        except (Faulty, TypeError):
            data = complete(projection.shape, state.tree, errors)
        return ExecutionResult(data, errors.finished(), state.response_headers)

    def _projection(self, conditions: Mapping[str, bool]) -> _Projection:
        key = tuple([conditions.get(name, False) for name in self._condition_names])
        projection = self._projections.get(key)
        if projection is None:
            if len(self._projections) >= PROJECTIONS_MAX:
                self._projections.clear()
            projection = self._projections[key] = self._compile_projection(conditions)
        return projection

    def _compile_projection(self, conditions: Mapping[str, bool]) -> _Projection:
        shapes = Shapes(self._schema, self.operation, self._fragments, conditions)
        root = shapes.root()
        introspect = compile_introspection(
            self._schema, self.operation, self._fragments, root, self._introspection
        )
        return _Projection(root, compile_projection(root), introspect)


def _condition_names(
    operation: OperationDefinitionNode, fragments: Iterable[FragmentDefinitionNode]
) -> tuple[str, ...]:
    """Variables in @skip and @include, sorted."""
    finder = _ConditionFinder()
    visit(operation, finder)
    for fragment in fragments:
        visit(fragment, finder)
    return tuple(sorted(finder.names))


class _ConditionFinder(Visitor):
    """Collects variables that are the argument of @skip or @include."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: Any, *_: Any) -> None:
        if node.name.value in {"skip", "include"}:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.names.add(argument.value.name.value)
