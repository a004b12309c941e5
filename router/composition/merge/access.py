"""`@authenticated`, `@requiresScopes`, `@policy` along interfaces.

What an implementation demands, its interface demands too: on the type and on its fields. What a
field of an `@interfaceObject` demands, the implementations' fields demand. Source: Federation
access control since 2.12 of composition.
"""

from __future__ import annotations

from collections.abc import Sequence

from router.composition.merge.records import Merge
from router.composition.model import Directive
from router.composition.names import ACCESS_CONTROL


class AccessControl:
    """Applications that an element takes from elsewhere, by coordinate and marked name."""

    def __init__(self, merge: Merge) -> None:
        self._extra: dict[str, dict[str, list[Directive]]] = {}
        if any(one[1:] in merge.composed.federated for one in ACCESS_CONTROL):
            self._collect(merge)

    def extra(self, coordinate: str) -> dict[str, Sequence[Directive]]:
        return dict(self._extra.get(coordinate, {}))

    def _add(self, coordinate: str, directives: list[Directive]) -> None:
        for one in directives:
            if one.name in ACCESS_CONTROL:
                self._extra.setdefault(coordinate, {}).setdefault(one.name, []).append(one)

    def _collect(self, merge: Merge) -> None:
        interfaces = {
            one.name: one.merged.interfaces for one in merge.types.values() if one.kind == "object"
        }
        implementations: dict[str, list[str]] = {}
        for name, declared in interfaces.items():
            for interface in declared:
                implementations.setdefault(interface, []).append(name)
        for subgraph in merge.subgraphs:
            for definition in subgraph.schema.types.values():
                if definition.kind != "object":
                    continue
                stands_for = (
                    implementations.get(definition.name, [])
                    if definition.name in subgraph.facts.interface_objects
                    else None
                )
                for interface in interfaces.get(definition.name, ()):
                    self._add(interface, definition.directives)
                for field in definition.fields.values():
                    if field.coordinate in subgraph.facts.external:
                        continue
                    if stands_for is None:
                        targets = set(interfaces.get(definition.name, ()))
                    else:
                        targets = {*stands_for}
                        targets |= {i for one in stands_for for i in interfaces[one]}
                        targets.discard(definition.name)
                    for target in sorted(targets):
                        self._add(f"{target}.{field.name}", field.directives)
