"""Contracts: a supergraph for some clients, made by hiding what is tagged, or not tagged.

`exclude` hides whatever bears one of the tags. `include`, when it is not empty, hides every field
of objects and interfaces that bears none of them, neither itself nor through its type; the root
types stay. Exclusion wins. An object, interface, input or enum of which nothing is left is hidden,
and with `hide_unreachable` so is every type that no visible field leads to. Hidden elements are
`@inaccessible`: subgraphs still use them in keys and requirements. Source: GraphOS contracts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.composition.merge.records import Merge
from router.composition.model import ROOT_NAMES, Directive, Element, FieldDef, TypeDef, applied
from router.composition.types import base_name


@dataclass(frozen=True, slots=True)
class Contract:
    """Which tags clients of this contract see."""

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    hide_unreachable: bool = True


def apply_contract(merge: Merge, contract: Contract) -> None:
    """Mark in the merged schema what the contract hides."""
    merge.composed.federated.setdefault("inaccessible", "inaccessible")
    hiding = _Hiding(merge, contract)
    for definition in merge.schema.types.values():
        hiding.type(definition)
    for directive in merge.schema.directives.values():
        for argument in directive.args.values():
            hiding.excluded(argument)
    if contract.hide_unreachable:
        hiding.unreachable()


class _Hiding:
    def __init__(self, merge: Merge, contract: Contract) -> None:
        self.merge = merge
        self.contract = contract
        self.tag = merge.composed.federated.get("tag")
        self.inaccessible = merge.composed.federated["inaccessible"]

    def hide(self, element: Element) -> None:
        if not self.hidden(element):
            element.directives.append(Directive(self.inaccessible))

    def hidden(self, element: Element) -> bool:
        return bool(applied(element, self.inaccessible))

    def tags(self, element: Element) -> set[str]:
        return {one.string("name") or "" for one in applied(element, self.tag)}

    def excluded(self, element: Element) -> bool:
        """Hide the element when it bears an excluded tag; whether it does."""
        found = bool(self.tags(element) & self.contract.exclude)
        if found:
            self.hide(element)
        return found

    def type(self, definition: TypeDef) -> None:
        """Hide what is to be hidden of a type, and the type when nothing is left of it."""
        root = definition.name in ROOT_NAMES.values()
        if not root and self.excluded(definition):
            return
        included = bool(self.tags(definition) & self.contract.include)
        for field in definition.fields.values():
            self._field(field, included)
        for item in definition.input_fields.values():
            self.excluded(item)
        for value in definition.values.values():
            self.excluded(value)
        children: list[Element] = [
            *definition.fields.values(),
            *definition.input_fields.values(),
            *definition.values.values(),
        ]
        if children and not root and all(self.hidden(child) for child in children):
            self.hide(definition)

    def _field(self, field: FieldDef, type_included: bool) -> None:
        for argument in field.args.values():
            self.excluded(argument)
        if self.excluded(field) or not self.contract.include or type_included:
            return
        if not self.tags(field) & self.contract.include:
            self.hide(field)

    def unreachable(self) -> None:
        """Hide the types that no visible field, argument, interface or union leads to."""
        types = self.merge.schema.types
        implementing: dict[str, list[str]] = {}
        for definition in types.values():
            for interface in definition.interfaces:
                implementing.setdefault(interface, []).append(definition.name)
        seen: set[str] = set()
        waiting = [name for name in ROOT_NAMES.values() if name in types]
        waiting += [
            base_name(argument.type)
            for directive in self.merge.schema.directives.values()
            for argument in directive.args.values()
        ]
        while waiting:
            name = waiting.pop()
            if name in seen or name not in types or self.hidden(types[name]):
                continue
            seen.add(name)
            waiting += self._leads_to(types[name])
            waiting += implementing.get(name, ())
        for definition in types.values():
            if definition.name not in seen and definition.name not in ROOT_NAMES.values():
                self.hide(definition)

    def _leads_to(self, definition: TypeDef) -> Iterator[str]:
        yield from definition.members
        yield from definition.interfaces
        for field in definition.fields.values():
            if not self.hidden(field):
                yield base_name(field.type)
                yield from (
                    base_name(argument.type)
                    for argument in field.args.values()
                    if not self.hidden(argument)
                )
        for item in definition.input_fields.values():
            if not self.hidden(item):
                yield base_name(item.type)
