"""Paths: at what price each node can be had at each position, given the steps there are.

Labels spread from the root: down fields and casts for nothing, sideways over entries at the price
of a fetch. An entry or a field with a condition costs what its condition costs besides. Conditions
are selections at the same position, so pricing them is the same question again, bounded by
`NESTING_MAX` and by never asking for what is being asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from router.planner.positions import Label, Position, Positions, Via
from router.planner.query_graph import Edge, Node, QueryGraph
from router.planner.selection import TYPENAME, Field, Selection
from router.supergraph.views import ContextArgument

NESTING_MAX: Final = 4
"""Entries whose key needs an entry whose key needs …, at nested positions."""
_NEW: Final = 1000
_SHARED: Final = 10
_AVOIDED: Final = 50_000
"""Weight of a fetch of its own, of one that can be part of another request, and of one that an
attempt at a better plan does without."""

Labels: TypeAlias = dict[Node, Label]
Price: TypeAlias = tuple[int, int]
"""(wave, bits of the fetches to add)"""


class Paths:
    """Prices. `changed` must be called whenever a step or place was added."""

    def __init__(self, graph: QueryGraph, positions: Positions, roots: tuple[Node, ...]) -> None:
        self.graph, self.positions, self.roots = graph, positions, roots
        self.version = 0
        self.depth = 0
        self.used: set[tuple[int, int]] = set()
        self.avoided: frozenset[tuple[int, int]] = frozenset()
        self._bits: dict[tuple[int, Node, str, int], int] = {}
        self._weights: list[int] = []
        self._sums: dict[int, int] = {}
        self._asking: set[tuple[int, Node, str]] = set()
        self._nesting = 0
        self._free: dict[int, tuple[int, Labels]] = {}

    def changed(self) -> None:
        """Forget prices: something can be had for less now."""
        self.version += 1
        self._bits.clear()
        self._weights.clear()
        self._sums.clear()

    def labels(self, position: Position) -> Labels:
        """Every node that can be had at the position."""
        if position.version == self.version:
            return position.labels
        parent = position.parent
        if parent is None:
            labels = {node: self._enter(position, node, (0, 0), None) for node in self.roots}
        else:
            labels = self.below(position, self.labels(parent))
        self._add_places(position, labels)
        self.close(position, labels)
        if not self._asking:
            position.labels, position.version = labels, self.version
        return labels

    def free(self, position: Position) -> Labels:
        """Nodes that can be had at the position without another fetch, by fields and casts."""
        known = self._free.get(position.id)
        if known is not None and known[0] == self.version:
            return known[1]
        labels: Labels = {}
        self._add_places(position, labels)
        if position.parent is not None:
            for node, label in self.free(position.parent).items():
                edge, target = self._move(position, node, label)
                if target is not None and not (edge and edge.conditional):
                    self._improve(labels, target, Label(label.rank, label.wave, 0, Via(node, edge)))
        self._free[position.id] = (self.version, labels)
        return labels

    def _move(
        self, position: Position, node: Node, label: Label
    ) -> tuple[Edge | None, Node | None]:
        """From a node with a label at the parent to one at `position`."""
        if position.field is None:
            if node.fake and not self._may_cast(position, node, label):
                return None, None
            return None, node.cast(position.type)
        edge = node.edges[position.field.name]
        return edge, edge.target if edge else None

    def _may_cast(self, position: Position, node: Node, label: Label) -> bool:
        """Whether an @interfaceObject may be asked, for all its objects, what a cast asks of some.

        Not where it is entered for these objects: an entry from the cast sends those it is about.
        Nor where others of the objects have something else under a key of the cast, or would be
        lost where a field that may not be null fails for them; an object of which nothing else is
        wanted is not worth a request.
        """
        if node.possible <= self.graph.supergraph.possible_types(position.type):
            return True
        if not position.scope.contested.isdisjoint(position.asked):
            return False
        parent = position.parent
        assert parent is not None
        if parent.asked or any(
            cast.asked for cast in parent.casts.values() if cast is not position
        ):
            edges = (node.edges[name] for name in position.asked.values())
            if any(edge is not None and edge.shape.endswith("!") for edge in edges):
                return False
        if label.via is not None:
            return label.via.source is not None or parent.parent is None
        place = parent.places.get(node)
        return place is None or not place.step.inputs or place.step.path != parent.base_path

    def _add_places(self, position: Position, labels: Labels) -> None:
        for node, place in position.places.items():
            wave = place.step.wave
            labels[node] = Label(self.rank(wave, 0), wave, 0, None)

    def below(self, position: Position, above: Mapping[Node, Label]) -> Labels:
        """Labels at a position from those of its parent, before `close`."""
        labels: Labels = {}
        parent = position.parent
        assert parent is not None
        for node, label in above.items():
            edge, target = self._move(position, node, label)
            if target is None:
                continue
            if edge is not None and edge.conditional:
                price = self.conditional(parent, node, edge, above)
                if price is None:
                    continue
                via = Label(self.rank(*price), price[0], price[1], Via(node, edge))
            else:
                via = Label(label.rank, label.wave, label.added, Via(node, edge))
            self._improve(labels, target, via)
        return labels

    def close(self, position: Position, labels: Labels) -> None:
        """Add what entries lead to. Each round may use what the round before found."""
        entries = self.graph.entries(position.type)
        if not entries or self._nesting >= NESTING_MAX:
            return
        self._nesting += 1
        try:
            for _ in range(len(entries) + 1):
                found = False
                for entry in entries:
                    known = labels.get(entry.node)
                    if known is not None and known.added == 0:
                        continue
                    price = self._key_price(position, entry.key, labels)
                    if price is not None:
                        label = self._enter(position, entry.node, price, entry.key)
                        found = self._improve(labels, entry.node, label) or found
                if not found:
                    break
        finally:
            self._nesting -= 1

    def _key_price(self, position: Position, key: Selection | None, labels: Labels) -> Price | None:
        if key is not None:
            return self._told(position, labels, self.satisfy(position, key, labels))
        if position.parent is None:
            return None
        return self._cheapest(labels)

    def _told(
        self, position: Position, labels: Mapping[Node, Label], price: Price | None
    ) -> Price | None:
        """The price with that of runtime types added, which filters and representations go by.

        An @interfaceObject has none to tell: where objects came from one, another subgraph is asked
        for their types first.
        """
        above: Position | None = position
        while price is not None and above is not None:
            if above.is_cast_of(self.graph.fakes):
                known = labels if above is position else self.labels(above)
                real = {node: label for node, label in known.items() if not node.fake}
                more = self._cheapest(real) or (0, 0)
                price = max(price[0], more[0]), price[1] | more[1]
            above = above.parent
        return price

    @staticmethod
    def _cheapest(labels: Mapping[Node, Label]) -> Price | None:
        best = min(labels.values(), key=lambda label: label.rank, default=None)
        return (best.wave, best.added) if best else None

    @staticmethod
    def _improve(labels: Labels, node: Node, label: Label) -> bool:
        known = labels.get(node)
        if known is not None and known.rank <= label.rank:
            return False
        labels[node] = label
        return True

    def _enter(self, position: Position, node: Node, price: Price, key: Selection | None) -> Label:
        """The label of a node behind a fetch of its own, its key priced."""
        wave = price[0] + 1
        added = price[1] | self._bit(position, node, "", wave)
        return Label(self.rank(wave, added), wave, added, Via(None, None, key))

    def rank(self, wave: int, added: int) -> int:
        """Waves the plan has already cost nothing, fetches it could share little."""
        return (max(wave, self.depth) << 48) | (self._weight(added) << 12) | min(wave, 4095)

    def _bit(self, position: Position, node: Node, field: str, wave: int) -> int:
        """The bit of a fetch into a node, of one weight as long as nothing has `changed`.

        Weights must hold still: since what an entry adds weighs more than all its key adds, the
        key's cheapest path never leads through the entry itself.
        """
        key = (position.id, node, field, wave)
        number = self._bits.get(key)
        if number is None:
            number = self._bits[key] = len(self._weights)
            request = (node.subgraph, wave)
            shared = request in self.used or position.has_entity_step(node)
            avoided = request in self.avoided
            self._weights.append(_AVOIDED if avoided else _SHARED if shared else _NEW)
        return 1 << number

    def _weight(self, added: int) -> int:
        total = self._sums.get(added)
        if total is None:
            total, rest = 0, added
            while rest:
                low = rest & -rest
                total += self._weights[low.bit_length() - 1]
                rest ^= low
            self._sums[added] = total
        return total

    def conditional(
        self, position: Position, node: Node, edge: Edge, labels: Mapping[Node, Label]
    ) -> Price | None:
        """The price of a field that its subgraph resolves only with what it requires sent along."""
        asking = (position.id, node, edge.name)
        if asking in self._asking or len(self._asking) > 4 * NESTING_MAX:
            return None
        if (node, edge.name) in position.conditional:
            return position.conditional[node, edge.name].step.wave, 0
        self._asking.add(asking)
        try:
            needed = self.satisfy(position, edge.requires, labels) if edge.requires else (0, 0)
            if needed is None:
                return None
            needed = self._with_context(position, edge, needed)
            if needed is None:
                return None
            found = self.best_key(position, node, labels)
            if found is None:
                return None
            wave = 1 + max(needed[0], found[0][0])
            bit = self._bit(position, node, edge.name, wave)
            return wave, needed[1] | found[0][1] | bit
        finally:
            self._asking.discard(asking)

    def _with_context(self, position: Position, edge: Edge, price: Price) -> Price | None:
        """The price with that of contextual arguments added."""
        for argument in edge.context:
            setter = self.setter(position, argument)
            if setter is None:
                return None
            selection = self.graph.field_set(setter[0].type, argument.selection)
            more = self.satisfy(setter[0], selection, self.labels(setter[0]))
            if more is None:
                return None
            price = max(price[0], more[0]), price[1] | more[1]
        return price

    def setter(self, position: Position, argument: ContextArgument) -> tuple[Position, int] | None:
        """The nearest position above that sets the argument's context, and how far up it is."""
        types = self.graph.supergraph.contexts.get(argument.context, frozenset())
        possible = self.graph.supergraph.possible_types
        above: Position | None = position
        levels = 0
        while above is not None:
            if levels and any(possible(above.type) <= possible(one) for one in types):
                return above, levels
            levels += above.field is not None
            above = above.parent
        return None

    def best_key(
        self, position: Position, node: Node, labels: Mapping[Node, Label]
    ) -> tuple[Price, Selection] | None:
        """The cheapest key by which `node` can be entered at the position, with its price."""
        plain = self.graph.plain(node)
        best: tuple[Price, Selection] | None = None
        for entry in self.graph.entries(position.type):
            if entry.node is plain and entry.key is not None:
                price = self._told(position, labels, self.satisfy(position, entry.key, labels))
                if price and (best is None or self.rank(*price) < self.rank(*best[0])):
                    best = price, entry.key
        return best

    def satisfy(
        self, position: Position, selection: Selection, labels: Mapping[Node, Label]
    ) -> Price | None:
        """The price of everything in `selection`, from nodes with `labels`; None: impossible."""
        wave, added = 0, 0
        for field in selection.fields.values():
            price = self.field(position, field, labels)
            if price is None:
                return None
            wave, added = max(wave, price[0]), added | price[1]
        for type_, sub in selection.casts.items():
            inner = self.positions.cast(position, type_)
            start = self.below(inner, labels)
            if not start:
                continue
            price = self.satisfy(inner, sub, start)
            if price is None:
                self.close(inner, start)
                price = self.satisfy(inner, sub, start)
            if price is None:
                return None
            wave, added = max(wave, price[0]), added | price[1]
        if wave == 0:
            return self._cheapest(labels)
        return wave, added

    def field(self, position: Position, field: Field, labels: Mapping[Node, Label]) -> Price | None:
        """The price of a field with all below it."""
        price = self.unexploded(position, field, labels)
        if price is None and self.graph.is_abstract(position.type):
            found = self.exploded(position, [field], labels)
            price = found[0] if found else None
        return price

    def unexploded(
        self, position: Position, field: Field, labels: Mapping[Node, Label]
    ) -> Price | None:
        """The price of a field asked for on the position's own type."""
        if field.sub is not None:
            child = self.positions.child(position, field)
            below = self.below(child, labels)
            if not below:
                return None
            price = self.satisfy(child, field.sub, below)
            if price is None and self.graph.entries(child.type):
                self.close(child, below)
                price = self.satisfy(child, field.sub, below)
            return price
        best: Price | None = None
        best_rank = 0
        for node, label in labels.items():
            edge = node.edges[field.name]
            if edge is None:
                continue
            price = (label.wave, label.added)
            if edge.conditional:
                found = self.conditional(position, node, edge, labels)
                if found is None:
                    continue
                price = found
            rank = self.rank(*price)
            if best is None or rank < best_rank:
                best, best_rank = price, rank
        if best is None and field.name == TYPENAME and not self.graph.is_abstract(position.type):
            return self._cheapest(labels)
        return best

    def exploded(
        self, position: Position, fields: list[Field], labels: Mapping[Node, Label]
    ) -> tuple[Price, Node] | None:
        """The price of fields asked for type by type, of all the types one node can have here."""
        best: tuple[Price, Node] | None = None
        for node, label in labels.items():
            if node.fake or not node.possible:
                continue
            price = self._exploded_from(position, fields, node, label)
            if price and (best is None or self.rank(*price) < self.rank(*best[0])):
                best = price, node
        return best

    def _exploded_from(
        self, position: Position, fields: list[Field], node: Node, label: Label
    ) -> Price | None:
        wave, added = label.wave, label.added
        for type_ in sorted(self.types_at(position, node)):
            inner = self.positions.cast(position, type_)
            start = self.below(inner, {node: label})
            self.close(inner, start)
            for field in fields:
                price = self.field(inner, self.graph.field_on(field, type_), start)
                if price is None:
                    return None
                wave, added = max(wave, price[0]), added | price[1]
        return wave, added

    @staticmethod
    def types_at(position: Position, node: Node) -> frozenset[str]:
        """Object types a node can have at a position."""
        allowed = position.allowed
        return node.possible if allowed is None else node.possible & allowed
