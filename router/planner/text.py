"""The text of a request: selections printed, and clashes in one response settled by aliases.

Two fields under one response key of one subgraph answer need not be of one shape even if the client
may ask for both (`id: ID` of one type, `id: ID!` of another, where only the subgraphs differ). The
second shape gets an alias, and an output rewrite to undo it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.planner.fetch_graph import Branch, Inputs, Step, Tree
from router.planner.plan import (
    LIST,
    ContextValue,
    EntityCall,
    Fetch,
    OperationKind,
    Path,
    RenameKey,
    RequiredField,
    RequiredFragment,
    RequiredSelection,
    TypeFilter,
)
from router.planner.selection import TYPENAME, Conditions
from router.supergraph import Supergraph
from router.supergraph.views import ContextArgument

_NAME: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Header:
    """What every request of an operation shares: its kind, and its variables' definitions."""

    kind: OperationKind
    variables: Mapping[str, str]


@dataclass(slots=True)
class _Printing:
    """State of printing one response: variables met, aliases given, renames to undo them."""

    supergraph: Supergraph
    context: Mapping[ContextArgument, str] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    shapes: dict[tuple[Path, str], list[str]] = field(default_factory=dict)
    renames: list[RenameKey] = field(default_factory=list)

    def tree(self, tree: Tree, plain: Path, real: Path, above: Tree | None = None) -> str:
        """A selection set. `plain` is its path by the operation's keys, `real` by the answer's.

        What `above`, the selection this one is a cast of, asks for is not repeated.
        """
        asks = tree.node.abstract or tree.typename
        told = above is not None and (above.node.abstract or above.typename)
        parts: list[str] = [TYPENAME] if asks and not told else []
        for field_id, branch in tree.fields.items():
            if branch.field.key == TYPENAME and (asks or told):
                continue
            if above is not None and branch.tree is None and field_id in above.fields:
                continue
            parts.append(self._branch(branch, plain, real))
        for name, cast in tree.casts.items():
            types = TypeFilter(tuple(sorted(self.supergraph.possible_types(name))))
            inner = self.tree(cast, plain, (*real, types), tree)
            if inner:
                parts.append(f"... on {name} {{ {inner} }}")
        if not parts and above is None:
            return TYPENAME
        return " ".join(parts)

    def _branch(self, branch: Branch, plain: Path, real: Path) -> str:
        field_ = branch.field
        self.variables.update(field_.variables)
        key = self._key(branch, plain)
        alias = f"{key}: " if key != field_.name else ""
        args = self._arguments(branch)
        conditions, more = self.conditions(field_.conditions)
        text = f"{alias}{field_.name}{args}{conditions}{field_.directives}"
        if branch.tree is not None:
            lists = (LIST,) * branch.edge.shape.count("[")
            below = self.tree(branch.tree, (*plain, field_.key, *lists), (*real, key, *lists))
            text = f"{text} {{ {below} }}"
        if key != field_.key:
            rename = RenameKey(real, key, field_.key)
            if rename not in self.renames:
                self.renames.append(rename)
        for condition in more:
            text = f"...{condition} {{ {text} }}"
        return text

    def _arguments(self, branch: Branch) -> str:
        """The client's arguments and those from context."""
        given = [branch.field.args[1:-1]] if branch.field.args else []
        given += [f"{one.name}: ${self.context[one]}" for one in branch.edge.context]
        return f"({', '.join(given)})" if given else ""

    def _key(self, branch: Branch, plain: Path) -> str:
        """The response key, an alias of it from the second shape on."""
        shape = branch.edge.shape
        if branch.tree is not None:
            shape = _NAME.sub("", shape)
        shapes = self.shapes.setdefault((plain, branch.field.key), [])
        if shape not in shapes:
            shapes.append(shape)
        number = shapes.index(shape)
        return branch.field.key if number == 0 else f"_lonja{number}_{branch.field.key}"

    def conditions(self, conditions: Conditions) -> tuple[str, list[str]]:
        """Conditions as directives, with a blank before each: on the field, and around it.

        A field takes one @skip and one @include; fragments around it take the others.
        """
        self.variables.update(variable for variable, _ in conditions)
        own: dict[bool, str] = {}
        around: list[str] = []
        for variable, wanted in conditions:
            text = f" @{'include' if wanted else 'skip'}(if: ${variable})"
            if own.setdefault(wanted, text) != text:
                around.append(text)
        return "".join(own.values()), around


def _printing(supergraph: Supergraph, step: Step) -> _Printing:
    return _Printing(supergraph, {one.argument: one.variable for one in step.context})


def root_fetch(supergraph: Supergraph, header: Header, number: int, step: Step) -> Fetch:
    """The fetch of a root step."""
    printing = _Printing(supergraph)
    (tree,) = step.trees.values()
    body = printing.tree(tree, (), ())
    kind = header.kind if not step.path else OperationKind.QUERY
    variables = _definitions(header, printing.variables)
    head = "" if kind is OperationKind.QUERY and not variables else f"{kind.value}{variables} "
    return Fetch(
        number,
        _subgraph(supergraph, step),
        f"{head}{{ {body} }}",
        kind,
        variable_usages=tuple(sorted(printing.variables)),
        output_rewrites=tuple(printing.renames),
    )


def entity_fetch(supergraph: Supergraph, header: Header, number: int, steps: list[Step]) -> Fetch:
    """The fetch of entity steps of one subgraph, a call for each."""
    used: set[str] = set()
    calls: list[EntityCall] = []
    bodies: list[str] = []
    representations: list[str] = []
    for index, step in enumerate(steps):
        printing = _printing(supergraph, step)
        suffix = str(index) if len(steps) > 1 else ""
        alias, variable = f"_e{suffix}" if suffix else "_entities", f"representations{suffix}"
        while variable in header.variables:
            variable = f"_{variable}"
        body = _entity_body(printing, step)
        shown = f"{alias}: _entities" if suffix else "_entities"
        bodies.append(f"{shown}(representations: ${variable}) {{ {body} }}")
        representations.append(f"${variable}: [_Any!]!")
        representations += [f"${one.variable}: {one.argument.type}" for one in step.context]
        used |= printing.variables
        calls.append(
            EntityCall(
                alias,
                variable,
                step.path,
                required(supergraph, step.inputs),
                tuple(sorted(step.rewrites, key=lambda one: one.typename)),
                tuple(printing.renames),
                tuple(
                    ContextValue(one.variable, one.levels_up, required(supergraph, one.inputs))
                    for one in step.context
                ),
            )
        )
    variables = _definitions(header, used, representations)
    return Fetch(
        number,
        _subgraph(supergraph, steps[0]),
        f"query{variables} {{ {' '.join(bodies)} }}",
        OperationKind.QUERY,
        variable_usages=tuple(sorted(used)),
        entities=tuple(calls),
    )


def _entity_body(printing: _Printing, step: Step) -> str:
    """Selections by type. Renames go by types, but not below an @interfaceObject.

    Its `__typename` would hide the real one, and it is not among the types of its objects; aliases
    are one response's own, so a rename finds them without.
    """
    several = len(step.trees) > 1
    for repeat in (False, True):
        printing.renames.clear()
        if repeat:
            for tree in step.trees.values():
                tree.typename = tree.typename or not tree.node.fake
        parts = []
        for name, tree in step.trees.items():
            types = TypeFilter(tuple(sorted(printing.supergraph.possible_types(name))))
            filtered = several and not tree.node.fake
            inner = printing.tree(tree, (), (types,) if filtered else ())
            parts.append(f"... on {name} {{ {inner} }}")
        if not (several and printing.renames):
            break
    return " ".join(parts)


def signature(supergraph: Supergraph, step: Step) -> tuple[object, ...]:
    """Equal for steps that send and ask the same."""
    if not step.inputs or step.context:
        return (step.id,)
    return (
        _entity_body(_printing(supergraph, step), step),
        required(supergraph, step.inputs),
        frozenset(step.rewrites),
    )


def required(supergraph: Supergraph, inputs: Mapping[str, Inputs]) -> tuple[RequiredFragment, ...]:
    """What representations are made of, `__typename` first."""
    typename = RequiredField(TYPENAME, TYPENAME)
    return tuple(
        RequiredFragment(
            name,
            supergraph.possible_types(name) | {name},
            (typename, *_members(supergraph, one)),
        )
        for name, one in sorted(inputs.items())
    )


def _members(supergraph: Supergraph, inputs: Inputs) -> Iterable[RequiredSelection]:
    for name, (source, below) in inputs.fields.items():
        members = tuple(_members(supergraph, below)) if below is not None else ()
        if below is not None and below.casts:
            members = (RequiredField(TYPENAME, TYPENAME), *members)
        yield RequiredField(name, source, members)
    for name, cast in inputs.casts.items():
        types = supergraph.possible_types(name) | {name}
        yield RequiredFragment(name, types, tuple(_members(supergraph, cast)))


def _definitions(header: Header, used: Iterable[str], first: Iterable[str] = ()) -> str:
    parts = [*first, *(header.variables[name] for name in sorted(used))]
    return f"({', '.join(parts)})" if parts else ""


def _subgraph(supergraph: Supergraph, step: Step) -> str:
    return supergraph.subgraphs[step.subgraph].name
