"""Choice: walk the operation, and make the steps that fetch it.

First the selection is spread over positions, and fields of abstract types over their object types
where no subgraph can be asked for them on the abstract type. Then each leaf is connected to what
is there already, the ones with the fewest possible subgraphs first, each by the path that deepens
the plan least, then adds the fewest fetches (see `paths`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from router.planner.errors import PlanTooLarge, Unreachable
from router.planner.fetch_graph import ContextInput, FetchGraph, Inputs, Step
from router.planner.paths import Paths
from router.planner.plan import SetTypename, TypeFilter
from router.planner.positions import Label, Place, Position, Positions
from router.planner.query_graph import Edge, Node, QueryGraph
from router.planner.selection import TYPENAME, Field, Selection
from router.supergraph.views import ContextArgument

_TYPENAME: Final = Field(TYPENAME, TYPENAME, "", "String", 0, None, helper=True)
Leaf: TypeAlias = tuple[int, Position, Field]
_LAST: Final = 1_000_000
"""Rank of `__typename` among the leaves: nearly any place will do, so let others choose."""


class Choice:
    """Makes the fetch graph of one root selection."""

    def __init__(
        self, graph: QueryGraph, root_type: str, roots: tuple[Node, ...], fetches_max: int
    ) -> None:
        self.graph, self.root_type, self.fetches_max = graph, root_type, fetches_max
        self.positions = Positions(graph.supergraph)
        self.paths = Paths(graph, self.positions, roots)
        self.fetches = FetchGraph()
        self.roots = roots
        self.optional: set[int] = set()
        """Ids of steps made for something that another subgraph could have been asked for."""
        self._leaves: list[Leaf] = []
        self._forced: list[tuple[Position, Node]] = []

    def run(self, selection: Selection) -> FetchGraph:
        """Steps for everything in `selection`. Raises Unreachable, PlanTooLarge."""
        root = self.positions.root(self.root_type)
        root.near = self.roots
        self._spread(root, selection)
        self.paths.changed()
        for position, node in self._forced:
            self._place(position, node)
        self._leaves.sort(key=lambda leaf: leaf[0])
        for _, position, field in self._leaves:
            self._connect(position, field)
        return self.fetches

    # Spreading the selection over positions.

    def _spread(self, position: Position, selection: Selection) -> None:
        position.scope.claim(selection)
        position.ask(selection)
        if not self.graph.is_abstract(position.type):
            for field in selection.fields.values():
                self._spread_field(position, field)
            return
        self._know_types(position)
        labels = self.paths.labels(position)
        split: list[Field] = []
        for field in selection.fields.values():
            if field.name == TYPENAME:
                self._leaves.append((_LAST, position, field))
            elif self.paths.unexploded(position, field, labels) is None:
                split.append(field)
            else:
                self._spread_field(position, field)
        if split:
            self._explode(position, split)
        casts = self._casts(position, selection)
        for type_, sub in casts.items():
            inner = self.positions.cast(position, type_)
            inner.near = _moved(node.cast(type_) for node in position.near)
            rest = _without(sub, selection)
            # Where nothing is left, not even types are wanted: `position` itself is asked for them.
            if not rest.is_empty():
                self._spread(inner, rest)
        if casts or not selection.fields:
            given = {f.conditions for cast in casts.values() for f in cast.fields.values()}
            conditions = given.pop() if len(given) == 1 else ()
            typename = Field(TYPENAME, TYPENAME, "", "String", 0, None, conditions)
            self._leaves.append((_LAST, position, typename))

    def _spread_field(self, position: Position, field: Field) -> None:
        if field.sub is None:
            choices = self.graph.choices(position.type, field.name)
            if field.name == TYPENAME:
                if position.field is None and position.parent is not None:
                    position = position.parent
                choices = _LAST
            self._leaves.append((choices, position, field))
            return
        child = self.positions.child(position, field)
        child.near = self._near(position, child)
        self._spread(child, field.sub)

    def _near(self, parent: Position, child: Position) -> tuple[Node, ...]:
        """Nodes at `child` behind the fewest entries: its objects come from one of them."""
        assert child.field is not None
        name = child.field.name
        near = _moved(edge.target for node in parent.near if (edge := node.edges[name]))
        return near or _moved(
            edge.target for node in self.paths.labels(parent) if (edge := node.edges[name])
        )

    def _know_types(self, position: Position) -> None:
        """Types objects can have here, whichever near node they come from."""
        allowed = self.graph.supergraph.possible_types(position.type)
        for node in position.near:
            allowed &= node.possible
        position.allowed = allowed

    def _explode(self, position: Position, fields: list[Field]) -> None:
        labels = self.paths.labels(position)
        found = self.paths.exploded(position, fields, labels)
        if found is None:
            for field in fields:
                if self.paths.exploded(position, [field], labels) is None:
                    raise self._unreachable(position, field)
                if len(fields) > 1:
                    self._explode(position, [field])
            return
        node = found[1]
        self._forced.append((position, node))
        for type_ in sorted(self.paths.types_at(position, node)):
            inner = self.positions.cast(position, type_)
            inner.near = _moved([node.cast(type_)])
            narrow = Selection(type_)
            for field in fields:
                narrow.add(self.graph.field_on(field, type_))
            self._spread(inner, narrow)

    def _casts(self, position: Position, selection: Selection) -> dict[str, Selection]:
        """Casts that objects here can match; those to abstract types only where they work."""
        allowed = position.allowed or frozenset()
        casts: dict[str, Selection] = {}
        for type_, sub in selection.casts.items():
            # Whether one cast works depends on what others ask, so all say first what they do.
            self.positions.cast(position, type_).ask(sub)
        for type_, sub in selection.casts.items():
            wanted = allowed & self.graph.supergraph.possible_types(type_)
            if type_ in allowed or (wanted and self._cast_works(position, type_, sub)):
                casts.setdefault(type_, Selection(type_)).add_all(sub)
                continue
            self.positions.cast(position, type_).asked.clear()
            for name in sorted(wanted):
                narrow = casts.setdefault(name, Selection(name))
                for field in sub.fields.values():
                    narrow.add(self.graph.field_on(field, name))
        return casts

    def _cast_works(self, position: Position, type_: str, sub: Selection) -> bool:
        if not all(node.cast(type_) for node in position.near):
            return False
        inner = self.positions.cast(position, type_)
        start = self.paths.below(inner, self.paths.labels(position))
        self.paths.close(inner, start)
        return all(
            self.paths.unexploded(inner, field, start) is not None for field in sub.fields.values()
        )

    # Connecting what is needed at a position.

    def _connect(self, position: Position, field: Field) -> set[Step]:
        """Select a field at a position; the steps its value comes from."""
        if field.sub is not None:
            return self._connect_composite(position, field)
        ready = [
            place
            for node, place in position.places.items()
            if (found := node.edges[field.name]) and not found.conditional
        ]
        best = min(ready, key=_wave) if ready else self._reach(position, field)
        if best is None:
            return self._connect_exploded(position, field)
        edge = best.node.edges[field.name] or Edge(field.name, None, "String!")
        best.tree.add(field, edge)
        return {best.step}

    def _reach(self, position: Position, field: Field) -> Place | None:
        """A place where a leaf can be had, made if need be; None where only type by type."""
        free = [
            (label.wave, node)
            for node, label in self.paths.free(position).items()
            if (edge := node.edges[field.name]) and not edge.conditional
        ]
        if free:
            return self._place(position, min(free, key=lambda one: one[0])[1])
        labels = self.paths.labels(position)
        best: tuple[int, Node, Edge] | None = None
        ways = 0
        for node, label in labels.items():
            edge = node.edges[field.name]
            if edge is None:
                continue
            ways += 1
            rank = label.rank
            if edge.conditional:
                price = self.paths.conditional(position, node, edge, labels)
                if price is None:
                    continue
                rank = self.paths.rank(*price)
            if best is None or rank < best[0]:
                best = rank, node, edge
        if best is not None:
            _, node, edge = best
            known = len(self.fetches.steps)
            if edge.conditional:
                place = self._conditional(position, node, edge)
            else:
                place = self._place(position, node)
            if ways > 1:
                self.optional.update(range(known, len(self.fetches.steps)))
            return place
        if field.name == TYPENAME and labels and not self.graph.is_abstract(position.type):
            return self._place(position, min(labels, key=lambda node: labels[node].rank))
        if not self.graph.is_abstract(position.type):
            raise self._unreachable(position, field)
        return None

    def _connect_exploded(self, position: Position, field: Field) -> set[Step]:
        found = self.paths.exploded(position, [field], self.paths.labels(position))
        if found is None:
            raise self._unreachable(position, field)
        node = found[1]
        steps = {self._place(position, node).step}
        for type_ in sorted(self.paths.types_at(position, node)):
            inner = self.positions.cast(position, type_)
            steps |= self._connect(inner, self.graph.field_on(field, type_))
        return steps

    def _connect_composite(self, position: Position, field: Field) -> set[Step]:
        assert field.sub is not None
        labels = self.paths.labels(position)
        if self.paths.unexploded(position, field, labels) is None:
            if not self.graph.is_abstract(position.type):
                raise self._unreachable(position, field)
            return self._connect_exploded(position, field)
        return self._require(self.positions.child(position, field), field.sub)[0]

    def _require(self, position: Position, selection: Selection) -> tuple[set[Step], Inputs]:
        """Connect a condition; the steps it comes from, and how to read it from their data."""
        steps: set[Step] = set()
        inputs = Inputs()
        for wanted in selection.fields.values():
            if wanted.name == TYPENAME:
                continue
            field = position.scope.helper(wanted)
            if field.sub is None:
                steps |= self._connect(position, field)
                inputs.fields[field.name] = (field.key, None)
                continue
            steps |= self._connect(position, field)
            child = self.positions.child(position, field)
            inputs.fields[field.name] = (field.key, self._inputs_below(child, field.sub))
        for type_, sub in selection.casts.items():
            inner = self.positions.cast(position, type_)
            if self.paths.below(inner, self.paths.labels(position)):
                more, below = self._require(inner, sub)
                steps |= more
                inputs.casts[type_] = below
        if not steps:
            labels = self.paths.labels(position)
            if not labels:
                raise self._unreachable(position, Field(TYPENAME, TYPENAME, "", "String", 0, None))
            steps.add(self._place(position, min(labels, key=lambda one: labels[one].rank)).step)
        if selection.casts:
            for place in _telling([*position.places.values()], steps):
                place.tree.typename = True
        return steps, inputs

    def _inputs_below(self, position: Position, selection: Selection) -> Inputs:
        """How to read a connected condition. Keys are those `_require` has settled on."""
        inputs = Inputs()
        for wanted in selection.fields.values():
            if wanted.name != TYPENAME:
                field = position.scope.helper(wanted)
                child = self.positions.child(position, field) if field.sub is not None else None
                below = self._inputs_below(child, field.sub) if child and field.sub else None
                inputs.fields[field.name] = (field.key, below)
        for type_, sub in selection.casts.items():
            inner = self.positions.cast(position, type_)
            inputs.casts[type_] = self._inputs_below(inner, sub)
        return inputs

    # Making places and steps.

    def _place(self, position: Position, node: Node) -> Place:
        """Where `node` selects at the position, made along the cheapest path."""
        place = position.places.get(node)
        if place is not None:
            return place
        label = self._label(position, node)
        via = label.via
        assert via is not None
        if via.source is None:
            place = self._entered(position, node, via.key)
        elif via.edge is not None and via.edge.conditional:
            assert position.parent is not None
            place = self._below(self._conditional(position.parent, via.source, via.edge), position)
        else:
            assert position.parent is not None
            place = self._below(self._place(position.parent, via.source), position)
        return self._register(position, place)

    def _label(self, position: Position, node: Node) -> Label:
        free = self.paths.free(position)
        return free[node] if node in free else self.paths.labels(position)[node]

    def _register(self, position: Position, place: Place) -> Place:
        kept = position.places.setdefault(place.node, place)
        self.paths.changed()
        return kept

    @staticmethod
    def _below(above: Place, position: Position) -> Place:
        """The place one field or cast further down."""
        if position.field is None:
            node = above.node.cast(position.type)
            assert node is not None
            return Place(above.step, above.tree.cast(node), node)
        edge = above.node.edges[position.field.name]
        assert edge is not None
        branch = above.tree.add(position.field, edge)
        assert branch.tree is not None
        assert edge.target is not None
        return Place(above.step, branch.tree, edge.target)

    def _entered(self, position: Position, node: Node, key: Selection | None) -> Place:
        if position.parent is None:
            step = self._step(node, position, self.root_type, ())
            return Place(step, step.tree(node), node)
        if key is None:
            steps, _ = self._require(position, Selection(position.type))
            step = self._step(node, position, node.type, steps)
            return Place(step, step.tree(node), node)
        steps, inputs = self._require(position, key)
        self._tell(position, steps)
        there = position.places.get(node)
        return there or self._entity_step(position, node, steps, inputs, repr(key))

    def _conditional(self, position: Position, node: Node, edge: Edge) -> Place:
        """A place of its own for a field that requires others."""
        there = position.conditional.get((node, edge.name))
        if there is not None:
            return there
        labels = self.paths.labels(position)
        found = self.paths.best_key(position, node, labels)
        assert found is not None
        steps, inputs = self._require(position, found[1])
        if edge.requires is not None:
            more, needed = self._require(position, edge.requires)
            steps |= more
            agreed = inputs.absorb(needed)
            assert agreed, "the keys of one scope are settled, so members cannot differ"
        context = [self._context(position, argument, steps) for argument in edge.context]
        self._tell(position, steps)
        plain = self.graph.plain(node)
        place = self._entity_step(position, plain, steps, inputs, repr(found[1]))
        place.step.context += context
        position.conditional[node, edge.name] = place
        self.paths.changed()
        return place

    def _context(
        self, position: Position, argument: ContextArgument, steps: set[Step]
    ) -> ContextInput:
        """Connect what a contextual argument is read from; adds to `steps`."""
        found = self.paths.setter(position, argument)
        assert found is not None
        setter, levels_up = found
        more, inputs = self._require(setter, self.graph.field_set(setter.type, argument.selection))
        steps |= more
        for place in setter.places.values():
            if place.step in more:
                place.tree.typename = True
        variable = f"_lonja_{argument.name}_{len(self.fetches.steps)}"
        return ContextInput(argument, variable, levels_up, {setter.type: inputs})

    def _tell(self, position: Position, steps: set[Step]) -> None:
        """Add steps that tell the runtime types which the way to the position depends on."""
        above: Position | None = position
        while above is not None:
            below, above = above, above.parent
            if above is None or not below.is_cast_of(self.graph.fakes):
                continue
            places = [*below.places.values(), *above.places.values()]
            told = [place for place in places if place.step in steps and not place.node.fake]
            if told:
                told[0].tree.typename = True
            else:
                steps |= self._connect(below, _TYPENAME)

    def _entity_step(
        self, position: Position, node: Node, steps: set[Step], inputs: Inputs, key: str
    ) -> Place:
        """A step that asks `_entities`, and the `__typename` its representations need."""
        base = position
        while base.field is None and base.parent is not None:
            base = base.parent
        for place in _telling([*position.places.values(), *base.places.values()], steps):
            place.tree.typename = True
            steps.add(place.step)
        step = self._step(node, position, None, steps)
        step.inputs[position.type] = inputs
        step.keys[position.type] = key
        if node.fake:
            types = self.graph.supergraph.possible_types(position.type) | {position.type}
            step.rewrites.add(SetTypename(types, node.type))
        return Place(step, step.tree(node), node)

    def _step(
        self, node: Node, position: Position, root_type: str | None, after: Iterable[Step]
    ) -> Step:
        if len(self.fetches.steps) >= self.fetches_max:
            raise PlanTooLarge(self.fetches_max)
        step = self.fetches.new(node.subgraph, position.base_path, root_type, after)
        step.under.add(position.conditions())
        self.paths.depth = max(self.paths.depth, step.wave)
        self.paths.used.add((step.subgraph, step.wave))
        self.paths.changed()
        return step

    def _unreachable(self, position: Position, field: Field) -> Unreachable:
        path = ".".join(one for one in position.path if not isinstance(one, TypeFilter))
        return Unreachable(position.type, field.name, path)


def _without(selection: Selection, above: Selection) -> Selection:
    """The selection of a cast, but for leaves that all objects are asked for anyway."""
    result = Selection(selection.type)
    result.casts = selection.casts
    result.fields = {
        field_id: field
        for field_id, field in selection.fields.items()
        if field.sub is not None or field_id not in above.fields
    }
    return result


def _telling(places: list[Place], steps: set[Step]) -> list[Place]:
    """Of the places of some objects, those that tell their `__typename` to who waits for `steps`.

    An @interfaceObject is asked only where nobody else has told: its answer would hide the type.
    """
    known = [place for place in places if place.step in steps]
    real = [place for place in known if not place.node.fake]
    if real:
        return real
    told = [place for place in places if place.tree.typename or place.tree.node.abstract]
    return [min(told, key=_wave)] if told else known or places[:1]


def _wave(place: Place) -> int:
    return place.step.wave


def _moved(nodes: Iterable[Node | None]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys(node for node in nodes if node is not None))
