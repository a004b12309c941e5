"""INTERFACE_KEY_NOT_ON_IMPLEMENTATION: every implementation has each key of its interface."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.fieldset import field_set_of, leaf_shape
from router.composition.model import Directive, TypeDef, applied
from router.composition.names import KEY
from router.composition.problems import CompositionError, listing
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_is_valid import selection_faults
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    implementations = subgraph.schema.implementations()
    for definition in subgraph.schema.types.values():
        if definition.kind != "interface":
            continue
        for key in applied(definition, KEY):
            if not _known(subgraph, definition.name, key):
                continue
            types = [
                subgraph.schema.types[one]
                for one in implementations.get(definition.name, ())
                if all(_known(subgraph, one, other) for other in subgraph.facts.keys(one))
            ]
            missing = [one.name for one in types if _same_key(one, key) is None]
            unresolvable = [
                one.name
                for one in types
                if key.args.get("resolvable") is not False
                and (found := _same_key(one, key)) is not None
                and found.args.get("resolvable") is False
            ]
            if missing or unresolvable:
                fault = (
                    f"missing on {listing(missing)}"
                    if missing
                    else f"not resolvable on {listing(unresolvable)}"
                )
                yield in_subgraph(
                    subgraph,
                    "INTERFACE_KEY_NOT_ON_IMPLEMENTATION",
                    f'the key "{key.args.get("fields")}" of interface "{definition.name}" is '
                    f"{fault}: each implementation must have it too",
                    definition.name,
                    key,
                )


def _known(subgraph: SubgraphSchema, name: str, key: Directive) -> bool:
    """Whether a key can be compared: another rule says what is wrong with the rest."""
    definition = subgraph.schema.types[name]
    selections = field_set_of(key.args.get("fields"))
    return bool(selections) and not any(selection_faults(subgraph.schema, definition, selections))


def _same_key(definition: TypeDef, key: Directive) -> Directive | None:
    wanted = leaf_shape(field_set_of(key.args.get("fields")))
    for one in applied(definition, KEY):
        if leaf_shape(field_set_of(one.args.get("fields"))) == wanted:
            return one
    return None
