"""A supergraph, read: who has what, and the schema clients see."""

from __future__ import annotations

from functools import cached_property

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    StringValueNode,
    TypeDefinitionNode,
    is_abstract_type,
    parse,
)

from router.supergraph.api_schema import build_schemas
from router.supergraph.errors import SupergraphSyntax
from router.supergraph.features import Features, read_features
from router.supergraph.field_sets import check_field_sets
from router.supergraph.join_spec import read_views
from router.supergraph.schema import subgraph_schema
from router.supergraph.views import Subgraph, View


class Supergraph:
    """What `from_sdl` reads. Not changed afterwards.

    `schema` is the whole graph, @inaccessible elements included (keys and requirements may use
    them); `api_schema` what clients see. `views` are by graph, the subgraph's enum value.
    """

    def __init__(self, document: DocumentNode, features: Features) -> None:
        self.features = features
        self.views: dict[str, View] = read_views(document, features)
        self.schema, self.api_schema, self.inaccessible_enum_values = build_schemas(
            document, features
        )
        check_field_sets(self.schema, self.views)
        self.subgraphs: tuple[Subgraph, ...] = tuple(view.subgraph for view in self.views.values())
        self.override_labels: frozenset[str] = frozenset(
            field.label.label
            for view in self.views.values()
            for local in view.types.values()
            for field in local.fields.values()
            if field.label
        )
        self.contexts: dict[str, frozenset[str]] = _contexts(document, features)
        self._possible: dict[str, frozenset[str]] = {}
        self._schemas: dict[str, GraphQLSchema] = {}

    @classmethod
    def from_sdl(cls, sdl: str) -> Supergraph:
        """Read supergraph SDL (join v0.2-v0.5). Raises SupergraphError."""
        try:
            document = parse(sdl, no_location=True)
        except GraphQLError as error:
            where = error.locations[0] if error.locations else None
            raise SupergraphSyntax(
                error.message, where.line if where else 1, where.column if where else 1
            ) from error
        return cls(document, read_features(document))

    @cached_property
    def roots(self) -> dict[str, str]:
        """Operation kind (`query`, `mutation`, `subscription`) to the name of its root type."""
        named = {
            "query": self.schema.query_type,
            "mutation": self.schema.mutation_type,
            "subscription": self.schema.subscription_type,
        }
        return {kind: root.name for kind, root in named.items() if root}

    def possible_types(self, name: str) -> frozenset[str]:
        """Object types a value of type `name` can have; empty for a leaf type."""
        found = self._possible.get(name)
        if found is None:
            type_ = self.schema.type_map.get(name)
            if type_ is not None and is_abstract_type(type_):
                found = frozenset(one.name for one in self.schema.get_possible_types(type_))
            else:
                found = frozenset((name,)) if hasattr(type_, "fields") else frozenset()
            self._possible[name] = found
        return found

    def subgraph_schema(self, name: str) -> GraphQLSchema:
        """The schema of the subgraph called `name`, for checking what is sent there."""
        if name not in self._schemas:
            view = next(view for view in self.views.values() if view.subgraph.name == name)
            self._schemas[name] = subgraph_schema(view, self.roots, self.schema.directives)
        return self._schemas[name]


def _contexts(document: DocumentNode, features: Features) -> dict[str, frozenset[str]]:
    """Context name to the types that set it (`@context` in the supergraph)."""
    directive = features.directive("context", "context")
    found: dict[str, set[str]] = {}
    for definition in document.definitions:
        if directive and isinstance(definition, TypeDefinitionNode):
            for one in definition.directives or ():
                if one.name.value == directive and (name := _name(one)):
                    found.setdefault(name, set()).add(definition.name.value)
    return {name: frozenset(types) for name, types in found.items()}


def _name(directive: DirectiveNode) -> str | None:
    for argument in directive.arguments or ():
        if argument.name.value == "name" and isinstance(argument.value, StringValueNode):
            return argument.value.value
    return None
