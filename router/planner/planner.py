"""The planner: an operation in, a plan out."""

from __future__ import annotations

import time
from collections.abc import Callable

from graphql import DocumentNode, OperationDefinitionNode, print_ast

from router.planner.cache import PlanCache
from router.planner.config import PlannerConfig
from router.planner.demand import ALWAYS, demands, guarded
from router.planner.errors import Unreachable
from router.planner.improve import best_draft
from router.planner.normalise import find_operation, normalise_operation
from router.planner.order import ordered
from router.planner.passes import Request
from router.planner.plan import (
    Condition,
    Fetch,
    Flatten,
    OperationKind,
    PlanNode,
    QueryPlan,
    Sequence,
    Subscription,
)
from router.planner.query_graph import Node, QueryGraph
from router.planner.selection import Selection
from router.planner.serial import CONDITIONS_MAX, deciding_variable, given, root_fields
from router.planner.text import Header, entity_fetch, root_fetch
from router.supergraph import Supergraph


class Planner:
    """Plans operations over one supergraph."""

    def __init__(
        self,
        supergraph: Supergraph,
        config: PlannerConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.supergraph, self.clock = supergraph, clock
        self.config = config or PlannerConfig()
        self.cache = PlanCache(self.config.cached_plans_max)
        self._graphs: dict[frozenset[str], QueryGraph] = {}

    def plan(
        self,
        document: DocumentNode,
        operation_name: str | None = None,
        override_labels: frozenset[str] = frozenset(),
    ) -> QueryPlan:
        """Plan one operation of a document that is valid against the API schema.

        `override_labels` are the labels of progressive overrides that are active for this request.
        Raises PlanningError.
        """
        operation = find_operation(document, operation_name)
        labels = override_labels & self.supergraph.override_labels
        selection = normalise_operation(
            self.supergraph, document, operation, self.config.selections_max
        )
        header = _header(operation)
        key = self.cache.key(selection, header, labels)
        plan = self.cache.get(key)
        if plan is None:
            graph = self._graph(labels)
            plan = Planning(graph, self.config, header, self.clock).run(selection)
            self.cache.put(key, plan)
        return plan

    def _graph(self, labels: frozenset[str]) -> QueryGraph:
        graph = self._graphs.get(labels)
        if graph is None:
            if len(self._graphs) >= self.config.cached_label_sets_max:
                self._graphs.pop(next(iter(self._graphs)))
            graph = self._graphs[labels] = QueryGraph(self.supergraph, labels)
        return graph


def _header(operation: OperationDefinitionNode) -> Header:
    return Header(
        OperationKind(operation.operation.value),
        {one.variable.name.value: _definition(one) for one in operation.variable_definitions or ()},
    )


def _definition(node: object) -> str:
    default = getattr(node, "default_value", None)
    tail = f" = {print_ast(default)}" if default is not None else ""
    return f"${node.variable.name.value}: {print_ast(node.type)}{tail}"  # type: ignore[attr-defined]


def _put_in_order(requests: list[Request], selection: Selection) -> None:
    """Root fields stand as in the operation, for a subgraph runs those of a mutation so."""
    place = {field_id: number for number, field_id in enumerate(selection.fields)}
    for request in requests:
        for step in request.steps:
            tree = None if step.inputs or step.path else step.trees.get(selection.type)
            if tree is not None:
                tree.fields = dict(
                    sorted(tree.fields.items(), key=lambda one: place.get(one[0], len(place)))
                )


class Planning:
    """The planning of one operation."""

    def __init__(
        self,
        graph: QueryGraph,
        config: PlannerConfig,
        header: Header,
        clock: Callable[[], float],
    ) -> None:
        self.graph, self.config, self.header, self.clock = graph, config, header, clock
        self.supergraph = graph.supergraph
        self._fetches = 0

    def run(self, selection: Selection) -> QueryPlan:
        """The plan of a normalised root selection."""
        if not selection.fields:
            return QueryPlan(None)
        match self.header.kind:
            case OperationKind.QUERY:
                return QueryPlan(self._query(selection))
            case OperationKind.MUTATION:
                return QueryPlan(self._mutation(selection))
            case OperationKind.SUBSCRIPTION:
                return QueryPlan(self._subscription(selection))

    def _query(self, selection: Selection) -> PlanNode | None:
        return self._stage(selection, self.graph.roots(selection.type))

    def _mutation(self, selection: Selection, depth: int = 0) -> PlanNode | None:
        """Root fields in document order (GraphQL § 6.2.2).

        Neighbours of one subgraph are one request there, up to the first whose fields need that
        subgraph again (or, with `strict_mutations`, any other): what hangs on it comes first.
        """
        variable = deciding_variable(selection) if depth < CONDITIONS_MAX else None
        if variable is not None:
            yes, no = (
                self._mutation(given(selection, variable, value), depth + 1)
                for value in (True, False)
            )
            return Condition(variable, yes, no) if yes or no else None
        stages: list[tuple[Node, Selection]] = []
        open_ = False
        for fields in root_fields(selection):
            previous = stages[-1][0] if stages else None
            alone = Selection(selection.type)
            for field in fields:
                alone.add(field)
            node = self._root_for(alone, previous)
            if node is not previous or not open_:
                stages.append((node, Selection(selection.type)))
            stages[-1][1].add_all(alone)
            draft = best_draft(self.graph, alone, (node,), self.config, self.clock)
            open_ = not any(
                self.config.strict_mutations or one.steps[0].subgraph == node.subgraph
                for one in draft.requests
                if one.after
            )
        nodes: list[PlanNode] = []
        for node, stage in stages:
            planned = self._stage(stage, (node,))
            if planned is not None:
                nodes += planned.nodes if isinstance(planned, Sequence) else (planned,)
        if len(nodes) < 2:
            return nodes[0] if nodes else None
        return Sequence(tuple(nodes))

    def _subscription(self, selection: Selection) -> PlanNode | None:
        planned = self._stage(selection, (self._root_for(selection, None),), always=True)
        if isinstance(planned, Fetch):
            return Subscription(planned, None)
        assert isinstance(planned, Sequence)
        primary, *rest = planned.nodes
        assert isinstance(primary, Fetch)
        return Subscription(primary, rest[0] if len(rest) == 1 else Sequence(tuple(rest)))

    def _root_for(self, selection: Selection, preferred: Node | None) -> Node:
        """The root node of the one subgraph that is asked for these root fields.

        Of several the one that needs fewest steps and requests, `preferred` among equals.
        """
        names = [field.name for field in selection.fields.values()]
        nodes = [
            node
            for node in self.graph.roots(selection.type)
            if all(node.edges[name] is not None for name in names)
        ]
        best: tuple[tuple[int, int, bool], Node] | None = None
        for node in nodes:
            try:
                draft = best_draft(self.graph, selection, (node,), self.config, self.clock)
            except Unreachable:
                continue
            depth, requests, _ = draft.cost
            rank = (depth, requests, node is not preferred)
            if best is None or rank < best[0]:
                best = rank, node
        if best is None:
            raise Unreachable(selection.type, names[0], "")
        return best[1]

    def _stage(
        self, selection: Selection, roots: tuple[Node, ...], *, always: bool = False
    ) -> PlanNode | None:
        """The plan of root fields; with `always`, root fetches do not hang on conditions."""
        draft = best_draft(self.graph, selection, roots, self.config, self.clock)
        _put_in_order(draft.requests, selection)
        wanted = dict(zip(draft.requests, demands(draft.fetches, draft.requests), strict=True))
        if always:
            wanted.update((one, ALWAYS) for one in draft.requests if not one.after)
        return ordered(draft.requests, lambda one: guarded(self._node(one), wanted[one]))

    def _node(self, request: Request) -> PlanNode:
        number = self._fetches
        self._fetches += 1
        first = request.steps[0]
        if first.inputs:
            return entity_fetch(self.supergraph, self.header, number, request.steps)
        fetch = root_fetch(self.supergraph, self.header, number, first)
        return Flatten(first.path, fetch) if first.path else fetch
