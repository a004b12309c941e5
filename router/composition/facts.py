"""What federation directives make of each field of one subgraph: external, shareable, used.

A field is *external* when this subgraph does not resolve it, *provided* when some path does after
all (`@provides`), *fake external* when it is a key field of an extension (Federation 1 wanted
`@external` there; the field is resolved like any other), *shareable* when others may resolve it
too, *used* when a field set or an interface needs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.context_values import split_context
from router.composition.fieldset import (
    FieldSetSyntaxError,
    field_set_of,
    parse_field_set,
    target_fields,
)
from router.composition.model import Directive, FieldDef, Schema, TypeDef, applied
from router.composition.names import (
    CONTEXT,
    EXTENDS,
    EXTERNAL,
    FROM_CONTEXT,
    INTERFACE_OBJECT,
    KEY,
    PROVIDES,
    REQUIRES,
    SHAREABLE,
)
from router.composition.types import base_name


class Facts:
    """Sets of coordinates (`Product.weight`) for one schema. Make new ones when it changes."""

    def __init__(self, schema: Schema, *, federation2: bool) -> None:
        self.schema = schema
        self.federation2 = federation2
        self.fake_external = set(self._fake_external())
        self.provided = set(self._provided())
        self.external = set(self._external())
        self.shareable = set(self._shareable())
        self.used = set(self._used())
        self.interface_objects = {
            definition.name
            for definition in schema.types.values()
            if definition.kind == "object" and applied(definition, INTERFACE_OBJECT)
        }

    def fully_external(self, coordinate: str) -> bool:
        """External, and provided by no path either."""
        return coordinate in self.external and coordinate not in self.provided

    def keys(self, type_name: str) -> list[Directive]:
        """The `@key`s of a type."""
        definition = self.schema.types.get(type_name)
        return applied(definition, KEY) if definition else []

    def _fake_external(self) -> Iterator[str]:
        for definition in self.schema.types.values():
            extended = bool(applied(definition, EXTENDS))
            for key in applied(definition, KEY):
                if key.extension or extended:
                    for target in self._targets(definition.name, key, implementations=False):
                        if applied(target, EXTERNAL):
                            yield target.coordinate

    def _external(self) -> Iterator[str]:
        for definition, field in self.schema.fields():
            if field.coordinate in self.fake_external:
                continue
            on_type = self.federation2 and definition.kind == "object"
            if applied(field, EXTERNAL) or (on_type and applied(definition, EXTERNAL)):
                yield field.coordinate

    def _provided(self) -> Iterator[str]:
        for target in self._provided_fields():
            yield target.coordinate

    def _provided_fields(self) -> Iterator[FieldDef]:
        for _, field in self.schema.fields():
            for provides in applied(field, PROVIDES):
                yield from self._targets(base_name(field.type), provides, implementations=True)

    def _shareable(self) -> Iterator[str]:
        for definition in self.schema.types.values():
            for key in applied(definition, KEY):
                for target in self._targets(definition.name, key, implementations=True):
                    yield target.coordinate
            if definition.kind != "object":
                continue
            extensions = {one.extension for one in applied(definition, SHAREABLE)}
            for field in definition.fields.values():
                if field.extension in extensions or applied(field, SHAREABLE):
                    yield field.coordinate
        for target in self._provided_fields():
            if target.coordinate in self.external:
                yield target.coordinate

    def _used(self) -> Iterator[str]:
        for definition in self.schema.types.values():
            for key in applied(definition, KEY):
                for target in self._targets(definition.name, key, implementations=True):
                    yield target.coordinate
            yield from self._needed_by_interfaces(definition)
        for definition, field in self.schema.fields():
            for requires in applied(field, REQUIRES):
                for target in self._targets(definition.name, requires, implementations=True):
                    yield target.coordinate
        yield from self.provided
        yield from self._used_by_contexts()

    def _needed_by_interfaces(self, definition: TypeDef) -> Iterator[str]:
        if definition.kind == "object":
            for name in definition.interfaces:
                interface = self.schema.types.get(name)
                for field in interface.fields if interface else ():
                    if field in definition.fields:
                        yield f"{definition.name}.{field}"

    def _used_by_contexts(self) -> Iterator[str]:
        setters: dict[str, list[str]] = {}
        for definition in self.schema.types.values():
            for one in applied(definition, CONTEXT):
                setters.setdefault(one.string("name") or "", []).append(definition.name)
        for _, field in self.schema.fields():
            for argument in field.args.values():
                for one in applied(argument, FROM_CONTEXT):
                    context, selection = split_context(one.string("field") or "")
                    try:
                        selections = parse_field_set(selection) if selection else ()
                    except FieldSetSyntaxError:
                        continue
                    for setter in setters.get(context or "", ()):
                        for target in target_fields(
                            self.schema, setter, selections, implementations=True
                        ):
                            yield target.coordinate

    def _targets(
        self, parent: str, directive: Directive, *, implementations: bool
    ) -> Iterator[FieldDef]:
        return target_fields(
            self.schema,
            parent,
            field_set_of(directive.args.get("fields")),
            implementations=implementations,
        )
