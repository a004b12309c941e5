"""MISSING_TRANSITIVE_AUTH_REQUIREMENTS: who asks for a field may see all it is computed from.

What `@requires` and `@fromContext` select is fetched on the client's behalf, so the field (or its
type) must demand at least what they demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.composition.context_values import split_context
from router.composition.fieldset import Pick, Selections, field_set_of
from router.composition.merge.records import FieldMerge, Merge
from router.composition.merge.strategies import Dnf, conjunction, dnf_of, implies
from router.composition.model import FieldDef, TypeDef, applied
from router.composition.names import ACCESS_CONTROL, CONTEXT, FROM_CONTEXT, REQUIRES
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.types import base_name


@dataclass(frozen=True, slots=True)
class Demand:
    """What an element demands of whoever reads it."""

    authenticated: bool = False
    scopes: Dnf | None = None
    policies: Dnf | None = None

    def covers(self, other: Demand) -> bool:
        """Whether whoever meets this demand meets the other."""
        return (
            (self.authenticated or not other.authenticated)
            and implies(self.scopes or [], other.scopes or [])
            and implies(self.policies or [], other.policies or [])
        )

    def both(self, other: Demand) -> Demand:
        return Demand(
            self.authenticated or other.authenticated,
            _both(self.scopes, other.scopes),
            _both(self.policies, other.policies),
        )


def check(merge: Merge) -> Iterator[CompositionError]:
    if not any(name[1:] in merge.composed.federated for name in ACCESS_CONTROL):
        return
    for field in merge.fields():
        for index, source in field.present().items():
            own = _demand(merge, merge.types[field.parent].merged).both(
                _demand(merge, field.merged)
            )
            for seen, directive in _dependencies(merge, field, index, source):
                if not own.covers(seen.demand):
                    yield in_subgraph(
                        merge.subgraphs[index],
                        "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
                        f"{field.coordinate} reads {seen.coordinate} through {directive} but does "
                        f"not demand what that does: add its @authenticated, @requiresScopes or "
                        f"@policy",
                        field.coordinate,
                        source,
                    )


@dataclass(frozen=True, slots=True)
class _Seen:
    coordinate: str
    demand: Demand


def _dependencies(
    merge: Merge, field: FieldMerge, index: int, source: FieldDef
) -> Iterator[tuple[_Seen, str]]:
    for requires in applied(source, REQUIRES):
        selections = field_set_of(requires.args.get("fields"))
        for seen in _seen(merge, merge.types[field.parent].merged, selections):
            yield seen, "@requires"
    for argument in source.args.values():
        for one in applied(argument, FROM_CONTEXT):
            context, selection = split_context(one.string("field") or "")
            for definition in merge.subgraphs[index].schema.types.values():
                names = [directive.string("name") for directive in applied(definition, CONTEXT)]
                merged = merge.schema.types.get(definition.name)
                if context not in names or merged is None:
                    continue
                yield _Seen(merged.name, _demand(merge, merged)), "@fromContext"
                for seen in _seen(merge, merged, field_set_of(selection)):
                    yield seen, "@fromContext"


def _seen(merge: Merge, parent: TypeDef, selections: Selections) -> Iterator[_Seen]:
    for item in selections:
        if isinstance(item, Pick):
            field = parent.fields.get(item.name)
            if field is None:
                continue
            yield _Seen(field.coordinate, _demand(merge, field))
            below = merge.schema.types.get(base_name(field.type))
            if below is not None:
                yield _Seen(below.name, _demand(merge, below))
        else:
            below = merge.schema.types.get(item.on) if item.on else parent
            if below is not None and item.on:
                yield _Seen(below.name, _demand(merge, below))
        if below is not None:
            yield from _seen(merge, below, item.selections)


def _demand(merge: Merge, element: TypeDef | FieldDef) -> Demand:
    names = merge.composed.federated
    authenticated = bool(applied(element, names.get("authenticated")))
    scopes = [
        dnf_of(one.args.get("scopes")) for one in applied(element, names.get("requiresScopes"))
    ]
    policies = [dnf_of(one.args.get("policies")) for one in applied(element, names.get("policy"))]
    return Demand(authenticated, scopes[0] if scopes else None, policies[0] if policies else None)


def _both(left: Dnf | None, right: Dnf | None) -> Dnf | None:
    given = [one for one in (left, right) if one is not None]
    return conjunction(given) if given else None
