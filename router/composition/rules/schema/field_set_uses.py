"""Where a subgraph has field sets: every `@key`, `@requires` and `@provides`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.composition.fieldset import FieldSetSyntaxError, Pick, Selections, parse_field_set
from router.composition.model import Directive, FieldDef, Schema, TypeDef, applied
from router.composition.names import KEY, PROVIDES, REQUIRES, plain
from router.composition.printing import print_applied
from router.composition.subgraph import SubgraphSchema
from router.composition.types import base_name


@dataclass(frozen=True, slots=True)
class FieldSetUse:
    """One field set. `owner` is the type that bears it or whose field does; `parent` the type it
    selects on, None when that has no fields; `coordinate` what bears it."""

    directive: Directive
    owner: TypeDef
    parent: TypeDef | None
    coordinate: str

    @property
    def name(self) -> str:
        """`key`, `requires` or `provides`."""
        return plain(self.directive.name)

    @property
    def code_prefix(self) -> str:
        return self.name.upper()

    @property
    def shown(self) -> str:
        return print_applied(Directive(self.name, self.directive.args))

    def selections(self) -> Selections:
        """The parsed text; nothing when it cannot be parsed, which is another rule's matter."""
        text = self.directive.args.get("fields")
        if not isinstance(text, str):
            return ()
        try:
            return parse_field_set(text)
        except FieldSetSyntaxError:
            return ()


def field_set_uses(subgraph: SubgraphSchema) -> Iterator[FieldSetUse]:
    """All uses, in order of definition."""
    for definition in subgraph.schema.types.values():
        for key in applied(definition, KEY):
            yield FieldSetUse(key, definition, definition, definition.name)
        for field in definition.fields.values():
            yield from _of_field(subgraph.schema, definition, field)


def _of_field(schema: Schema, definition: TypeDef, field: FieldDef) -> Iterator[FieldSetUse]:
    for requires in applied(field, REQUIRES):
        yield FieldSetUse(requires, definition, definition, field.coordinate)
    for provides in applied(field, PROVIDES):
        target = schema.types.get(base_name(field.type))
        parent = target if target is not None and target.composite else None
        yield FieldSetUse(provides, definition, parent, field.coordinate)


def picked_fields(
    schema: Schema, parent: TypeDef, selections: Selections
) -> Iterator[tuple[TypeDef, FieldDef, Pick]]:
    """(type, field, selection) for every known field selected, at any depth."""
    for item in selections:
        if isinstance(item, Pick):
            field = parent.fields.get(item.name)
            if field is None:
                continue
            yield parent, field, item
            below = schema.types.get(base_name(field.type))
        else:
            below = schema.types.get(item.on) if item.on else parent
        if below is not None:
            yield from picked_fields(schema, below, item.selections)
