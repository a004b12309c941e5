"""The nodes of a query plan: immutable, and precise about what an executor must do.

The executor keeps one response tree (a JSON object, empty at the start) and runs the nodes on it:

`Sequence`      its nodes one after another; a later node sees what earlier ones merged.
`Parallel`      its nodes at once; none depends on another.
`Condition`     one of its clauses, by a Boolean variable of the operation (coerced, defaults
                applied). A clause that is None does nothing. One fetch may stand in both clauses.
`Fetch`         one request to one subgraph. Without `entities` it is a root fetch: send
                `operation` with the variables in `variable_usages` (those the request gave a
                value to), apply `output_rewrites` to `data`, and merge `data` into the tree's
                root. With `entities` it is an entity fetch, see `EntityCall`; a request none of
                whose calls has a representation is not sent, and a call without one gets an
                empty list.
`Flatten`       a root fetch (of a root type reached through a field) whose `data` is merged into
                every object found at `path`; sent once, and not at all where there is no such
                object.
`Subscription`  `primary` opens the stream; `rest` runs on each event, on a tree of its data.

Merging is deep: objects by key, lists element by element where both have the same length; null
never overwrites a value, any other scalar does (`__typename` of an @interfaceObject is corrected
so).

What the planner promises:
- `__typename` is in the data wherever a path has a `TypeFilter`, wherever an entity call's path
  ends, and for every selection set on an abstract type. It is the interface's own name for an
  object of an @interfaceObject, until a later fetch corrects it; none does where the operation
  asks there for interface fields alone, so projection must not need the runtime type then.
- The data sits under the operation's response keys, at the operation's places, once output
  rewrites are done. Other keys there are helpers (keys, required fields), dropped by projection.
- Names of helpers and of aliases made up by the planner begin with `_lonja`.
- Introspection fields (`__schema`, `__type`) are not planned, nor is `__typename` of a root type:
  the executor answers them.
- @skip and @include with variables stay in `operation`; `Condition` nodes only save requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, Union

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

LIST = "@"
"""The path element for "each element of the list"; no response key can be `@`."""


class OperationKind(Enum):
    """The kind of operation sent to a subgraph."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """Keep the objects at this place whose `__typename` is one of `types` (sorted)."""

    types: tuple[str, ...]


PathElement: TypeAlias = str | TypeFilter
Path: TypeAlias = tuple[PathElement, ...]
"""From the root: response keys, `LIST` once per list level, type filters. Null ends a walk."""


@dataclass(frozen=True, slots=True)
class RequiredField:
    """Member `name` of a representation, read from `source` of the object in the tree.

    `source` differs from `name` where the response key `name` means something else there. Objects
    and lists below are rebuilt by `selections`; empty selections copy a leaf. A member that is
    absent in the tree makes the representation impossible: that object is skipped. Null is kept.
    """

    name: str
    source: str
    selections: tuple[RequiredSelection, ...] = ()


@dataclass(frozen=True, slots=True)
class RequiredFragment:
    """Selections for objects whose `__typename` is `type_condition` or one of `possible_types`."""

    type_condition: str
    possible_types: frozenset[str]
    selections: tuple[RequiredSelection, ...]


RequiredSelection: TypeAlias = Union[RequiredField, RequiredFragment]  # noqa: UP007 - recursive


@dataclass(frozen=True, slots=True)
class SetTypename:
    """Input rewrite: representations of `possible_types` are sent with `__typename: typename`.

    Needed where the subgraph knows an interface only as an @interfaceObject.
    """

    possible_types: frozenset[str]
    typename: str


@dataclass(frozen=True, slots=True)
class RenameKey:
    """Output rewrite: move member `old` of the objects at `path` to `new`, before merging.

    `path` starts at the fetched data: at `data` for a root fetch, at each entity for a call. Only
    objects that have `old` are touched. Rewrites are applied in order, deeper ones come first.
    """

    path: Path
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ContextValue:
    """A @fromContext argument: a variable whose value comes from an ancestor of the entity.

    Go up from the entity's object by `levels_up` objects (lists are not counted); take the first of
    `selections` whose fragments match that object; the value is its only leaf. Representations with
    different values cannot share a call: send one request per distinct tuple of values.
    """

    variable: str
    levels_up: int
    selections: tuple[RequiredSelection, ...]


@dataclass(frozen=True, slots=True)
class EntityCall:
    """One `_entities` selection of a fetch.

    For each object at `path` that a fragment of `requires` matches, build the representation (the
    first level of `requires` is fragments only; all that match are united), apply
    `input_rewrites`, deduplicate equal ones, and send the list as `variable`. The answer is the
    list under `alias`; its length must be that of the representations. Element i, after
    `output_rewrites`, is merged into every object that representation i came from; a null element
    leaves them alone.
    """

    alias: str
    variable: str
    path: Path
    requires: tuple[RequiredFragment, ...]
    input_rewrites: tuple[SetTypename, ...] = ()
    output_rewrites: tuple[RenameKey, ...] = ()
    context: tuple[ContextValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request to one subgraph.

    `operation` is complete GraphQL text with one operation, named `operation_name` if that is not
    None. `variable_usages` are client variables it uses, sorted. `id` is unique in the plan.
    """

    id: int
    subgraph: str
    operation: str
    kind: OperationKind
    operation_name: str | None = None
    variable_usages: tuple[str, ...] = ()
    entities: tuple[EntityCall, ...] = ()
    output_rewrites: tuple[RenameKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Flatten:
    """Run a root fetch for the objects at `path`."""

    path: Path
    node: Fetch


@dataclass(frozen=True, slots=True)
class Sequence:
    """Run the nodes in order. Never empty, never of one node."""

    nodes: tuple[PlanNode, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Run the nodes at once. Never empty, never of one node."""

    nodes: tuple[PlanNode, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Run `if_clause` where the variable is true, `else_clause` where it is false."""

    variable: str
    if_clause: PlanNode | None
    else_clause: PlanNode | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """Open the stream with `primary`; run `rest` for every event."""

    primary: Fetch
    rest: PlanNode | None


PlanNode: TypeAlias = Union[  # noqa: UP007 - recursive
    Fetch, Flatten, Sequence, Parallel, Condition, Subscription
]


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A plan. `node` is None where nothing has to be fetched."""

    node: PlanNode | None

    def fetches(self) -> tuple[Fetch, ...]:
        """All fetches, in plan order, each once."""
        return tuple({fetch.id: fetch for fetch in _fetches(self.node)}.values())


def _fetches(node: PlanNode | None) -> list[Fetch]:
    match node:
        case None:
            return []
        case Fetch():
            return [node]
        case Flatten():
            return [node.node]
        case Sequence() | Parallel():
            return [fetch for child in node.nodes for fetch in _fetches(child)]
        case Condition():
            return _fetches(node.if_clause) + _fetches(node.else_clause)
        case Subscription():
            return [node.primary, *_fetches(node.rest)]
