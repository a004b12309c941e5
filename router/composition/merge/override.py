"""`@override`: which instances of a field give way to another.

Source: Federation `@override(from:, label:)`. An overridden field that a field set or an interface
of its own subgraph still needs stays in the supergraph as `usedOverridden`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from router.composition.merge.records import OverrideCase, OverrideFinding, Overrides
from router.composition.model import FieldDef, Kind, applied
from router.composition.names import OVERRIDE, PROVIDES, REQUIRES
from router.composition.subgraph import SubgraphSchema

_LABEL: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9_\-:./]*$")
_PERCENT: Final = re.compile(r"^percent\((\d{1,2}(\.\d{1,8})?|100)\)$")


def valid_label(label: str) -> bool:
    """A name of letters, digits and `_-:./`, or `percent(x)` with x from 0 to 100."""
    return bool(_LABEL.match(label) or _PERCENT.match(label))


def resolve_overrides(
    subgraphs: list[SubgraphSchema],
    parent: str,
    sources: Mapping[int, FieldDef | None],
    abstracted: Mapping[int, list[FieldDef]],
) -> Overrides:
    """What the `@override`s of one field come to."""
    result = Overrides()
    overriding = {
        index: applied(source, OVERRIDE)[0]
        for index, source in sources.items()
        if source is not None and applied(source, OVERRIDE)
    }
    positions = {subgraph.name: index for index, subgraph in enumerate(subgraphs)}
    for index, directive in overriding.items():
        field = sources[index]
        assert field is not None
        source = directive.string("from") or ""
        label = directive.string("label")
        case = _case(
            subgraphs, parent, sources, abstracted, set(overriding), index, source, positions
        )
        if case in ("used_there", "unused_there", "source_external") and label is not None:
            if valid_label(label):
                result.labels[index] = result.labels[positions[source]] = label
            else:
                result.findings.append(OverrideFinding("bad_label", index, source, label))
        if case == "used_there":
            result.used.add(positions[source])
        elif case == "unused_there":
            result.unused.add(positions[source])
        result.findings.append(OverrideFinding(case, index, source, label, index in result.labels))
    return result


def _case(
    subgraphs: list[SubgraphSchema],
    parent: str,
    sources: Mapping[int, FieldDef | None],
    abstracted: Mapping[int, list[FieldDef]],
    overriding: set[int],
    index: int,
    source: str,
    positions: Mapping[str, int],
) -> OverrideCase:
    kind: Kind = subgraphs[index].schema.types[parent].kind
    if kind == "interface":
        return "on_interface"
    if parent in subgraphs[index].facts.interface_objects:
        return "on_interface_object"
    if source not in positions:
        return "unknown_source"
    there = positions[source]
    if there == index:
        return "from_self"
    if there in overriding:
        return "source_overrides"
    overridden = sources.get(there)
    if overridden is None:
        return "source_abstracts" if abstracted.get(there) else "source_gone"
    if applied(overridden, REQUIRES):
        return "source_requires"
    if applied(overridden, PROVIDES):
        return "source_provides"
    coordinate = f"{parent}.{overridden.name}"
    if coordinate in subgraphs[index].facts.external:
        return "external_here"
    facts = subgraphs[there].facts
    if coordinate in facts.external:
        return "source_external"
    return "used_there" if coordinate in facts.used else "unused_there"
