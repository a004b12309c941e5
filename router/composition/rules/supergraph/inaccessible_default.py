"""DEFAULT_VALUE_USES_INACCESSIBLE: a default that clients see names nothing hidden."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import InputDef
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility
from router.composition.types import TypeRef, base_name
from router.composition.values import Absent, EnumLiteral, Value


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for coordinate, element, shown in view.references():
        if shown and isinstance(element, InputDef) and not isinstance(element.default, Absent):
            for hidden in _hidden_in(view, element.type, element.default):
                yield view.error(
                    "DEFAULT_VALUE_USES_INACCESSIBLE",
                    f"{hidden} is @inaccessible, but the default of {coordinate} uses it: "
                    f"change the default or hide both",
                    hidden,
                    coordinate,
                )


def _hidden_in(view: Visibility, ref: TypeRef, value: Value) -> Iterator[str]:
    target = view.schema.types.get(base_name(ref))
    if target is None:
        return
    if isinstance(value, list):
        for item in value:
            yield from _hidden_in(view, ref, item)
    elif isinstance(value, EnumLiteral):
        found = target.values.get(value.name)
        if found is not None and view.hidden(found):
            yield f"{target.name}.{value.name}"
    elif isinstance(value, dict):
        for name, item in value.items():
            field = target.input_fields.get(name)
            if field is None:
                continue
            if view.hidden(field):
                yield f"{target.name}.{name}"
            yield from _hidden_in(view, field.type, item)
