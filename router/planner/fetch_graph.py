"""The fetch graph: steps, what each asks for, what it needs, and on which others it waits.

A step becomes a fetch or, with others of its subgraph, a call of one. While paths are chosen steps
only grow; the passes merge and drop them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from router.planner.plan import Path, SetTypename
from router.planner.query_graph import Edge, Node
from router.planner.selection import Conditions, Field, FieldId
from router.supergraph.views import ContextArgument


class Tree:
    """What a step selects on `node`; `typename` asks for `__typename` besides."""

    __slots__ = ("casts", "fields", "node", "typename")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.fields: dict[FieldId, Branch] = {}
        self.casts: dict[str, Tree] = {}
        self.typename = False

    def add(self, field_: Field, edge: Edge) -> Branch:
        """Select a field, or find it selected."""
        branch = self.fields.get(field_.id)
        if branch is None:
            branch = Branch(field_, edge, Tree(edge.target) if edge.target else None)
            self.fields[field_.id] = branch
            if branch.tree is not None and not field_.helper and not branch.tree.node.fake:
                # The graph may promise an interface where this subgraph has one type of it.
                branch.tree.typename = branch.tree.node.graph.is_abstract(field_.type)
        elif branch.field.helper and not field_.helper:
            branch.field = field_
        return branch

    def cast(self, node: Node) -> Tree:
        """The selection for objects of the type of `node`, this tree where it is of that type."""
        if node is self.node or node.type == self.node.type:
            return self
        found = self.casts.get(node.type)
        if found is None:
            found = self.casts[node.type] = Tree(node)
        return found

    def absorb(self, other: Tree) -> None:
        """Take over everything `other`, of the same type and subgraph, selects."""
        self.typename = self.typename or other.typename
        for field_id, branch in other.fields.items():
            mine = self.fields.get(field_id)
            if mine is None:
                self.fields[field_id] = branch
            else:
                if mine.field.helper:
                    mine.field = branch.field
                if mine.tree is not None and branch.tree is not None:
                    mine.tree.absorb(branch.tree)
        for name, tree in other.casts.items():
            if name in self.casts:
                self.casts[name].absorb(tree)
            else:
                self.casts[name] = tree

    def asks_as(self, other: Tree) -> bool:
        """Whether `other` selects the same."""
        return (
            self.typename == other.typename
            and self.fields.keys() == other.fields.keys()
            and self.casts.keys() == other.casts.keys()
            and all(
                _same(branch.tree, other.fields[key].tree) for key, branch in self.fields.items()
            )
            and all(tree.asks_as(other.casts[name]) for name, tree in self.casts.items())
        )

    def is_empty(self) -> bool:
        """Whether nothing but `__typename` is selected."""
        return not self.fields and all(tree.is_empty() for tree in self.casts.values())


def _same(one: Tree | None, other: Tree | None) -> bool:
    return one is other or (one is not None and other is not None and one.asks_as(other))


@dataclass(slots=True)
class Branch:
    """A selected field: how it is asked for, and what is selected below it."""

    field: Field
    edge: Edge
    tree: Tree | None


@dataclass(slots=True)
class Inputs:
    """Members of a representation: name to (key in the data, members below, None for a leaf)."""

    fields: dict[str, tuple[str, Inputs | None]] = field(default_factory=dict)
    casts: dict[str, Inputs] = field(default_factory=dict)

    def absorb(self, other: Inputs) -> bool:
        """Add the members of `other`; False, with nothing changed, where a member differs."""
        if not self.agrees(other):
            return False
        self._add(other)
        return True

    def agrees(self, other: Inputs) -> bool:
        """Whether no member is read differently."""
        for name, (source, sub) in other.fields.items():
            mine = self.fields.get(name)
            if mine is None:
                continue
            if mine[0] != source or (mine[1] is None) is not (sub is None):
                return False
            if mine[1] is not None and sub is not None and not mine[1].agrees(sub):
                return False
        return all(
            name not in self.casts or self.casts[name].agrees(cast)
            for name, cast in other.casts.items()
        )

    def _add(self, other: Inputs) -> None:
        for name, (source, sub) in other.fields.items():
            mine = self.fields.get(name)
            if mine is None:
                self.fields[name] = (source, sub)
            elif mine[1] is not None and sub is not None:
                mine[1]._add(sub)
        for name, cast in other.casts.items():
            self.casts.setdefault(name, Inputs())._add(cast)


@dataclass(frozen=True, slots=True)
class ContextInput:
    """A contextual argument of a step: its variable, and where its value is found."""

    argument: ContextArgument
    variable: str
    levels_up: int
    inputs: dict[str, Inputs]


@dataclass(slots=True, eq=False)
class Step:
    """A request to one subgraph, or a part of one.

    `inputs` go by the type of the objects the representations are made of; without any the step
    is a root fetch, at `path` if that is not empty. `keys` are the keys among the inputs, as text.
    `trees` go by the type selected on.
    `wave` is the number of steps, itself included, that run one after another up to it. `under` are
    the conditions of the fields on its path, several if it stands for several places.
    """

    id: int
    subgraph: int
    path: Path
    root_type: str | None
    trees: dict[str, Tree] = field(default_factory=dict)
    inputs: dict[str, Inputs] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    rewrites: set[SetTypename] = field(default_factory=set)
    context: list[ContextInput] = field(default_factory=list)
    after: set[Step] = field(default_factory=set)
    wave: int = 1
    under: set[Conditions] = field(default_factory=set)

    def tree(self, node: Node) -> Tree:
        """The selection on the type of `node` at the step's own place."""
        found = self.trees.get(node.type)
        if found is None:
            found = self.trees[node.type] = Tree(node)
        return found


class FetchGraph:
    """Steps by id. Edges are `Step.after`."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self._next = 0

    def new(self, subgraph: int, path: Path, root_type: str | None, after: Iterable[Step]) -> Step:
        """A step that waits for those in `after`."""
        step = Step(self._next, subgraph, path, root_type, after=set(after))
        step.wave = 1 + max((one.wave for one in step.after), default=0)
        self.steps[step.id] = step
        self._next += 1
        return step

    def in_order(self) -> list[Step]:
        """Steps, each behind all it waits for; `wave` is brought up to date."""
        done: dict[int, int] = {}
        order: list[Step] = []
        for start in self.steps.values():
            stack: list[tuple[Step, Iterator[Step]]] = []
            if start.id not in done:
                stack.append((start, iter(start.after)))
            while stack:
                step, rest = stack[-1]
                following = next((one for one in rest if one.id not in done), None)
                if following is not None:
                    assert len(stack) <= len(self.steps), "steps wait for each other in a circle"
                    stack.append((following, iter(following.after)))
                    continue
                stack.pop()
                if step.id not in done:
                    done[step.id] = step.wave = 1 + max(
                        (done[one.id] for one in step.after), default=0
                    )
                    order.append(step)
        order.sort(key=lambda step: (step.wave, step.id))
        return order

    def tails(self, order: list[Step]) -> dict[int, int]:
        """By id, how many steps run one after another behind each step."""
        tails = {step.id: 0 for step in order}
        for step in reversed(order):
            for before in step.after:
                tails[before.id] = max(tails[before.id], tails[step.id] + 1)
        return tails

    def waits_for(self, step: Step, other: Step) -> bool:
        """Whether `step` runs after `other`, directly or not."""
        seen: set[int] = set()
        stack = list(step.after)
        while stack:
            one = stack.pop()
            if one is other:
                return True
            if one.id not in seen:
                seen.add(one.id)
                stack.extend(one.after)
        return False

    def replace(self, gone: Step, kept: Step) -> None:
        """Let everything that waits for `gone` wait for `kept`; drop `gone`."""
        del self.steps[gone.id]
        kept.under |= gone.under
        kept.after |= gone.after
        kept.after.discard(kept)
        kept.after.discard(gone)
        for step in self.steps.values():
            if gone in step.after:
                step.after.discard(gone)
                if step is not kept:
                    step.after.add(kept)
