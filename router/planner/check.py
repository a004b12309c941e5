"""An oracle for plans, independent of the planner: does a plan bring what the operation asks?

It runs the plan on data without values, per runtime type, and finds
- requests that are not valid for their subgraph, or ask it for what it does not resolve;
- representations whose members are not there yet, have no key, or lack what a field requires;
- fields of the operation that are not there in the end, under their keys and with their arguments;
- root fields of a mutation out of order.

Every set of values of the variables in @skip and @include is tried, up to a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    parse,
    validate,
)

from router.planner.errors import PlanningError
from router.planner.normalise import find_operation
from router.planner.plan import (
    Condition,
    EntityCall,
    Fetch,
    Flatten,
    Parallel,
    PlanNode,
    QueryPlan,
    RenameKey,
    RequiredField,
    RequiredFragment,
    RequiredSelection,
    Sequence,
    Subscription,
)
from router.planner.symbolic import (
    Thing,
    condition_variables,
    included,
    merge_item,
    selected,
)
from router.supergraph import Supergraph
from router.supergraph.views import LocalField, View

_ASSIGNMENTS_MAX: Final = 32


class PlanWrong(PlanningError):
    """A plan that does not do what its operation asks. `problems` says how, one a line."""

    code = "PLAN_WRONG"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("the plan is wrong:\n" + "\n".join(problems))
        self.problems = problems


def check_plan(
    supergraph: Supergraph,
    document: DocumentNode,
    plan: QueryPlan,
    operation_name: str | None = None,
    override_labels: frozenset[str] = frozenset(),
) -> None:
    """Raises PlanWrong with everything found."""
    operation = find_operation(document, operation_name)
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    variables = sorted(condition_variables([operation, *fragments.values()]))
    documents = {fetch.id: parse(fetch.operation, no_location=True) for fetch in plan.fetches()}
    problems: dict[str, None] = dict.fromkeys(_invalid(supergraph, plan, documents))
    for values in islice(product((True, False), repeat=len(variables)), _ASSIGNMENTS_MAX):
        given = dict(zip(variables, values, strict=True))
        run = _Run(supergraph, given, override_labels, fragments, documents)
        run.operation(operation, plan)
        problems.update(dict.fromkeys(run.problems))
    if problems:
        raise PlanWrong(tuple(problems))


def _invalid(
    supergraph: Supergraph, plan: QueryPlan, documents: Mapping[int, DocumentNode]
) -> Iterator[str]:
    for fetch in plan.fetches():
        schema = supergraph.subgraph_schema(fetch.subgraph)
        for error in validate(schema, documents[fetch.id]):
            yield f"fetch {fetch.id} to {fetch.subgraph}: {error.message}"


class _Run:
    """One run of a plan with given condition variables."""

    def __init__(
        self,
        supergraph: Supergraph,
        values: Mapping[str, bool],
        labels: frozenset[str],
        fragments: Mapping[str, FragmentDefinitionNode],
        documents: Mapping[int, DocumentNode],
    ) -> None:
        self.supergraph, self.values, self.labels = supergraph, values, labels
        self.documents = documents
        self.fragments = fragments
        self.problems: list[str] = []
        self.views = {view.subgraph.name: view for view in supergraph.views.values()}
        self.possible = {
            name: supergraph.possible_types(name) for name in supergraph.schema.type_map
        }
        self.mutated: list[str] = []

    def operation(self, operation: OperationDefinitionNode, plan: QueryPlan) -> None:
        root = self.supergraph.roots[operation.operation.value]
        tree = Thing()
        tree.narrow(frozenset((root,)))
        self._node(plan.node, tree)
        wanted = list(self._wanted(operation.selection_set, root, root))
        if operation.operation is OperationType.MUTATION:
            order = list(dict.fromkeys(key for key, _ in wanted))
            if self.mutated != order:
                self.problems.append(f"mutations run as {self.mutated}, not as {order}")
        self._compare(tree, root, operation.selection_set, "")

    def _wanted(
        self, selection: SelectionSetNode, on: str, runtime: str
    ) -> Iterator[tuple[str, FieldNode]]:
        for one in selected(selection, on, runtime, self.possible, self.fragments, self.values):
            if not one.node.name.value.startswith("__"):
                yield one.key, one.node

    # What the operation asks, against what is there.

    def _compare(self, thing: Thing, on: str, selection: SelectionSetNode, path: str) -> None:
        for runtime in sorted(thing.types or ()):
            if runtime not in self.possible.get(on, frozenset()):
                continue
            members = thing.members[runtime]
            for one in selected(selection, on, runtime, self.possible, self.fragments, self.values):
                where = f"{path}.{one.key}" if path else one.key
                name = one.node.name.value
                if name == "__typename":
                    if path and self.possible[on] != {on} and runtime not in thing.named:
                        self.problems.append(f"{where}: the type of a {on} is not found out")
                    continue
                if name.startswith("__"):
                    continue
                item = members.get(one.key)
                if item is None:
                    self.problems.append(f"{where}: {runtime}.{name} is not fetched")
                    continue
                if (item.name, item.arguments) != (name, one.arguments()):
                    self.problems.append(
                        f"{where}: is {item.name}({item.arguments}), not {name}({one.arguments()})"
                    )
                if one.node.selection_set is not None and item.child is not None:
                    inner = self._type_of(runtime, name)
                    self._compare(item.child, inner, one.node.selection_set, where)
            if runtime not in thing.named and self._depends_on_type(on, selection):
                self.problems.append(f"{path}: the type of a {on} is not found out")

    def _depends_on_type(self, on: str, selection: SelectionSetNode) -> bool:
        """Whether not every runtime type of an `on` is asked for the same."""
        return (
            len(
                {
                    tuple(
                        id(one.node)
                        for one in selected(
                            selection, on, runtime, self.possible, self.fragments, self.values
                        )
                    )
                    for runtime in self.possible[on]
                }
            )
            > 1
        )

    def _type_of(self, type_: str, field: str) -> str:
        fields = getattr(self.supergraph.schema.type_map[type_], "fields", {})
        return str(get_named_type(fields[field].type).name)

    # Running the plan.

    def _node(self, node: PlanNode | None, tree: Thing) -> None:
        match node:
            case None:
                return
            case Fetch():
                self._fetch(node, tree)
            case Flatten(path, fetch):
                targets = list(tree.at(path))
                for thing, _ in targets:
                    self._root(fetch, thing)
            case Sequence(nodes):
                for child in nodes:
                    self._node(child, tree)
            case Parallel(nodes):
                copies = [tree.copy() for _ in nodes]
                for child, copy in zip(nodes, copies, strict=True):
                    self._node(child, copy)
                for copy in copies:
                    tree.absorb(copy)
            case Condition(variable, yes, no):
                self._node(yes if self.values[variable] else no, tree)
            case Subscription(primary, rest):
                self._fetch(primary, tree)
                self._node(rest, tree)

    def _fetch(self, fetch: Fetch, tree: Thing) -> None:
        if not fetch.entities:
            self._root(fetch, tree)
            return
        operation = find_operation(self.documents[fetch.id], None)
        by_key: dict[str, FieldNode] = {}
        for item in operation.selection_set.selections:
            assert isinstance(item, FieldNode)
            by_key[item.alias.value if item.alias else item.name.value] = item
        for call in fetch.entities:
            node = by_key.get(call.alias)
            if node is None or node.selection_set is None:
                self.problems.append(f"fetch {fetch.id}: no selection for call {call.alias}")
                continue
            self._entities(fetch, call, node.selection_set, tree)

    def _root(self, fetch: Fetch, thing: Thing) -> None:
        operation = find_operation(self.documents[fetch.id], None)
        root = self.supergraph.roots[operation.operation.value]
        if operation.operation is OperationType.MUTATION:
            wanted = self._wanted(operation.selection_set, root, root)
            self.mutated += dict.fromkeys(key for key, _ in wanted)
        reader = _Reader(self, self.views[fetch.subgraph], fetch)
        peers = tuple(view for view in self.views.values() if root in view.types)
        reader.select(
            thing, frozenset((root,)), root, operation.selection_set, {}, frozenset(), peers
        )
        rename(thing, fetch.output_rewrites)

    def _entities(
        self, fetch: Fetch, call: EntityCall, selection: SelectionSetNode, tree: Thing
    ) -> None:
        view = self.views[fetch.subgraph]
        reader = _Reader(self, view, fetch)
        for thing, types in list(tree.at(call.path)):
            for runtime in sorted(types):
                called = thing.typename(runtime)
                fragments = [
                    one
                    for one in call.requires
                    if called == one.type_condition or called in one.possible_types
                ]
                if not fragments:
                    continue
                members = [one for fragment in fragments for one in fragment.selections]
                if not reader.asks(selection):
                    continue
                where = f"fetch {fetch.id} to {fetch.subgraph}: representation of {runtime}"
                missing = _missing(thing, runtime, members, where)
                if missing and self.values:
                    # A condition may have taken away what asks: then nothing is sent, and what is
                    # wanted all the same is found missing in the end.
                    continue
                self.problems += missing
                told = runtime in thing.named or runtime in thing.called
                typename = called if told else fragments[0].type_condition
                for rewrite in call.input_rewrites:
                    if typename in rewrite.possible_types or runtime in rewrite.possible_types:
                        typename = rewrite.typename
                sent = _sent(members)
                local = view.types.get(typename)
                if local is None or not any(
                    key.resolvable and _covers(sent, key.fields) for key in local.keys
                ):
                    self.problems.append(f"{where}: {sorted(sent)} is no key of {typename}")
                    continue
                peers = tuple(view for view in self.views.values() if runtime in view.types)
                reader.select(
                    thing,
                    frozenset((runtime,)),
                    typename,
                    selection,
                    {},
                    frozenset(sent),
                    peers,
                )
        for thing, _ in tree.at(call.path):
            rename(thing, call.output_rewrites)


class _Reader:
    """Adds to things what one fetch selects, and checks that its subgraph resolves it."""

    def __init__(self, run: _Run, view: View, fetch: Fetch) -> None:
        self.run, self.view, self.fetch = run, view, fetch
        self.objects = {
            name: run.possible[name] if local.interface_object else view.possible_types(name)
            for name, local in view.types.items()
        }
        self.possible = {name: types | {name} for name, types in self.objects.items()}
        self.possible["_Entity"] = frozenset(run.supergraph.schema.type_map)

    def asks(self, selection: SelectionSetNode) -> bool:
        """Whether conditions leave anything of a call's selection."""
        return any(
            included(inner.directives, self.run.values)
            for item in selection.selections
            if isinstance(item, InlineFragmentNode)
            for inner in item.selection_set.selections
        )

    def select(
        self,
        thing: Thing,
        types: frozenset[str],
        on: str,
        selection: SelectionSetNode,
        provided: Mapping[str, object],
        sent: frozenset[str],
        peers: tuple[View, ...],
    ) -> None:
        """Select on the objects of `types` in `thing`, which the subgraph knows as `on`.

        `peers` are the subgraphs that might have been asked for these objects as well: only types
        that all of them know are promised below a field they share.
        """
        local = self.view.types[on]
        for runtime in types:
            known = on if local.interface_object else runtime
            members = thing.members.setdefault(runtime, {})
            for one in selected(selection, on, known, self.possible, {}, self.run.values):
                name = one.node.name.value
                if name == "__typename":
                    if local.interface_object and one.key == name:
                        thing.named.discard(runtime)
                        thing.called[runtime] = on
                    elif one.key == name:
                        thing.named.add(runtime)
                    continue
                field = self.view.types[known].fields.get(name)
                if field is None:
                    self._wrong(f"{known}.{name} is not there")
                    continue
                self._resolves(known, field, provided, sent)
                leaf = one.node.selection_set is None
                contextual = frozenset(argument.name for argument in field.context)
                if contextual - {argument.name.value for argument in one.node.arguments or ()}:
                    self._wrong(f"{known}.{name} lacks arguments from context")
                item = merge_item(members, one.key, name, one.arguments(contextual), leaf)
                if one.node.selection_set is not None and item.child is not None:
                    sharing = tuple(view for view in peers if _has(view, known, name))
                    self._below(item.child, known, field, one.node.selection_set, provided, sharing)

    def _below(
        self,
        child: Thing,
        known: str,
        field: LocalField,
        selection: SelectionSetNode,
        provided: Mapping[str, object],
        peers: tuple[View, ...],
    ) -> None:
        inner = named(field)
        types = self.objects.get(inner, frozenset())
        for view in peers:
            theirs = named(view.types[known].fields[field.name])
            local = view.types.get(theirs)
            if local is not None and not local.interface_object:
                types &= view.possible_types(theirs) or types
        child.narrow(types)
        below = dict(_as_map(provided.get(field.name)))
        if field.provides:
            below = _united(below, _fields(field.provides))
        self.select(child, self.objects[inner], inner, selection, below, frozenset(), peers)

    def _resolves(
        self,
        known: str,
        field: LocalField,
        provided: Mapping[str, object],
        sent: frozenset[str],
    ) -> None:
        if field.name in provided:
            return
        if field.requires:
            if not _covers(sent, field.requires):
                self._wrong(
                    f"{known}.{field.name} requires {{{field.requires}}}, got {sorted(sent)}"
                )
        elif field.external:
            self._wrong(f"{known}.{field.name} is external there and not provided")
        label = field.label
        if field.taken or (label and (label.label in self.run.labels) is not label.active):
            self._wrong(f"{known}.{field.name} is overridden")

    def _wrong(self, what: str) -> None:
        self.run.problems.append(f"fetch {self.fetch.id} to {self.view.subgraph.name}: {what}")


def _has(view: View, type_: str, field: str) -> bool:
    local = view.types.get(type_)
    found = local.fields.get(field) if local else None
    return found is not None and not (found.external or found.taken)


def named(field: LocalField) -> str:
    """The name inside the wrappers of a field's type."""
    node: object = field.type
    while not hasattr(node, "name"):
        node = node.type  # type: ignore[attr-defined]
    return str(node.name.value)


def rename(thing: Thing, rewrites: Iterable[RenameKey]) -> None:
    """Undo aliases."""
    for rewrite in rewrites:
        for target, types in list(thing.at(rewrite.path)):
            for runtime in types:
                members = target.members.get(runtime, {})
                if rewrite.old in members:
                    fetched = members.pop(rewrite.old)
                    known = members.setdefault(rewrite.new, fetched)
                    if known is not fetched and known.child and fetched.child:
                        known.child.absorb(fetched.child)


def _missing(
    thing: Thing, runtime: str, members: Iterable[RequiredSelection], where: str
) -> list[str]:
    problems: list[str] = []
    for one in members:
        if isinstance(one, RequiredFragment):
            if runtime in one.possible_types:
                problems += _missing(thing, runtime, one.selections, where)
            continue
        if one.name == "__typename":
            continue
        item = thing.members.get(runtime, {}).get(one.source)
        if item is None or item.name != one.name:
            problems.append(f"{where}: {one.name} (from {one.source}) is not there yet")
        elif one.selections and item.child is not None:
            for inner in sorted(item.child.types or ()):
                problems += _missing(item.child, inner, one.selections, f"{where}.{one.name}")
    return problems


def _sent(members: Iterable[RequiredSelection], prefix: str = "") -> set[str]:
    """Dotted names of the leaves of a representation."""
    found: set[str] = set()
    for one in members:
        if isinstance(one, RequiredFragment):
            found |= _sent(one.selections, prefix)
        elif isinstance(one, RequiredField):
            name = prefix + one.name
            found |= _sent(one.selections, f"{name}.") if one.selections else {name}
    return found


def _fields(text: str) -> dict[str, object]:
    """A field set as nested maps, fragments inlined."""
    document = parse(text if text.strip().startswith("{") else f"{{{text}}}", no_location=True)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return _map_of(operation.selection_set)


def _map_of(selection: SelectionSetNode) -> dict[str, object]:
    result: dict[str, object] = {}
    for item in selection.selections:
        if isinstance(item, FieldNode):
            below = _map_of(item.selection_set) if item.selection_set else {}
            result[item.name.value] = _united(_as_map(result.get(item.name.value)), below)
        else:
            result = _united(result, _map_of(item.selection_set))  # type: ignore[attr-defined]
    return result


def _as_map(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _united(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    result = dict(one)
    for key, value in other.items():
        result[key] = _united(_as_map(result.get(key)), _as_map(value))
    return result


def _covers(sent: Iterable[str], text: str) -> bool:
    """Whether the leaves sent include all of a field set (fragments: any of them may be empty)."""
    given = set(sent)
    return all(leaf in given for leaf in _leaves(_fields(text), ""))


def _leaves(fields: Mapping[str, object], prefix: str) -> Iterator[str]:
    for name, below in fields.items():
        inner = _as_map(below)
        if name == "__typename":
            continue
        if inner:
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name
