"""Subgraphs for tests of the router: SDL and resolvers, answered by graphql-core, composed by ours.

    graph = FederatedGraph(
        products=Service(SDL, {"Query.product": lambda _, id: ..., "Product": lambda key: ...}),
    )

A resolver named `Type` answers `_entities` for that type; `Type.field` resolves a field;
`Subscription.field` is an async generator function of its events.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    ExecutionResult,
    GraphQLObjectType,
    ObjectTypeExtensionNode,
    SchemaExtensionNode,
    build_ast_schema,
    extend_schema,
    graphql,
    parse,
    subscribe,
)

from router.composition import Subgraph, compose
from router.transport import InProcessSubgraph

FEDERATION = """
extend schema @link(
  url: "https://specs.apollo.dev/federation/v2.3"
  import: [
    "@key" "@external" "@requires" "@provides" "@shareable" "@inaccessible" "@interfaceObject"
  ]
)
"""
DEFINITIONS = """
directive @key(fields: String!, resolvable: Boolean) repeatable on OBJECT | INTERFACE
directive @external on FIELD_DEFINITION | OBJECT
directive @requires(fields: String!) on FIELD_DEFINITION
directive @provides(fields: String!) on FIELD_DEFINITION
directive @shareable on FIELD_DEFINITION | OBJECT
directive @inaccessible on FIELD_DEFINITION | OBJECT | ENUM_VALUE | INPUT_FIELD_DEFINITION
directive @interfaceObject on OBJECT
scalar _Any
"""


@dataclass
class Service:
    """A subgraph; `asked` keeps what it was asked: (query, variables, headers)."""

    sdl: str
    resolvers: Mapping[str, Callable[..., Any]]
    asked: list[tuple[str, dict[str, Any], Mapping[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        kept = [
            node
            for node in parse(self.sdl).definitions
            if not isinstance(node, (SchemaExtensionNode, DirectiveDefinitionNode))
        ]
        entities = sorted(name for name in self.resolvers if "." not in name)
        more = DEFINITIONS
        if entities:
            more += f"union _Entity = {' | '.join(entities)}\n"
            more += "extend type Query { _entities(representations: [_Any!]!): [_Entity]! }"
        if not any(getattr(getattr(node, "name", None), "value", "") == "Query" for node in kept):
            more += "type Query { _: Int }\n"
        more_nodes = parse(more).definitions
        extensions = [node for node in more_nodes if isinstance(node, ObjectTypeExtensionNode)]
        plain = [node for node in more_nodes if node not in extensions]
        self.schema = build_ast_schema(
            DocumentNode(definitions=(*kept, *plain)), assume_valid_sdl=True
        )
        if extensions:
            self.schema = extend_schema(
                self.schema, DocumentNode(definitions=tuple(extensions)), assume_valid_sdl=True
            )
        for name, resolve in self.resolvers.items():
            owner, _, member = name.partition(".")
            if member:
                kind = self.schema.get_type(owner)
                assert isinstance(kind, GraphQLObjectType)
                if owner == "Subscription":
                    kind.fields[member].subscribe = _field(resolve)
                    kind.fields[member].resolve = lambda event, info, **_: event
                else:
                    kind.fields[member].resolve = _field(resolve)
        if entities:
            assert self.schema.query_type is not None
            self.schema.query_type.fields["_entities"].resolve = self._entities

    def _entities(self, _: Any, info: Any, representations: list[dict[str, Any]]) -> list[Any]:
        found = []
        for representation in representations:
            name = representation.pop("__typename")
            try:
                entity = self.resolvers[name](representation)
            except Exception as error:
                found.append(error)
            else:
                found.append(entity and {"__typename": name, **entity})
        return found

    async def __call__(
        self, query: str, variables: dict[str, Any], name: str | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        self.asked.append((query, variables, headers))
        result = await graphql(self.schema, query, variable_values=variables, operation_name=name)
        return dict(result.formatted)

    async def subscribe(
        self, query: str, variables: dict[str, Any], name: str | None, headers: Mapping[str, str]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """A resolver named `Subscription.field` is an async generator of the field's values."""
        self.asked.append((query, variables, headers))
        results = subscribe(
            self.schema, parse(query), variable_values=variables, operation_name=name
        )
        if isawaitable(results):
            results = await results
        if isinstance(results, ExecutionResult):
            yield {"errors": [error.formatted for error in results.errors or ()]}
            return
        async with aclosing(results) as events:
            async for result in events:
                yield dict(result.formatted)


def _field(resolve: Callable[..., Any]) -> Callable[..., Any]:
    return lambda parent, info, **arguments: resolve(parent, **arguments)


class FederatedGraph:
    """Services and the supergraph they compose into."""

    def __init__(self, **services: Service) -> None:
        self.services = services
        result = compose(
            Subgraph(name, FEDERATION + service.sdl, f"http://{name}.test/graphql")
            for name, service in services.items()
        )
        assert result.supergraph_sdl is not None, result.errors
        self.supergraph_sdl = result.supergraph_sdl

    def transports(self) -> dict[str, InProcessSubgraph]:
        """The services as in-process subgraphs."""
        return {
            name: InProcessSubgraph(name, service, service.subscribe)
            for name, service in self.services.items()
        }
