"""CONTEXT_NOT_SET: a context is set somewhere, and taken where its value can come."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.model import DirectiveDef, applied
from router.composition.names import FROM_CONTEXT
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.context_uses import (
    ContextUse,
    context_setters,
    context_uses,
)
from router.composition.subgraph import SubgraphSchema
from router.composition.values import ABSENT


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    setters = context_setters(subgraph)
    for use in context_uses(subgraph):
        for fault in _faults(subgraph, use, set(setters)):
            yield in_subgraph(
                subgraph,
                "CONTEXT_NOT_SET",
                f"@fromContext on {use.coordinate}: {fault}",
                use.coordinate,
                use.directive,
            )
    for definition in subgraph.schema.directives.values():
        yield from _on_directive(subgraph, definition)


def _faults(subgraph: SubgraphSchema, use: ContextUse, contexts: set[str]) -> Iterator[str]:
    if use.owner.kind != "object":
        yield f'"{use.owner.name}" is abstract; only fields of objects can take a context'
        return
    for name in use.owner.interfaces:
        interface = subgraph.schema.types.get(name)
        if interface is not None and use.field.name in interface.fields:
            yield f"the field implements {name}.{use.field.name}, whose callers know no context"
    if use.argument.default is not ABSENT:
        yield "an argument that takes a context has no default"
    if use.context is not None and use.selection is not None and use.context not in contexts:
        yield f'no type of this subgraph sets context "{use.context}"'


def _on_directive(subgraph: SubgraphSchema, definition: DirectiveDef) -> Iterator[CompositionError]:
    for argument in definition.args.values():
        for directive in applied(argument, FROM_CONTEXT):
            yield in_subgraph(
                subgraph,
                "CONTEXT_NOT_SET",
                f"@fromContext on argument {argument.name} of directive @{definition.name}: "
                f"only arguments of fields can take a context",
                f"@{definition.name}({argument.name}:)",
                directive,
            )
