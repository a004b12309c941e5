"""Answers from a graph's data: as one schema, and as subgraphs that do only what is theirs.

A subgraph's resolvers know what its SDL says. A field that is @external and not provided, or
overridden elsewhere, is not answered; a field with @requires sees its representation alone. Asking
for more than that is a `Trespass`, which ends the run: the router was wrong, not the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SchemaExtensionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
    execute_sync,
    extend_schema,
    get_argument_values,
    parse,
    value_from_ast_untyped,
)

from tests.support.differential.case import Graph

MACHINERY = """
directive @key(fields: String!, resolvable: Boolean) repeatable on OBJECT | INTERFACE
directive @external on FIELD_DEFINITION | OBJECT
directive @requires(fields: String!) on FIELD_DEFINITION
directive @provides(fields: String!) on FIELD_DEFINITION
directive @shareable on FIELD_DEFINITION | OBJECT
directive @override(from: String!, label: String) on FIELD_DEFINITION
directive @inaccessible on FIELD_DEFINITION
directive @interfaceObject on OBJECT
scalar _Any
"""


class Trespass(Exception):
    """A subgraph was asked for what it does not resolve, or in a way that nobody may ask it."""


@dataclass(frozen=True)
class Held:
    """An object as one subgraph holds it; `provided` says which external fields come with it."""

    id: str
    provided: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rule:
    """How a subgraph resolves a field."""

    external: bool = False
    requires: SelectionSetNode | None = None
    provides: Mapping[str, Any] = field(default_factory=dict)
    taken_if: str | None = None
    mine_if: str | None = None


ALWAYS = ""
"""In `Rule.taken_if`: taken whatever the labels."""


class Store:
    """The data of a graph with a clock that mutations turn."""

    def __init__(self, graph: Graph) -> None:
        self.data = graph.data
        self.clock = 0
        schema = self.schema = build_ast_schema(parse(graph.whole), assume_valid_sdl=True)
        self.implementations = {
            name: frozenset(one.name for one in schema.get_possible_types(kind))  # type: ignore[arg-type]
            for name, kind in schema.type_map.items()
            if hasattr(kind, "resolve_type")
        }
        self.computed: dict[tuple[str, str], SelectionSetNode] = {}
        self._keys: dict[tuple[str, tuple[str, ...]], dict[str, str]] = {}
        for text in graph.subgraphs.values():
            for type_, name, directives in _fields_of(parse(text, no_location=True)):
                if "requires" in directives:
                    self.computed[type_, name] = field_set(directives["requires"][0]["fields"])

    def typename(self, id_: str) -> str:
        """The concrete type of an object."""
        return str(self.data[id_]["__typename"])

    def is_a(self, id_: str, type_: str) -> bool:
        """Whether an object is of a type, or of a member of it."""
        found = self.typename(id_)
        return found == type_ or found in self.implementations.get(type_, ())

    def value(self, id_: str, name: str, arguments: Mapping[str, Any]) -> Any:
        """A field's value, markers and all, but for what arguments and the clock do to it.

        Raises GraphQLError where the data says that it fails.
        """
        kept = self.data[id_].get(name)
        needed = self.computed.get((self.typename(id_), name))
        if needed is not None:
            return self.compute(self.select(id_, needed))
        if isinstance(kept, dict) and "!" in kept:
            raise GraphQLError(kept["!"])
        if isinstance(kept, dict) and "~" in kept:
            return f"{kept['~']} at {self.clock}"
        return _with_arguments(kept, arguments)

    def compute(self, needed: Any) -> str:
        """What a field with @requires makes of what it requires."""
        return "of " + json.dumps(needed, sort_keys=True)

    def select(self, id_: str, selection: SelectionSetNode) -> dict[str, Any]:
        """The plain values that a field set selects on an object."""
        result: dict[str, Any] = {}
        for one in selection.selections:
            if isinstance(one, InlineFragmentNode):
                assert one.type_condition is not None
                if self.is_a(id_, one.type_condition.name.value):
                    result = _merged(result, self.select(id_, one.selection_set))
            elif isinstance(one, FieldNode) and one.name.value != "__typename":
                value = self.value(id_, one.name.value, self._arguments(id_, one))
                result[one.name.value] = self._plain(value, one.selection_set)
        return result

    def _arguments(self, id_: str, node: FieldNode) -> dict[str, Any]:
        """Arguments in a field set, with defaults. Only public fields have arguments."""
        kind = self.schema.type_map[self.typename(id_)]
        assert isinstance(kind, GraphQLObjectType)
        found = kind.fields.get(node.name.value)
        return get_argument_values(found, node) if found is not None else {}

    def _plain(self, value: Any, selection: SelectionSetNode | None) -> Any:
        if isinstance(value, list):
            return [self._plain(item, selection) for item in value]
        if isinstance(value, dict) and "@" in value:
            assert selection is not None
            return self.select(value["@"], selection)
        return value["#"] if isinstance(value, dict) and "#" in value else value

    def find(self, type_: str, key: SelectionSetNode, representation: Mapping[str, Any]) -> str:
        """The id of the object that a representation means. Raises Trespass if none is."""
        text = json.dumps(_picked(representation, key), sort_keys=True)
        index = (type_, tuple(sorted(representation)))
        known = self._keys.get(index)
        if known is None:
            known = self._keys[index] = {
                json.dumps(self.select(one, key), sort_keys=True): one
                for one in self.data
                if self.is_a(one, type_)
            }
        if text not in known:
            raise Trespass(f"no {type_} is {text}")
        return known[text]


class Whole:
    """The graph as one schema."""

    def __init__(self, graph: Graph, store: Store) -> None:
        self.store = store
        self.schema = build_ast_schema(parse(graph.whole))

    def execute(self, document: DocumentNode, variables: dict[str, Any]) -> ExecutionResult:
        """Answer an operation."""
        self.store.clock = 0
        return execute_sync(
            self.schema,
            document,
            _root(document),
            variable_values=variables,
            field_resolver=self._resolve,
            type_resolver=lambda held, *_: self.store.typename(held.id),
        )

    def _resolve(self, held: Held, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        if info.parent_type.name == "Mutation":
            self.store.clock += 1
        return _held(self.store.value(held.id, info.field_name, arguments), {})


class Part:
    """One subgraph."""

    def __init__(self, name: str, text: str, store: Store, taken: Taken) -> None:
        self.name, self.store = name, store
        document = parse(text, no_location=True)
        self.keys: dict[str, list[SelectionSetNode]] = {}
        self.fakes: set[str] = set()
        self.rules: dict[tuple[str, str], Rule] = {}
        self.labels: frozenset[str] = frozenset()
        self.trespasses: list[str] = []
        self._documents: dict[str, DocumentNode] = {}
        self._read(document, taken)
        self.schema = self._schema(document)

    def _read(self, document: DocumentNode, taken: Taken) -> None:
        for node in document.definitions:
            if isinstance(node, (ObjectTypeDefinitionNode, InterfaceTypeDefinitionNode)):
                directives = arguments_by_directive(node.directives)
                self.keys[node.name.value] = [
                    field_set(key["fields"])
                    for key in directives.get("key", ())
                    if key.get("resolvable", True)
                ]
                if "interfaceObject" in directives:
                    self.fakes.add(node.name.value)
        for type_, name, directives in _fields_of(document):
            requires, provides = directives.get("requires"), directives.get("provides")
            override = directives.get("override")
            self.rules[type_, name] = Rule(
                "external" in directives,
                field_set(requires[0]["fields"]) if requires else None,
                field_map(field_set(provides[0]["fields"])) if provides else {},
                taken.get((self.name, type_, name)),
                (override[0].get("label") if override else None),
            )

    def _schema(self, document: DocumentNode) -> GraphQLSchema:
        kept = [one for one in document.definitions if not isinstance(one, SchemaExtensionNode)]
        unions = {
            one.name.value
            for one in document.definitions
            if isinstance(one, UnionTypeDefinitionNode)
        }
        entities = sorted(
            one.name.value
            for one in document.definitions
            if isinstance(one, ObjectTypeDefinitionNode)
            and "key" in arguments_by_directive(one.directives)
        )
        assert not unions & set(entities)
        schema = build_ast_schema(
            DocumentNode(definitions=(*parse(MACHINERY).definitions, *kept)), assume_valid_sdl=True
        )
        if schema.query_type is None:
            schema = build_ast_schema(
                DocumentNode(
                    definitions=(
                        *parse(MACHINERY).definitions,
                        *kept,
                        *parse("type Query { _none: Int }").definitions,
                    )
                ),
                assume_valid_sdl=True,
            )
        if not entities:
            return schema
        more = f"union _Entity = {' | '.join(entities)}\n"
        more += "extend type Query { _entities(representations: [_Any!]!): [_Entity]! }"
        return extend_schema(schema, parse(more), assume_valid_sdl=True)

    def execute(self, text: str, variables: dict[str, Any]) -> ExecutionResult:
        """Answer a request of the router; trespasses are noted as well."""
        document = self._documents.get(text)
        if document is None:
            document = self._documents[text] = parse(text, no_location=True)
        return execute_sync(
            self.schema,
            document,
            _root(document),
            variable_values=variables,
            field_resolver=self._resolve,
            type_resolver=self._type,
        )

    def _type(self, held: Held, *_: Any) -> str:
        found = self.store.typename(held.id)
        for fake in self.fakes:
            if found in self.store.implementations.get(fake, ()):
                return fake
        if found not in self.schema.type_map:
            self._wrong(f"{found} is not known here")
        return found

    def _resolve(self, held: Held, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        type_, name = info.parent_type.name, info.field_name
        if name == "_entities":
            return [self._entity(one) for one in arguments["representations"]]
        rule = self.rules[type_, name]
        if type_ == "Mutation":
            self.store.clock += 1
        below: Mapping[str, Any] = {}
        if name in held.provided:
            below = held.provided[name]
        elif rule.external:
            self._wrong(f"{type_}.{name} is external and not provided")
        elif self._is_taken(rule):
            self._wrong(f"{type_}.{name} is overridden")
        elif rule.requires is not None:
            if held.sent is None:
                self._wrong(f"{type_}.{name} was asked without a representation")
            return self.store.compute(self._required(held.sent, rule.requires, f"{type_}.{name}"))
        value = self.store.value(held.id, name, arguments)
        return _held(value, united(below, rule.provides))

    def _is_taken(self, rule: Rule) -> bool:
        if rule.taken_if is not None and (rule.taken_if == ALWAYS or rule.taken_if in self.labels):
            return True
        return rule.mine_if is not None and rule.mine_if not in self.labels

    def _entity(self, representation: dict[str, Any]) -> Held:
        type_ = representation.get("__typename")
        sent = {name: value for name, value in representation.items() if name != "__typename"}
        for key in self.keys.get(str(type_), ()):
            if _covered(sent, key):
                wanted = _union_of(
                    rule.requires for (on, _), rule in self.rules.items() if on == type_
                )
                extra = set(sent) - set(field_map(key)) - set(wanted)
                if extra:
                    self._wrong(f"{type_}: {sorted(extra)} sent besides a key and what is required")
                try:
                    found = self.store.find(str(type_), key, _picked(sent, key))
                except Trespass as error:
                    self._wrong(str(error))
                return Held(found, sent=sent)
        self._wrong(f"{representation} has no key of {type_}")
        raise AssertionError

    def _required(self, sent: Any, selection: SelectionSetNode, where: str) -> Any:
        result: dict[str, Any] = {}
        for one in selection.selections:
            if isinstance(one, InlineFragmentNode):
                assert one.type_condition is not None
                on, runtime = one.type_condition.name.value, sent.get("__typename")
                if runtime is None:
                    self._wrong(f"{where}: no __typename for `... on {on}`")
                if runtime == on or runtime in self.store.implementations.get(on, ()):
                    result = _merged(result, self._required(sent, one.selection_set, where))
            elif isinstance(one, FieldNode) and one.name.value != "__typename":
                if one.name.value not in sent:
                    self._wrong(f"{where} requires {one.name.value}, which was not sent")
                result[one.name.value] = self._deep(sent[one.name.value], one.selection_set, where)
        return result

    def _deep(self, value: Any, selection: SelectionSetNode | None, where: str) -> Any:
        if isinstance(value, list):
            return [self._deep(item, selection, where) for item in value]
        return (
            value if value is None or selection is None else self._required(value, selection, where)
        )

    def _wrong(self, what: str) -> None:
        self.trespasses.append(f"{self.name}: {what}")
        raise Trespass(what)


Taken = dict[tuple[str, str, str], str]
"""(subgraph, type, field) to the label under which another subgraph has it, or ALWAYS."""


def taken_fields(subgraphs: Mapping[str, str]) -> Taken:
    """All fields that @override takes from a subgraph."""
    found: Taken = {}
    for text in subgraphs.values():
        for type_, name, directives in _fields_of(parse(text, no_location=True)):
            for override in directives.get("override", ()):
                found[override["from"], type_, name] = override.get("label") or ALWAYS
    return found


def arguments_by_directive(
    nodes: Iterable[DirectiveNode] | None,
) -> dict[str, list[dict[str, Any]]]:
    """Directive names to the arguments of each application."""
    found: dict[str, list[dict[str, Any]]] = {}
    for node in nodes or ():
        values = {one.name.value: value_from_ast_untyped(one.value) for one in node.arguments or ()}
        found.setdefault(node.name.value, []).append(values)
    return found


def _fields_of(
    document: DocumentNode,
) -> Iterable[tuple[str, str, dict[str, list[dict[str, Any]]]]]:
    for node in document.definitions:
        if isinstance(node, ObjectTypeDefinitionNode):
            for one in node.fields or ():
                yield node.name.value, one.name.value, arguments_by_directive(one.directives)


def field_set(text: str) -> SelectionSetNode:
    """A parsed field set."""
    operation = parse(f"{{ {text} }}", no_location=True).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set


def field_map(selection: SelectionSetNode | None) -> dict[str, Any]:
    """A field set as nested maps, fragments inlined."""
    result: dict[str, Any] = {}
    for one in selection.selections if selection else ():
        if isinstance(one, InlineFragmentNode):
            result = united(result, field_map(one.selection_set))
        elif isinstance(one, FieldNode):
            below = field_map(one.selection_set)
            result[one.name.value] = united(result.get(one.name.value, {}), below)
    return result


def united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both maps, deeply."""
    result = dict(one)
    for key, value in other.items():
        result[key] = united(result.get(key, {}), value)
    return result


def _union_of(selections: Iterable[SelectionSetNode | None]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for one in selections:
        result = united(result, field_map(one))
    return result


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _covered(sent: Any, key: SelectionSetNode) -> bool:
    return isinstance(sent, dict) and all(
        isinstance(one, FieldNode)
        and one.name.value in sent
        and (one.selection_set is None or _covered(sent[one.name.value], one.selection_set))
        for one in key.selections
    )


def _picked(sent: Mapping[str, Any], key: SelectionSetNode) -> dict[str, Any]:
    return {
        one.name.value: sent[one.name.value]
        if one.selection_set is None
        else _picked(sent[one.name.value], one.selection_set)
        for one in key.selections
        if isinstance(one, FieldNode)
    }


def _with_arguments(value: Any, arguments: Mapping[str, Any]) -> Any:
    if not arguments or value is None:
        return value
    text = json.dumps(arguments, sort_keys=True)
    if isinstance(value, str):
        return f"{value}{text}"
    turn = sum(text.encode())
    if isinstance(value, list) and value:
        return value[turn % len(value) :] + value[: turn % len(value)]
    return value + turn if type(value) is int else value


def _held(value: Any, provided: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_held(item, provided) for item in value]
    if isinstance(value, dict):
        if "@" in value:
            return Held(value["@"], provided)
        if "!" in value:
            return GraphQLError(value["!"])
        return value["#"]
    return value


def _root(document: DocumentNode) -> Held:
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            return Held(node.operation.value.capitalize())
    raise AssertionError("no operation")
