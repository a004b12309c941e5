"""Literals of an operation turned into variables, so that one plan serves all their values.

Only where nothing but the value can differ: arguments of fields, of GraphQL's own scalars. A custom
scalar may read a literal otherwise than a variable (`1.10` of a decimal), directives and
introspection are the router's own business, and defaults belong to a variable's definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, TypeAlias

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    get_nullable_type,
    parse_value,
    visit,
)

from router.executor.leaves import INT_MAX, INT_MIN

Read: TypeAlias = Callable[[str], Any]
"""A literal as it is written to its JSON value. Raises ValueError, GraphQLError for a bad one."""


@dataclass(frozen=True, slots=True)
class Hoisted:
    """`text` is the operation with variables in place of literals.

    `variables` are (name, number of the literal, how to read it); `fixed` are the numbers of the
    literals that stay in the text, and with which it must be found again.
    """

    text: str
    variables: tuple[tuple[str, int, Read], ...]
    fixed: tuple[int, ...]

    def values(self, literals: Sequence[str]) -> dict[str, Any] | None:
        """Values of the variables; None where a literal is not one of its type."""
        try:
            return {name: read(literals[number]) for name, number, read in self.variables}
        except (ValueError, GraphQLError):
            return None


def hoist(
    text: str, document: DocumentNode, schema: GraphQLSchema, literals: Sequence[str]
) -> Hoisted:
    """Hoist the literals of a document, parsed from `text` with locations and valid."""
    numbers = {literal: number for number, literal in enumerate(literals)}
    everything = tuple(range(len(literals)))
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if not literals or len(operations) != 1 or operations[0].description is not None:
        return Hoisted(text, (), everything)
    finder = _Finder(TypeInfo(schema), text, numbers)
    visit(document, TypeInfoVisitor(finder.types, finder))
    names: dict[tuple[int, str], str] = {}
    prefix = "_l"
    while prefix in text:
        prefix += "_"
    variables: list[tuple[str, int, Read]] = []
    edits: list[tuple[int, int, str]] = []
    for start, end, number, kind, read in finder.found:
        if number in finder.fixed:
            continue
        name = names.get((number, kind))
        if name is None:
            name = names[number, kind] = f"{prefix}{len(names)}"
            variables.append((name, number, read))
        edits.append((start, end, f"${name}"))
    if names:
        definitions = " ".join(f"${name}: {kind}" for (_, kind), name in names.items())
        edits.append(_definitions(operations[0], definitions))
    return Hoisted(_edited(text, edits), tuple(variables), tuple(sorted(finder.fixed)))


class _Finder(Visitor):
    """Collects literals: those to hoist, and the numbers of those that must stay."""

    def __init__(self, types: TypeInfo, text: str, numbers: Mapping[str, int]) -> None:
        super().__init__()
        self.types, self.text, self.numbers = types, text, numbers
        self.found: list[tuple[int, int, int, str, Read]] = []
        """(start, end, number, type of the place, how to read it)."""
        self.fixed: set[int] = set()
        self._fixed_by: list[Node] = []

    def enter(self, node: Node, *_: Any) -> None:
        if node.kind in _FIXING or (node.kind == "field" and _is_introspection(node)):
            self._fixed_by.append(node)
        elif node.kind in _LITERALS:
            self._literal(node)

    def leave(self, node: Node, *_: Any) -> None:
        if self._fixed_by and self._fixed_by[-1] is node:
            self._fixed_by.pop()

    def _literal(self, node: Node) -> None:
        assert node.loc is not None
        start, end = node.loc.start, node.loc.end
        number = self.numbers[self.text[start:end]]
        kind = self.types.get_input_type()
        read = _READ.get(get_named_type(kind).name) if kind is not None else None
        if read is None or self._fixed_by:
            self.fixed.add(number)
            return
        # Never null, so the type need not let it be; an input object of one field demands that.
        place = f"{get_nullable_type(kind)}!"
        self.found.append((start, end, number, place, read))


_FIXING: Final = frozenset({"directive", "variable_definition"})
_LITERALS: Final = frozenset({"int_value", "float_value", "string_value"})


def _is_introspection(node: Any) -> bool:
    name: str = node.name.value
    return name.startswith("__")


def _definitions(operation: OperationDefinitionNode, text: str) -> tuple[int, int, str]:
    """The edit that adds definitions of variables."""
    assert operation.loc is not None
    if operation.variable_definitions:
        last = operation.variable_definitions[-1].loc
        assert last is not None
        return last.end, last.end, f" {text}"
    if operation.name is not None:
        assert operation.name.loc is not None
        return operation.name.loc.end, operation.name.loc.end, f"({text})"
    start = operation.loc.start
    if operation.loc.start == operation.selection_set.loc.start:  # type: ignore[union-attr]
        return start, start, f"query({text})"
    end = start + len(operation.operation.value)
    return end, end, f"({text})"


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    return "".join(_pieces(text, sorted(edits)))


def _pieces(text: str, edits: list[tuple[int, int, str]]) -> Iterator[str]:
    position = 0
    for start, end, new in edits:
        yield text[position:start]
        yield new
        position = end
    yield text[position:]


_PLAIN: Final = re.compile(r'"[ -\[\]-~]*"').fullmatch
"""Of a string: printable, and nothing escaped."""


def _string(literal: str) -> str:
    if not literal.startswith('"""') and _PLAIN(literal):
        return literal[1:-1]
    node = parse_value(literal, no_location=True)
    assert isinstance(node, StringValueNode)
    return node.value


def _int(literal: str) -> int:
    value = int(literal)
    if not INT_MIN <= value <= INT_MAX:
        raise ValueError(literal)
    return value


def _float(literal: str) -> float:
    value = float(literal)
    if not isfinite(value):
        raise ValueError(literal)
    return value


def _id(literal: str) -> str:
    return _string(literal) if literal[0] == '"' else literal


_READ: Final[Mapping[str, Read]] = {"String": _string, "Int": _int, "Float": _float, "ID": _id}
