"""Cutting a failing case down while it fails in the same way.

First the operation loses selections, directives, arguments and variables; then the schemas lose
fields and types, in the whole and all parts alike, and the data what nobody can see any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    InterfaceTypeDefinitionNode,
    Node,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

from tests.support.differential.case import Case, Graph, Operation
from tests.support.differential.run import Both, Difference, InvalidCase, check_case

ROUNDS_MAX = 12
TRIES_MAX = 4_000


def kind_of(case: Case) -> str | None:
    """How a case fails; None where it does not, or is not a case at all."""
    try:
        check_case(case, schema=False)
    except Difference as difference:
        return difference.kind
    except (InvalidCase, GraphQLError, AssertionError, KeyError, TypeError):
        return None
    return None


def shrink(case: Case, kind: str) -> Case:
    """The smallest case found that still fails in this way."""
    tries = TRIES_MAX
    text = print_ast(parse(case.operation.text, no_location=True))
    case = replace(case, operation=replace(case.operation, text=text))
    for _ in range(ROUNDS_MAX):
        before = case
        case, tries = _shrink_operation(case, kind, tries)
        case, tries = _greedy(case, kind, tries, _smaller_graphs, kind_of)
        if case == before or tries <= 0:
            break
    return replace(case, graph=_without_unseen(case.graph))


def _shrink_operation(case: Case, kind: str, tries: int) -> tuple[Case, int]:
    """Composing takes longest, so it is done once for all operations."""
    try:
        both = Both(case.graph)
    except Difference:
        return case, tries

    def kind_now(one: Case) -> str | None:
        try:
            both.check(one.operation)
        except Difference as difference:
            return difference.kind
        except (InvalidCase, GraphQLError, AssertionError, KeyError, TypeError):
            return None
        return None

    return _greedy(case, kind, tries, _smaller_operations, kind_now)


def _greedy(
    case: Case,
    kind: str,
    tries: int,
    smaller: Callable[[Case], Iterator[Case]],
    kind_now: Callable[[Case], str | None],
) -> tuple[Case, int]:
    again = True
    while again and tries > 0:
        again = False
        for candidate in smaller(case):
            tries -= 1
            if kind_now(candidate) == kind:
                case, again = candidate, True
                break
            if tries <= 0:
                break
    return case, tries


def _smaller_operations(case: Case) -> Iterator[Case]:
    document = parse(case.operation.text, no_location=True)
    for smaller in _smaller(document):
        operation = _tidied(smaller, case.operation)
        if operation is not None and len(operation.text) < len(case.operation.text):
            yield replace(case, operation=operation)
    for name in case.operation.labels:
        labels = tuple(one for one in case.operation.labels if one != name)
        yield replace(case, operation=replace(case.operation, labels=labels))


def _smaller(node: Node) -> Iterator[Any]:
    """The tree with one thing less, larger things first."""
    if isinstance(node, SelectionSetNode):
        if len(node.selections) > 1:
            for index in range(len(node.selections)):
                yield _with(node, selections=_without(node.selections, index))
        for index, one in enumerate(node.selections):
            if isinstance(one, InlineFragmentNode) and not one.directives:
                inlined = (
                    *node.selections[:index],
                    *one.selection_set.selections,
                    *node.selections[index + 1 :],
                )
                yield _with(node, selections=inlined)
            for smaller in _smaller(one):
                yield _with(node, selections=_put(node.selections, index, smaller))
        return
    if isinstance(node, DocumentNode):
        for index, definition in enumerate(node.definitions):
            for smaller in _smaller(definition):
                yield _with(node, definitions=_put(node.definitions, index, smaller))
        yield from _inlined(node)
        return
    for name in ("directives", "arguments"):
        for index in range(len(getattr(node, name, None) or ())):
            yield _with(node, **{name: _without(getattr(node, name), index)})
    if isinstance(node, FieldNode) and node.alias is not None:
        yield _with(node, alias=None)
    selection = getattr(node, "selection_set", None)
    if selection is not None:
        for smaller in _smaller(selection):
            yield _with(node, selection_set=smaller)


def _inlined(document: DocumentNode) -> Iterator[DocumentNode]:
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }

    def replaced(node: Any, name: str) -> Any:
        if isinstance(node, FragmentSpreadNode) and node.name.value == name:
            fragment = fragments[name]
            return InlineFragmentNode(
                type_condition=fragment.type_condition,
                directives=node.directives,
                selection_set=fragment.selection_set,
            )
        if isinstance(node, SelectionSetNode):
            return _with(node, selections=tuple(replaced(one, name) for one in node.selections))
        if getattr(node, "selection_set", None) is not None:
            return _with(node, selection_set=replaced(node.selection_set, name))
        return node

    for name in fragments:
        yield _with(
            document, definitions=tuple(replaced(one, name) for one in document.definitions)
        )


def _tidied(document: DocumentNode, before: Operation) -> Operation | None:
    """Without fragments and variables that nobody uses."""
    while True:
        text = print_ast(document)
        kept = tuple(
            one
            for one in document.definitions
            if not isinstance(one, FragmentDefinitionNode) or f"...{one.name.value}" in text
        )
        if len(kept) == len(document.definitions):
            break
        document = DocumentNode(definitions=kept)
    definitions = list(document.definitions)
    for index, one in enumerate(definitions):
        if isinstance(one, OperationDefinitionNode):
            used = [
                variable
                for variable in one.variable_definitions or ()
                if _uses(text, variable.variable.name.value)
            ]
            definitions[index] = _with(one, variable_definitions=tuple(used), name=None)
    text = print_ast(DocumentNode(definitions=tuple(definitions)))
    values = {name: value for name, value in before.variables.items() if f"${name}" in text}
    return Operation(text, values, before.labels)


def _uses(text: str, name: str) -> bool:
    return text.count(f"${name}") > text.count(f"${name}:")


def _smaller_graphs(case: Case) -> Iterator[Case]:
    graph = case.graph
    whole = parse(graph.whole, no_location=True)
    parts = {name: parse(text, no_location=True) for name, text in graph.subgraphs.items()}
    for name in parts:
        if len(parts) > 1:
            rest = {key: text for key, text in graph.subgraphs.items() if key != name}
            yield replace(case, graph=replace(graph, subgraphs=rest))
    names = sorted(
        {
            _name(one)
            for document in (whole, *parts.values())
            for one in document.definitions
            if _name(one)
        }
    )
    for type_ in names:
        yield from _changed(case, whole, parts, lambda one, type_=type_: _drop_type(one, type_))  # type: ignore[misc]
    fields = {
        (_name(one), field.name.value)
        for document in (whole, *parts.values())
        for one in document.definitions
        for field in getattr(one, "fields", None) or ()
    }
    for type_, field in sorted(fields):
        yield from _changed(
            case,
            whole,
            parts,
            lambda one, t=type_, f=field: _drop_field(one, t, f),  # type: ignore[misc]
        )
    for name, document in parts.items():
        for type_, field in sorted(fields):
            smaller = print_ast(_drop_field(document, type_, field))
            if smaller != print_ast(document):
                subgraphs = {**graph.subgraphs, name: smaller}
                yield replace(case, graph=replace(graph, subgraphs=subgraphs))


def _changed(
    case: Case,
    whole: DocumentNode,
    parts: dict[str, DocumentNode],
    change: Callable[[DocumentNode], DocumentNode],
) -> Iterator[Case]:
    texts = {name: print_ast(change(document)) for name, document in parts.items()}
    text = print_ast(change(whole))
    if text != print_ast(whole) or any(texts[name] != print_ast(parts[name]) for name in parts):
        yield replace(case, graph=replace(case.graph, whole=text, subgraphs=texts))


def _name(node: Any) -> str:
    name = getattr(node, "name", None)
    return str(name.value) if name is not None else ""


def _drop_type(document: DocumentNode, type_: str) -> DocumentNode:
    """Without a type, what is of that type, and its membership."""
    kept: list[Any] = []
    for one in document.definitions:
        if _name(one) == type_:
            continue
        if isinstance(one, UnionTypeDefinitionNode):
            types = tuple(member for member in one.types or () if member.name.value != type_)
            if types:
                kept.append(_with(one, types=types))
            continue
        if isinstance(one, (ObjectTypeDefinitionNode, InterfaceTypeDefinitionNode)):
            fields = tuple(field for field in one.fields or () if _base(field.type) != type_)
            interfaces = tuple(face for face in one.interfaces or () if face.name.value != type_)
            if fields:
                kept.append(_with(one, fields=fields, interfaces=interfaces))
            continue
        kept.append(one)
    return DocumentNode(definitions=tuple(kept))


def _drop_field(document: DocumentNode, type_: str, field: str) -> DocumentNode:
    kept: list[Any] = []
    for one in document.definitions:
        if _name(one) == type_ and getattr(one, "fields", None):
            fields = tuple(each for each in one.fields if each.name.value != field)  # type: ignore[attr-defined]
            if not fields:
                continue
            kept.append(_with(one, fields=fields))
            continue
        kept.append(one)
    return DocumentNode(definitions=tuple(kept))


def _base(node: Any) -> str:
    while not hasattr(node, "name"):
        node = node.type
    return str(node.name.value)


def _without_unseen(graph: Graph) -> Graph:
    """Only data that some subgraph has a field for."""
    seen: dict[str, set[str]] = {}
    fakes: set[str] = set()
    for text in (graph.whole, *graph.subgraphs.values()):
        for one in parse(text, no_location=True).definitions:
            for field in getattr(one, "fields", None) or ():
                seen.setdefault(_name(one), set()).add(field.name.value)
                if isinstance(one, InterfaceTypeDefinitionNode):
                    fakes.add(field.name.value)
    data = {
        id_: {
            name: value
            for name, value in thing.items()
            if name == "__typename" or name in seen[thing["__typename"]]
        }
        for id_, thing in graph.data.items()
        if thing["__typename"] in seen
    }
    return replace(graph, data=data)


def _with(node: Any, **changes: Any) -> Any:
    values = {key: getattr(node, key) for key in node.keys if key != "loc"}
    return type(node)(**{**values, **changes})


def _without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return (*items[:index], *items[index + 1 :])


def _put(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])
