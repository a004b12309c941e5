"""REQUIRES_INVALID_FIELDS: the arguments in `@requires` hold for the field as it is merged."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.fieldset import Pick, Selections, field_set_of
from router.composition.merge.records import Merge
from router.composition.model import FieldDef, TypeDef, applied
from router.composition.names import REQUIRES
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.types import base_name


def check(merge: Merge) -> Iterator[CompositionError]:
    for subgraph in merge.subgraphs:
        for definition, field in subgraph.schema.fields():
            for requires in applied(field, REQUIRES):
                merged = merge.schema.types.get(definition.name)
                selections = field_set_of(requires.args.get("fields"))
                for fault in _faults(merge, merged, selections):
                    yield in_subgraph(
                        subgraph,
                        "REQUIRES_INVALID_FIELDS",
                        f"@requires on {field.coordinate}: {fault}",
                        field.coordinate,
                        requires,
                    )


def _faults(merge: Merge, parent: TypeDef | None, selections: Selections) -> Iterator[str]:
    for item in selections:
        if not isinstance(item, Pick):
            below = merge.schema.types.get(item.on) if item.on else parent
        else:
            field = parent.fields.get(item.name) if parent else None
            if field is None:
                continue
            yield from _argument_faults(field, item)
            below = merge.schema.types.get(base_name(field.type))
        yield from _faults(merge, below, item.selections)


def _argument_faults(field: FieldDef, item: Pick) -> Iterator[str]:
    given = {name for name, _ in item.args}
    for name in sorted(given - field.args.keys()):
        yield f'argument "{name}" of {field.coordinate} is not known to all its subgraphs'
    for argument in field.args.values():
        if argument.required and argument.name not in given:
            yield f'{field.coordinate} needs argument "{argument.name}" in the supergraph'
