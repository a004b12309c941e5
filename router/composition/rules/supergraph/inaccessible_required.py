"""REQUIRED_INACCESSIBLE: what is hidden from clients is not demanded of them."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import FieldDef, TypeDef
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for definition in view.own_types():
        if view.hidden(definition):
            continue
        for item in definition.input_fields.values():
            if item.required and view.hidden(item):
                yield _error(view, f"{definition.name}.{item.name}")
        for field in definition.fields.values():
            if not view.hidden(field):
                yield from _arguments(view, definition, field)
    for directive in view.schema.directives.values():
        for argument in directive.args.values():
            if argument.required and view.hidden(argument):
                yield _error(view, f"@{directive.name}({argument.name}:)")


def _arguments(
    view: Visibility, definition: TypeDef, field: FieldDef
) -> Iterator[CompositionError]:
    for argument in field.args.values():
        if not view.hidden(argument):
            continue
        coordinate = f"{field.coordinate}({argument.name}:)"
        if argument.required:
            yield _error(view, coordinate)
        if definition.kind != "interface":
            continue
        for other in view.own_types():
            if definition.name not in other.interfaces or view.hidden(other):
                continue
            own = other.fields.get(field.name)
            if own is None or view.hidden(own) or argument.name not in own.args:
                continue
            implementing = own.args[argument.name]
            if implementing.required and not view.hidden(implementing):
                yield view.error(
                    "REQUIRED_INACCESSIBLE",
                    f"{coordinate} is @inaccessible, but {own.coordinate}({argument.name}:) that "
                    f"implements it is required of clients",
                    coordinate,
                    f"{own.coordinate}({argument.name}:)",
                )


def _error(view: Visibility, coordinate: str) -> CompositionError:
    message = f"{coordinate} is @inaccessible but required: give it a default, or make it nullable"
    return view.error("REQUIRED_INACCESSIBLE", message, coordinate)
