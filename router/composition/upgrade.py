"""Federation 1 schemas brought to the rules of Federation 2.

Source: "Moving to Apollo Federation 2" and the behaviour of Federation 1: value types and key
fields were shared without saying so, `@external` stood on fields that were resolved all the same,
extensions replaced definitions, and useless `@provides` and `@requires` were accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.facts import Facts
from router.composition.fieldset import (
    FieldSetSyntaxError,
    Pick,
    Selection,
    Selections,
    Spread,
    field_set_of,
    parse_field_set,
    selected_type,
    show_selections,
    target_fields,
)
from router.composition.model import Directive, FieldDef, Schema, TypeDef, applied
from router.composition.names import (
    EXTENDS,
    EXTERNAL,
    INTERFACE_OBJECT,
    KEY,
    PROVIDES,
    REQUIRES,
    SHAREABLE,
    TAG,
)
from router.composition.problems import CompositionError, place
from router.composition.subgraph import SubgraphSchema
from router.composition.types import base_name
from router.composition.values import EnumLiteral, equal


def upgrade_all(subgraphs: list[SubgraphSchema]) -> list[CompositionError]:
    """Upgrade the Federation 1 schemas in place; the others are only looked at.

    All decisions are taken on the schemas as they were written, so the order is no matter.
    """
    old = [subgraph for subgraph in subgraphs if not subgraph.federation2]
    if not old:
        return []
    written = {
        subgraph.name: (_frozen_fields(subgraph.schema), subgraph.facts) for subgraph in subgraphs
    }
    defined = {
        subgraph.name: {one.name for one in subgraph.schema.types.values() if one.defined}
        for subgraph in subgraphs
    }
    errors: list[CompositionError] = []
    interface_keys: dict[str, list[str]] = {}
    for subgraph in old:
        errors += _Upgrade(subgraph, subgraphs, written, defined, interface_keys).run()
    for subgraph in subgraphs:
        if subgraph.federation2:
            for name in subgraph.facts.interface_objects & interface_keys.keys():
                errors.append(_interface_object_without_key(subgraph, name, interface_keys[name]))
    return errors


FieldsOf = dict[str, dict[str, tuple[FieldDef, bool]]]
"""Type name to field name to (field, whether it is marked external), as written."""


def _frozen_fields(schema: Schema) -> FieldsOf:
    return {
        definition.name: {
            name: (field, bool(applied(field, EXTERNAL)))
            for name, field in definition.fields.items()
        }
        for definition in schema.types.values()
        if definition.kind in ("object", "interface")
    }


class _Upgrade:
    """The steps for one schema, in order: each counts on those before it."""

    def __init__(
        self,
        subgraph: SubgraphSchema,
        others: list[SubgraphSchema],
        written: dict[str, tuple[FieldsOf, Facts]],
        defined: dict[str, set[str]],
        interface_keys: dict[str, list[str]],
    ) -> None:
        self.subgraph = subgraph
        self.schema = subgraph.schema
        self.others = [other for other in others if other.name != subgraph.name]
        self.written = written
        self.defined = defined
        self.interface_keys = interface_keys
        self.shareable_as_written = set(subgraph.facts.shareable)
        self.errors: list[CompositionError] = []

    def run(self) -> list[CompositionError]:
        extensions = {
            definition.name for definition in self._composites() if self._is_extension(definition)
        }
        self.errors += self._extensions_without_base(extensions)
        self._fields_as_strings()
        for definition in self._composites():
            if definition.kind == "interface":
                for field in definition.fields.values():
                    _remove(field, EXTERNAL)
            else:
                _remove(definition, EXTERNAL)
        for name in extensions:
            self._resolve_keys_of_extension(self.schema.types[name])
        self._remove_inactive()
        for name in extensions:
            _as_definition(self.schema.types[name])
        self._interfaces_without_keys()
        self._provides_on_leaves()
        self._unused_externals()
        self._share()
        self._tags_on_externals()
        self.subgraph.refresh()
        return self.errors

    def _composites(self) -> Iterator[TypeDef]:
        for definition in list(self.schema.types.values()):
            if definition.kind in ("object", "interface"):
                yield definition

    def _is_extension(self, definition: TypeDef) -> bool:
        return bool(applied(definition, EXTENDS)) or not definition.defined

    def _is_root(self, definition: TypeDef) -> bool:
        return definition.name in self.schema.roots.values()

    def _extensions_without_base(self, extensions: set[str]) -> Iterator[CompositionError]:
        for name in sorted(extensions):
            definition = self.schema.types[name]
            if self._is_root(definition):
                continue
            if any(name in self.defined[other.name] for other in self.others):
                continue
            message = (
                f'[{self.subgraph.name}] "{name}" is only extended: '
                f"define it in the subgraph that owns it"
            )
            yield CompositionError(
                "EXTENSION_WITH_NO_BASE",
                message,
                (self.subgraph.name,),
                (name,),
                place(self.subgraph.name, definition.location),
            )

    def _fields_as_strings(self) -> None:
        """`fields: ["a", "b"]` and `fields: a` were accepted; make them `"a b"` and `"a"`."""
        for definition in self._composites():
            elements = [definition.directives, *(f.directives for f in definition.fields.values())]
            for directive in (one for directives in elements for one in directives):
                if directive.name not in (KEY, REQUIRES, PROVIDES):
                    continue
                value = directive.args.get("fields")
                if isinstance(value, EnumLiteral):
                    directive.args["fields"] = value.name
                elif isinstance(value, list) and all(isinstance(item, str) for item in value):
                    directive.args["fields"] = " ".join(str(item) for item in value)

    def _resolve_keys_of_extension(self, definition: TypeDef) -> None:
        """Key fields of an extension are resolved here whatever `@external` says."""
        keys = applied(definition, KEY)
        schema = self.schema
        if not keys:
            for other in self.others:
                there = other.schema.types.get(definition.name)
                keys = applied(there, KEY)[:1] if there else []
                if keys:
                    schema = other.schema
                    break
        for key in keys:
            for target in target_fields(
                schema,
                definition.name,
                field_set_of(key.args.get("fields")),
                implementations=False,
            ):
                if target.parent == definition.name and target.name in definition.fields:
                    _remove(definition.fields[target.name], EXTERNAL)

    def _remove_inactive(self) -> None:
        """Take what is resolved here anyway out of `@provides` and `@requires`."""
        for definition in self._composites():
            for field in definition.fields.values():
                self._prune(field, PROVIDES, base_name(field.type))
                self._prune(field, REQUIRES, definition.name)

    def _prune(self, field: FieldDef, name: str, parent: str) -> None:
        kept: list[Directive] = []
        for directive in field.directives:
            start = self.schema.types.get(parent)
            text = directive.args.get("fields")
            if directive.name == name and start is not None and isinstance(text, str):
                try:
                    selections = parse_field_set(text)
                except FieldSetSyntaxError:
                    selections = ()
                active = self._active(start, selections)
                if selections and active != selections:
                    if not active:
                        continue
                    directive.args["fields"] = show_selections(active)
            kept.append(directive)
        field.directives = kept

    def _active(self, parent: TypeDef, selections: Selections) -> Selections:
        answer: list[Selection] = []
        for item in selections:
            if isinstance(item, Pick) and self._external_here(parent, item.name):
                answer.append(item)
                continue
            inner = selected_type(self.schema, parent, item)
            below = self._active(inner, item.selections) if inner else item.selections
            if not below:
                if isinstance(item, Pick) and item.name not in parent.fields:
                    answer.append(item)
                continue
            if isinstance(item, Spread):
                answer.append(Spread(item.on, below, item.directives))
            else:
                answer.append(Pick(item.name, item.args, below, item.alias, item.directives))
        return tuple(answer)

    def _external_here(self, parent: TypeDef, name: str) -> bool:
        field = parent.fields.get(name)
        if field is None:
            return False
        if applied(field, EXTERNAL):
            return True
        if parent.kind != "interface":
            return False
        implementing = (
            self.schema.types[one].fields.get(name)
            for one in self.schema.possible_types(parent.name)
        )
        return any(one is not None and applied(one, EXTERNAL) for one in implementing)

    def _interfaces_without_keys(self) -> None:
        for definition in self._composites():
            if definition.kind != "interface":
                continue
            if applied(definition, KEY):
                self.interface_keys.setdefault(definition.name, []).append(self.subgraph.name)
                _remove(definition, KEY)
            for field in definition.fields.values():
                _remove(field, PROVIDES)
                _remove(field, REQUIRES)

    def _provides_on_leaves(self) -> None:
        for definition in self._composites():
            for field in definition.fields.values():
                target = self.schema.types.get(base_name(field.type))
                if definition.kind == "object" and (target is None or not target.composite):
                    _remove(field, PROVIDES)

    def _unused_externals(self) -> None:
        facts = Facts(self.schema, federation2=True)
        for definition in self._composites():
            if not definition.fields:
                continue
            for name, field in list(definition.fields.items()):
                if field.coordinate in facts.external and field.coordinate not in facts.used:
                    del definition.fields[name]
            if definition.fields:
                continue
            if self._is_referenced(definition.name):
                message = (
                    f'[{self.subgraph.name}] "{definition.name}" has nothing but @external fields '
                    f"that no @key, @requires or @provides uses, and yet it is referred to"
                )
                self.errors.append(
                    CompositionError(
                        "TYPE_WITH_ONLY_UNUSED_EXTERNAL",
                        message,
                        (self.subgraph.name,),
                        (definition.name,),
                        place(self.subgraph.name, definition.location),
                    )
                )
            else:
                del self.schema.types[definition.name]
                for kind, root in list(self.schema.roots.items()):
                    if root == definition.name:
                        del self.schema.roots[kind]

    def _is_referenced(self, name: str) -> bool:
        for definition in self.schema.types.values():
            if name in definition.members or name in definition.interfaces:
                return True
            if any(base_name(field.type) == name for field in definition.fields.values()):
                return True
        return False

    def _share(self) -> None:
        for definition in self._composites():
            if definition.kind != "object" or definition.name == self.schema.roots.get(
                "subscription"
            ):
                continue
            if applied(definition, KEY) or self._is_root(definition):
                for field in definition.fields.values():
                    if field.coordinate in self.shareable_as_written:
                        continue
                    if self._resolved_elsewhere(field) and not applied(field, SHAREABLE):
                        field.directives.append(Directive(SHAREABLE))
            elif any(definition.name in self.written[o.name][0] for o in self.others):
                for field in definition.fields.values():
                    if not applied(field, SHAREABLE):
                        field.directives.append(Directive(SHAREABLE))

    def _resolved_elsewhere(self, field: FieldDef) -> bool:
        for other in self.others:
            fields, facts = self.written[other.name]
            if field.name in fields.get(field.parent, ()) and not facts.fully_external(
                field.coordinate
            ):
                return True
        return False

    def _tags_on_externals(self) -> None:
        """A tag on an external field goes when the field has it where it is resolved."""
        for definition in self._composites():
            for field in definition.fields.values():
                if not applied(field, EXTERNAL):
                    continue
                elsewhere = [
                    tag
                    for other in self.others
                    for found, external in self._written_field(other.name, field)
                    if not external
                    for tag in applied(found, TAG)
                ]
                field.directives = [
                    one
                    for one in field.directives
                    if one.name != TAG or not any(equal(one.args, tag.args) for tag in elsewhere)
                ]

    def _written_field(self, subgraph: str, field: FieldDef) -> Iterator[tuple[FieldDef, bool]]:
        found = self.written[subgraph][0].get(field.parent, {}).get(field.name)
        if found is not None:
            yield found


def _as_definition(definition: TypeDef) -> None:
    """An extension of Federation 1 is a definition like any other; `@extends` stays to be seen."""
    definition.defined, definition.extensions = True, 0
    for directive in definition.directives:
        directive.extension = 0
    for field in definition.fields.values():
        field.extension = 0


def _remove(element: TypeDef | FieldDef, name: str) -> None:
    element.directives = [one for one in element.directives if one.name != name]


def _interface_object_without_key(
    subgraph: SubgraphSchema, name: str, keyed: list[str]
) -> CompositionError:
    message = (
        f'[{subgraph.name}] "{name}" is an @{INTERFACE_OBJECT[1:]}, which needs the interface\'s '
        f"@key elsewhere; the one in {', '.join(keyed)} does not count in a Federation 1 schema: "
        f"link federation v2.3 or later there"
    )
    return CompositionError(
        "INTERFACE_OBJECT_USAGE_ERROR", message, (subgraph.name, *keyed), (name,)
    )
