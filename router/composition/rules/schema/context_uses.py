"""Where a subgraph sets contexts, and which arguments take their values from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.composition.context_values import split_context
from router.composition.model import Directive, FieldDef, InputDef, TypeDef, applied
from router.composition.names import CONTEXT, FROM_CONTEXT
from router.composition.subgraph import SubgraphSchema


@dataclass(frozen=True, slots=True)
class ContextUse:
    """One argument with `@fromContext`. `context` and `selection` are None where none is named."""

    owner: TypeDef
    field: FieldDef
    argument: InputDef
    directive: Directive
    context: str | None
    selection: str | None

    @property
    def coordinate(self) -> str:
        return f"{self.field.coordinate}({self.argument.name}:)"


def context_uses(subgraph: SubgraphSchema) -> Iterator[ContextUse]:
    for definition, field in subgraph.schema.fields():
        for argument in field.args.values():
            for directive in applied(argument, FROM_CONTEXT):
                context, selection = split_context(directive.string("field") or "")
                if selection is not None and not selection.strip():
                    selection = None
                yield ContextUse(definition, field, argument, directive, context, selection)


def context_setters(subgraph: SubgraphSchema) -> dict[str, list[TypeDef]]:
    """Context name to the types that set it."""
    answer: dict[str, list[TypeDef]] = {}
    for definition in subgraph.schema.types.values():
        for directive in applied(definition, CONTEXT):
            answer.setdefault(directive.string("name") or "", []).append(definition)
    return answer
