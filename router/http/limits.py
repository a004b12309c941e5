"""Limits of an operation, looked at before anything is expanded, validated or planned.

`check_text` needs the text only; `check_document` walks each definition once and reckons with the
results of fragments instead of spreading them, so that a bomb costs what its text costs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from router.config import Limits
from router.http.errors import OperationLimitExceeded, OperationRefused

NESTING_MAX: Final = 200
"""Brackets of any kind open at once."""
FRAGMENTS_MAX: Final = 500
FRAGMENT_CHAIN_MAX: Final = 100
"""Fragments spread within each other."""

_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|\#[^\n\r]*|[{\[(]|[}\])]|'
    r"\.\.\.|[A-Za-z_][A-Za-z_0-9]*|-?[0-9][0-9.eE+-]*|[!$&:=@|]|\S",
    re.DOTALL,
)


def check_text(text: str, limits: Limits) -> None:
    """Count characters, tokens and nesting. Raises OperationLimitExceeded."""
    characters_max = limits.operation_characters_max
    if len(text) > characters_max:
        raise OperationLimitExceeded(
            "operation_characters_max", "characters", len(text), characters_max
        )
    if len(text) < limits.tokens_max and len(text) < NESTING_MAX:
        return
    depth = 0
    for tokens, match in enumerate(_TOKEN.finditer(text), 1):
        first = match.group()[0]
        if tokens > limits.tokens_max:
            raise OperationLimitExceeded("tokens_max", "tokens", None, limits.tokens_max)
        if first in "{[(":
            depth += 1
            if depth > NESTING_MAX:
                raise OperationLimitExceeded("nesting_max", "nested brackets", None, NESTING_MAX)
        elif first in "}])":
            depth -= 1


@dataclass(slots=True)
class _Measure:
    """What a selection set comes to once fragments are spread."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    introspection: bool = False
    keys: Counter[str] = field(default_factory=Counter)
    """Response keys on the first level, and how often each occurs."""


def check_document(document: DocumentNode, limits: Limits, *, introspection: bool) -> None:
    """Measure every operation. Raises OperationRefused for cycles, unknown fragments,
    introspection where it is off, and OperationLimitExceeded.
    """
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    if len(fragments) > FRAGMENTS_MAX:
        raise OperationLimitExceeded("fragments_max", "fragments", len(fragments), FRAGMENTS_MAX)
    measurer = _Measurer(limits)
    for name in _in_order(fragments):
        measurer.fragments[name] = measurer.measure(fragments[name].selection_set)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            measured = measurer.measure(node.selection_set)
            measured.directives += len(node.directives or ())
            _check(measured, limits)
            if measured.introspection and not introspection:
                raise OperationRefused([_introspection_error()])


def _check(measured: _Measure, limits: Limits) -> None:
    roots = measured.keys.total()
    for name, what, found, allowed in (
        ("depth_max", "levels", measured.depth, limits.depth_max),
        ("fields_max", "fields", measured.fields, limits.fields_max),
        ("aliases_max", "aliases", measured.aliases, limits.aliases_max),
        ("directives_max", "directives", measured.directives, limits.directives_max),
        ("root_fields_max", "root fields", roots, limits.root_fields_max),
    ):
        if found > allowed:
            raise OperationLimitExceeded(name, what, found, allowed)


class _Measurer:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.fragments: dict[str, _Measure] = {}

    def measure(self, selections: SelectionSetNode) -> _Measure:
        """Depth first; the depth of brackets was checked, so this cannot recurse too far."""
        total = _Measure()
        for node in selections.selections:
            total.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                self._add_field(total, node)
            elif isinstance(node, InlineFragmentNode):
                self._add(total, self.measure(node.selection_set))
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments.get(node.name.value)
                if fragment is None:
                    message = f'Unknown fragment "{node.name.value}".'
                    raise OperationRefused([_validation_error(message)])
                self._add(total, fragment)
        repeats = max(total.keys.values(), default=0)
        if repeats > self.limits.repeats_max:
            raise OperationLimitExceeded(
                "repeats_max", "repetitions of one field", repeats, self.limits.repeats_max
            )
        return total

    def _add_field(self, total: _Measure, node: FieldNode) -> None:
        total.fields += 1
        total.aliases += node.alias is not None
        total.keys[node.alias.value if node.alias else node.name.value] += 1
        depth = 1
        if node.name.value in {"__schema", "__type"}:
            total.introspection = True
        if node.selection_set is not None:
            below = self.measure(node.selection_set)
            depth += below.depth
            total.fields += below.fields
            total.aliases += below.aliases
            total.directives += below.directives
            total.introspection |= below.introspection
        total.depth = max(total.depth, depth)

    def _add(self, total: _Measure, other: _Measure) -> None:
        total.depth = max(total.depth, other.depth)
        total.fields += other.fields
        total.aliases += other.aliases
        total.directives += other.directives
        total.introspection |= other.introspection
        total.keys.update(other.keys)


def _in_order(fragments: Mapping[str, FragmentDefinitionNode]) -> list[str]:
    """Fragment names, each after those it spreads. Raises OperationRefused on cycles and
    unknown names, OperationLimitExceeded for chains that are too long. No recursion.
    """
    spreads = {name: _spreads(node.selection_set) for name, node in fragments.items()}
    heights: dict[str, int] = {}
    for start in fragments:
        path: list[str] = [start]
        on_path = {start}
        while path:
            name = path[-1]
            if name in heights:
                on_path.discard(path.pop())
                continue
            open_names = [other for other in spreads[name] if other not in heights]
            if not open_names:
                heights[name] = 1 + max((heights[other] for other in spreads[name]), default=0)
                if heights[name] > FRAGMENT_CHAIN_MAX:
                    raise OperationLimitExceeded(
                        "fragment_chain_max",
                        "fragments spread within each other",
                        None,
                        FRAGMENT_CHAIN_MAX,
                    )
                continue
            following = open_names[0]
            if following in on_path:
                raise OperationRefused(
                    [_validation_error(f'Cannot spread fragment "{following}" within itself.')]
                )
            if following not in fragments:
                raise OperationRefused([_validation_error(f'Unknown fragment "{following}".')])
            path.append(following)
            on_path.add(following)
    return sorted(heights, key=heights.__getitem__)


def _spreads(selections: SelectionSetNode) -> list[str]:
    return list(dict.fromkeys(_spread_names(selections)))


def _spread_names(selections: SelectionSetNode) -> Iterable[str]:
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        elif isinstance(node, (FieldNode, InlineFragmentNode)) and node.selection_set is not None:
            yield from _spread_names(node.selection_set)


def _validation_error(message: str) -> dict[str, object]:
    return {"message": message, "extensions": {"code": OperationRefused.code}}


def _introspection_error() -> dict[str, object]:
    return {
        "message": "Introspection is not allowed.",
        "extensions": {"code": "INTROSPECTION_DISABLED"},
    }
