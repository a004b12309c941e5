"""INVALID_GRAPHQL: apart from what federation adds, a subgraph is a valid GraphQL schema.

The document is completed (federation's definitions, definitions for types that are only extended)
and given to graphql-core. Source: GraphQL § 3, type system validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    GraphQLError,
    InputObjectTypeDefinitionNode,
    InputObjectTypeExtensionNode,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    ScalarTypeExtensionNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
    build_ast_schema,
    parse,
    specified_directives,
    validate_schema,
)
from graphql.validation.specified_rules import specified_sdl_rules
from graphql.validation.validate import validate_sdl

from router.composition.federation_spec import (
    ALL_FEDERATION_DIRECTIVES,
    CONNECT,
    FED1_DIRECTIVES,
    FEDERATION_TYPES,
    federation_directives,
)
from router.composition.links import link_directive_name
from router.composition.machinery import renamed_definition
from router.composition.model import DirectiveDef, InputDef
from router.composition.printing import print_directive_definition
from router.composition.problems import CompositionError, Place
from router.composition.subgraph import SERVICE_TYPES, SubgraphSchema, all_applied, local_type
from router.composition.types import Named

BASES: dict[type[TypeExtensionNode], type[TypeDefinitionNode]] = {
    ScalarTypeExtensionNode: ScalarTypeDefinitionNode,
    ObjectTypeExtensionNode: ObjectTypeDefinitionNode,
    InterfaceTypeExtensionNode: InterfaceTypeDefinitionNode,
    UnionTypeExtensionNode: UnionTypeDefinitionNode,
    EnumTypeExtensionNode: EnumTypeDefinitionNode,
    InputObjectTypeExtensionNode: InputObjectTypeDefinitionNode,
}
PRELUDES_MAX = 64
"""Preludes kept parsed: subgraphs of one version and the same imports share theirs."""
ERRORS_MAX = 100
"""Errors reported of one subgraph by this rule."""


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    if subgraph.document is None:
        return
    document = _completed(subgraph, subgraph.document)
    errors = validate_sdl(document, None, list(specified_sdl_rules))
    if not errors:
        schema = build_ast_schema(document, assume_valid_sdl=True)
        query = schema.query_type.name if schema.query_type else "Query"
        errors = [error for error in validate_schema(schema) if not _tolerated(error, query)]
    for error in errors[:ERRORS_MAX]:
        yield _reported(subgraph, error)


def _tolerated(error: GraphQLError, query: str) -> bool:
    """A query root with nothing in it, and what only drafts after GraphQL 2021 forbid."""
    return error.message in (
        "Query root type must be provided.",
        f"Type {query} must define one or more fields.",
    ) or error.message.endswith("must not be deprecated.")


def _reported(subgraph: SubgraphSchema, error: GraphQLError) -> CompositionError:
    places = tuple(
        Place(subgraph.name, location.line, location.column) for location in error.locations or ()
    )
    where = f" (line {places[0].line}, column {places[0].column})" if places else ""
    advice = _advice(subgraph, error.message)
    message = f"[{subgraph.name}] {error.message}{advice}{where}"
    return CompositionError("INVALID_GRAPHQL", message, (subgraph.name,), (), places)


def _advice(subgraph: SubgraphSchema, message: str) -> str:
    prefix = "Unknown directive '@"
    if not message.startswith(prefix):
        return ""
    name = message[len(prefix) :].partition("'")[0]
    if name not in ALL_FEDERATION_DIRECTIVES:
        return ""
    if not subgraph.federation2:
        return f" To use @{name}, link federation v2 in this schema."
    names = subgraph.local.get(name)
    if names is None:
        return f" @{name} is newer than the federation version linked here."
    return f' It is called @{names[0]} here: import "@{name}" in the @link to federation.'


def _completed(subgraph: SubgraphSchema, document: DocumentNode) -> DocumentNode:
    own_directives = {name for names in subgraph.local.values() for name in names}
    own_directives.add(link_directive_name(subgraph.schema))
    own_types = {local_type(subgraph, name) for name in FEDERATION_TYPES}
    own_types |= {"link__Import", "link__Purpose"}
    built_in = {directive.name for directive in specified_directives}
    definitions: list[DefinitionNode] = []
    defined: set[str] = set()
    for node in document.definitions:
        if isinstance(node, DirectiveDefinitionNode) and node.name.value in (
            own_directives | built_in
        ):
            continue
        if isinstance(node, TypeDefinitionNode):
            if node.name.value in own_types:
                continue
            defined.add(node.name.value)
        definitions.append(node)
    for position, node in enumerate(definitions):
        if isinstance(node, TypeExtensionNode) and node.name.value not in defined:
            defined.add(node.name.value)
            keys = [key for key in node.keys if key != "kind"]
            definitions[position] = BASES[type(node)](
                **{key: getattr(node, key) for key in keys if hasattr(node, key)}
            )
    prelude = _prelude(subgraph, defined)
    return DocumentNode(definitions=(*prelude.definitions, *definitions), loc=document.loc)


def _prelude(subgraph: SubgraphSchema, defined: set[str]) -> DocumentNode:
    types = {name: local_type(subgraph, name) for name in FEDERATION_TYPES}
    link = link_directive_name(subgraph.schema)
    lines = [f"scalar {name}" for name in sorted({*types.values()})]
    lines += [f"scalar {name}" for name in SERVICE_TYPES if name not in defined]
    lines.append("scalar link__Import enum link__Purpose { SECURITY EXECUTION }")
    lines.append(
        f"directive @{link}(url: String, as: String, for: link__Purpose, import: [link__Import])"
        " repeatable on SCHEMA"
    )
    known = ALL_FEDERATION_DIRECTIVES | federation_directives(subgraph.version)
    for name, locals_ in subgraph.local.items():
        if not subgraph.federation2 and name not in FED1_DIRECTIVES and locals_ == (name,):
            continue
        for local in locals_:
            definition = renamed_definition(known[name], local, types)
            lines.append(print_directive_definition(definition))
    lines += map(print_directive_definition, _connector_definitions(subgraph))
    return _parsed("\n".join(lines))


@lru_cache(maxsize=PRELUDES_MAX)
def _parsed(prelude: str) -> DocumentNode:
    return parse(prelude, no_location=True)


def _connector_definitions(subgraph: SubgraphSchema) -> Iterator[DirectiveDef]:
    """Connector directives as they are used: composition hands them on without looking inside."""
    for link in subgraph.links:
        if link.identity != CONNECT:
            continue
        for name in ("connect", "source"):
            local = link.local_directive(name)
            if local in subgraph.schema.directives:
                continue
            args = {
                argument: InputDef(argument, Named("link__Import"))
                for one in all_applied(subgraph.schema)
                if one.name == local
                for argument in one.args
            }
            locations = ["SCHEMA", "OBJECT", "FIELD_DEFINITION"]
            yield DirectiveDef(local, locations, args, repeatable=True)
