"""Plans written by hand, run over subgraphs that say what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    is_interface_type,
    parse,
    validate,
)

from router.config import RouterConfig
from router.executor import CompiledOperation, ExecutionResult, Subgraphs
from router.planner.plan import (
    EntityCall,
    Fetch,
    OperationKind,
    Path,
    PlanNode,
    QueryPlan,
    RequiredField,
    RequiredFragment,
    RequiredSelection,
)
from router.transport import InProcessSubgraph

Say = Callable[[dict[str, Any]], Any] | dict[str, Any]
"""An answer, or a function from the variables to one."""


class Services:
    """In-process subgraphs by name; `asked` keeps (name, query, variables) in order."""

    def __init__(self, **says: Say) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.says = says

    def subgraphs(self, config: RouterConfig | None = None) -> Subgraphs:
        """The way to them."""
        transports = {name: InProcessSubgraph(name, self._call(name)) for name in self.says}
        return Subgraphs(transports, config or RouterConfig())

    def _call(self, name: str) -> Any:
        async def call(
            query: str, variables: dict[str, Any], _: str | None, headers: Mapping[str, str]
        ) -> Any:
            self.asked.append((name, query, variables))
            say = self.says[name]
            answer = say(variables) if callable(say) else say
            return await answer if asyncio.iscoroutine(answer) else answer

        return call


def root(subgraph: str, operation: str = "{x}", **more: Any) -> Fetch:
    """A root fetch."""
    return Fetch(0, subgraph, operation, more.pop("kind", OperationKind.QUERY), **more)


def entities(
    subgraph: str, path: Path, *required: RequiredSelection | str, on: str = "Product", **more: Any
) -> Fetch:
    """An entity fetch of one call, whose required fields are leaves unless given whole."""
    return Fetch(
        0,
        subgraph,
        "query($r:[_Any!]!){_entities(representations:$r){x}}",
        OperationKind.QUERY,
        entities=(call(path, *required, on=on, **more),),
    )


def call(
    path: Path,
    *required: RequiredSelection | str,
    on: str = "Product",
    alias: str = "_entities",
    variable: str = "r",
    **more: Any,
) -> EntityCall:
    """One `_entities` selection."""
    fields = tuple(
        RequiredField(item, item) if isinstance(item, str) else item for item in required
    )
    fragment = RequiredFragment(on, frozenset({on}), fields)
    return EntityCall(alias, variable, path, (fragment,), **more)


async def execute(
    schema: GraphQLSchema,
    query: str,
    node: PlanNode | None,
    services: Services,
    *,
    variables: dict[str, Any] | None = None,
    seconds: float = 5.0,
    masked: bool = False,
) -> ExecutionResult:
    """Run a plan for an operation."""
    document = parse(query)
    assert not validate(schema, document)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    compiled = CompiledOperation(
        schema,
        document,
        operation,
        QueryPlan(node),
        frozenset(name for name, kind in schema.type_map.items() if is_interface_type(kind)),
    )
    return await compiled.execute(
        compiled.variables.check(variables or {}),
        call=services.subgraphs(),
        headers={},
        deadline=asyncio.get_running_loop().time() + seconds,
        masked=masked,
    )
