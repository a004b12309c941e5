"""What the API schema shows and what it hides, for the rules on `@inaccessible`."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import Element, FieldDef, InputDef, Schema, TypeDef, applied
from router.composition.problems import CompositionError


class Visibility:
    """Which elements of the merged schema clients see."""

    def __init__(self, merge: Merge) -> None:
        self.merge = merge
        self.schema: Schema = merge.schema
        self.directive = merge.composed.federated.get("inaccessible")

    @property
    def in_use(self) -> bool:
        return self.directive is not None

    def hidden(self, element: Element) -> bool:
        return bool(applied(element, self.directive))

    def error(self, code: str, message: str, *coordinates: str) -> CompositionError:
        """An error naming the subgraphs that mark one of the elements `@inaccessible`."""
        return CompositionError(code, message, self._marking(coordinates[0]), coordinates)

    def _marking(self, coordinate: str) -> tuple[str, ...]:
        if coordinate.startswith("@"):
            name = coordinate[1:].partition("(")[0]
            return tuple(one.name for one in self.merge.subgraphs if name in one.schema.directives)
        type_name, _, member = coordinate.partition(".")
        member, _, argument = member.partition("(")
        answer = []
        for subgraph in self.merge.subgraphs:
            definition = subgraph.schema.types.get(type_name)
            if definition is None:
                continue
            element: Element | None = definition
            if member:
                element = (
                    definition.fields.get(member)
                    or definition.input_fields.get(member)
                    or definition.values.get(member)
                )
            if argument and isinstance(element, FieldDef):
                element = element.args.get(argument.rstrip(":)"))
            if element is not None and applied(element, "~inaccessible"):
                answer.append(subgraph.name)
        return tuple(answer)

    def own_types(self) -> Iterator[TypeDef]:
        """The types that come from subgraphs."""
        return iter(self.schema.types.values())

    def references(self) -> Iterator[tuple[str, FieldDef | InputDef, bool]]:
        """(coordinate, element, whether clients see it) of all that has a type."""
        for definition in self.own_types():
            shown = not self.hidden(definition)
            for field in definition.fields.values():
                field_shown = shown and not self.hidden(field)
                yield field.coordinate, field, field_shown
                for argument in field.args.values():
                    coordinate = f"{field.coordinate}({argument.name}:)"
                    yield coordinate, argument, field_shown and not self.hidden(argument)
            for item in definition.input_fields.values():
                coordinate = f"{definition.name}.{item.name}"
                yield coordinate, item, shown and not self.hidden(item)
        for directive in self.schema.directives.values():
            for argument in directive.args.values():
                coordinate = f"@{directive.name}({argument.name}:)"
                yield coordinate, argument, not self.hidden(argument)
