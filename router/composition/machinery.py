"""What makes a merged schema a supergraph: links, and the definitions of the specs it links to."""

from __future__ import annotations

import re

from graphql import parse

from router.composition.build import build_schema
from router.composition.federation_spec import (
    ALL_FEDERATION_DIRECTIVES,
    COMPOSED,
    CONNECT,
    FEATURE_DIRECTIVES,
    JOIN,
    LINK,
    Version,
    join_version,
)
from router.composition.merge.records import Merge
from router.composition.model import (
    Directive,
    DirectiveDef,
    EnumValueDef,
    InputDef,
    Schema,
    TypeDef,
)
from router.composition.subgraph import SubgraphSchema
from router.composition.types import ListOf, Named, NonNull, TypeRef, base_name
from router.composition.values import EnumLiteral, Value

_LINK_DEFINITIONS = '''
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
scalar link__Import
enum link__Purpose {
  """What the feature says must be obeyed for access to be safe."""
  SECURITY
  """What the feature says must be obeyed for execution to be right."""
  EXECUTION
}
'''
_JOIN_DEFINITIONS = """
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
directive @join__field(
  graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String,
  external: Boolean, override: String, usedOverridden: Boolean
) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__implements(graph: join__Graph!, interface: String!)
  repeatable on OBJECT | INTERFACE
directive @join__type(
  graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false,
  resolvable: Boolean! = true, isInterfaceObject: Boolean! = false
) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
scalar join__FieldSet
"""
_JOIN_DIRECTIVE = """
directive @join__directive(
  graphs: [join__Graph!], name: String!, args: join__DirectiveArguments
) repeatable on SCHEMA | OBJECT | INTERFACE | FIELD_DEFINITION
scalar join__DirectiveArguments
"""
_JOIN_CONTEXT = """
input join__ContextArgument {
  name: String!
  type: String!
  context: String!
  selection: join__FieldValue!
}
scalar join__FieldValue
"""


def name_graphs(subgraphs: list[SubgraphSchema]) -> None:
    """Give each subgraph its value of `join__Graph`: its name, sanitised, numbered on a clash."""
    by_name: dict[str, list[SubgraphSchema]] = {}
    for subgraph in subgraphs:
        by_name.setdefault(graph_name(subgraph.name), []).append(subgraph)
    taken = {name for name, group in by_name.items() if len(group) == 1}
    for name, group in by_name.items():
        if len(group) == 1:
            group[0].graph = name
            continue
        number = 0
        for subgraph in group:
            number += 1
            while f"{name}_{number}" in taken:
                number += 1
            subgraph.graph = f"{name}_{number}"
            taken.add(subgraph.graph)


def graph_name(name: str) -> str:
    """The name in capitals with `_` for what GraphQL allows not; never one ending in `_9`."""
    cleaned = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not cleaned or cleaned[0].isdigit():
        cleaned = f"_{cleaned}"
    return re.sub(r"(_\d+)$", r"\1_", cleaned.upper())


def latest_version(subgraphs: list[SubgraphSchema]) -> Version:
    """The newest federation version in use, features that imply one counted."""
    linked = [one.implied_version for one in subgraphs if one.federation2]
    return max(linked, default=(2, 4))


def complete(merge: Merge) -> Schema:
    """The supergraph: the merged schema with its links and definitions. Changes `merge.schema`."""
    schema = merge.schema
    version = join_version(latest_version(merge.subgraphs))
    links = [
        Directive("link", {"url": f"{LINK}/v1.0"}),
        Directive("link", {"url": f"{JOIN}/{version}", "for": EnumLiteral("EXECUTION")}),
    ]
    links += _feature_links(merge)
    links += [_custom_link(merge, identity) for identity in merge.composed.features]
    if merge.composed.joined_links:
        newest = max(link.version or (0, 1) for link in merge.composed.joined_links)
        newest = max(newest, (0, 3))
        url = f"{CONNECT}/v{newest[0]}.{newest[1]}"
        links.append(Directive("link", {"url": url, "for": EnumLiteral("EXECUTION")}))
    schema.applied = [*links, *schema.applied]
    source = _LINK_DEFINITIONS + _JOIN_DEFINITIONS
    if version >= "v0.4":
        source += _JOIN_DIRECTIVE
    if version >= "v0.5":
        source += _JOIN_CONTEXT
    definitions = build_schema(parse(source, no_location=True))
    field = definitions.directives["join__field"]
    if version >= "v0.4":
        field.args["overrideLabel"] = InputDef("overrideLabel", Named("String"))
    if version >= "v0.5":
        contexts = ListOf(NonNull(Named("join__ContextArgument")))
        field.args["contextArguments"] = InputDef("contextArguments", contexts)
    schema.types |= definitions.types
    schema.directives |= definitions.directives
    schema.types["join__Graph"] = TypeDef(
        "enum",
        "join__Graph",
        values={
            one.graph: EnumValueDef(
                one.graph, None, [Directive("join__graph", {"name": one.name, "url": one.url})]
            )
            for one in merge.subgraphs
        },
    )
    _add_federated_definitions(merge)
    return schema


def _feature_links(merge: Merge) -> list[Directive]:
    names: dict[str, dict[str, str]] = {}
    for name, local in merge.composed.federated.items():
        names.setdefault(COMPOSED[name].feature, {})[name] = local
    answer: list[Directive] = []
    for feature, directives in names.items():
        spec = COMPOSED[next(iter(directives))]
        args: dict[str, Value] = {"url": f"{spec.identity}/{spec.version}"}
        imports: list[Value] = []
        for name, local in directives.items():
            if spec.joined:
                continue
            if name == local and name != feature:
                imports.append(f"@{name}")
            elif name != local:
                imports.append({"name": f"@{name}", "as": f"@{local}"})
        if imports:
            args["import"] = imports
        if spec.purpose:
            args["for"] = EnumLiteral(spec.purpose)
        answer.append(Directive("link", args))
    return answer


def _custom_link(merge: Merge, identity: str) -> Directive:
    link = merge.composed.features[identity]
    imports: list[Value] = [
        f"@{custom.name}"
        if custom.name == custom.original
        else {"name": f"@{custom.original}", "as": f"@{custom.name}"}
        for custom in merge.composed.custom.values()
        if custom.identity == identity
    ]
    return Directive("link", {"url": link.url, "import": imports})


def _add_federated_definitions(merge: Merge) -> None:
    schema = merge.schema
    for name, local in merge.composed.federated.items():
        spec = COMPOSED[name]
        if spec.joined:
            continue
        prefix = {kind: f"{spec.feature}__{kind}" for kind in spec.types}
        schema.directives[local] = renamed_definition(
            ALL_FEDERATION_DIRECTIVES[name], local, prefix
        )
        for kind in prefix.values():
            schema.types[kind] = TypeDef("scalar", kind)
        for other, _ in FEATURE_DIRECTIVES[spec.feature]:
            if other not in merge.composed.federated:
                full = f"{spec.feature}__{other}"
                schema.directives[full] = renamed_definition(
                    ALL_FEDERATION_DIRECTIVES[other], full, prefix
                )


def renamed_definition(definition: DirectiveDef, name: str, types: dict[str, str]) -> DirectiveDef:
    """A definition under another name, its types renamed as `types` says."""

    def ref(one: TypeRef) -> TypeRef:
        if base_name(one) not in types:
            return one
        if isinstance(one, Named):
            return Named(types[one.name])
        if isinstance(one, ListOf):
            return ListOf(ref(one.inner))
        inner = ref(one.inner)
        assert not isinstance(inner, NonNull)
        return NonNull(inner)

    args = {
        key: InputDef(key, ref(argument.type), argument.default)
        for key, argument in definition.args.items()
    }
    return DirectiveDef(name, definition.locations, args, definition.repeatable)
