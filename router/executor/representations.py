"""From objects in the response tree to the representations sent to `_entities`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, TypeAlias

import orjson

from router.executor.paths import KEPT_MAX, JsonObject
from router.planner.plan import (
    EntityCall,
    RequiredField,
    RequiredFragment,
    RequiredSelection,
    SetTypename,
)

Targets: TypeAlias = list[list[JsonObject]]
"""For each representation the objects it stands for, in order."""
Build: TypeAlias = Callable[[list[JsonObject]], tuple[list[JsonObject], Targets]]
Key: TypeAlias = Any


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """How objects of one type are represented.

    Equal representations have equal keys. `key` raises KeyError or _Impossible where a required
    member is absent; `representation` is only asked where `key` was found.
    """

    key: Callable[[JsonObject], Key]
    representation: Callable[[JsonObject], JsonObject]
    typename: str
    leaves: tuple[tuple[str, str], ...] = ()
    """(name, source) of its members, where all of them are leaves."""


_PLAIN: Final = frozenset({str, int, type(None)})
"""Kinds that compare as JSON does; `True == 1` and `1.0 == 1` do not."""


class _Impossible(Exception):
    """A required member is absent: the object is skipped."""


def compile_representations(call: EntityCall) -> Build:
    """A function from the objects at a call's path to distinct representations and their targets.

    Objects of a type no fragment matches, and objects that lack a required member, are left out.
    """
    return _compile(call.requires, call.input_rewrites)


@lru_cache(KEPT_MAX)
def _compile(requires: tuple[RequiredFragment, ...], rewrites: tuple[SetTypename, ...]) -> Build:
    builders = _builders_by_type(requires, rewrites)

    def build(objects: list[JsonObject]) -> tuple[list[JsonObject], Targets]:
        representations: list[JsonObject] = []
        targets: Targets = []
        seen: dict[Key, int] = {}
        for value in objects:
            typename = value.get("__typename")
            if type(typename) is not str or (builder := builders.get(typename)) is None:
                continue
            try:
                key = (id(builder), builder.key(value))
            except (KeyError, _Impossible):
                continue
            index = seen.get(key)
            if index is None:
                seen[key] = len(targets)
                representations.append(builder.representation(value))
                targets.append([value])
            else:
                targets[index].append(value)
        return representations, targets

    return build


def leaves_alike(
    call: EntityCall,
) -> tuple[frozenset[str], str, tuple[tuple[str, str], ...]] | None:
    """Types, `__typename` as sent, and (name, source) of the leaves; None where types are not
    represented all alike, or not by one leaf or more.
    """
    builders = _builders_by_type(call.requires, call.input_rewrites)
    kinds = {id(builder): builder for builder in builders.values()}
    if len(kinds) != 1:
        return None
    (builder,) = kinds.values()
    if not builder.leaves:
        return None
    return frozenset(builders), builder.typename, builder.leaves


def _builders_by_type(
    requires: Sequence[RequiredFragment], rewrites: Sequence[SetTypename]
) -> dict[str, Builder]:
    """By runtime type: the united selections of all fragments that match it."""
    names = {name for fragment in requires for name in _types_of(fragment)}
    made: dict[tuple[str, tuple[RequiredSelection, ...]], Builder] = {}
    builders: dict[str, Builder] = {}
    for name in sorted(names):
        selections = tuple(
            dict.fromkeys(
                selection
                for fragment in requires
                if name in _types_of(fragment)
                for selection in fragment.selections
            )
        )
        sent = next((r.typename for r in rewrites if name in r.possible_types), name)
        identity = (sent, selections)
        if identity not in made:
            made[identity] = _compile_builder(sent, selections)
        builders[name] = made[identity]
    return builders


def _types_of(fragment: RequiredFragment) -> frozenset[str]:
    return fragment.possible_types | {fragment.type_condition}


def _compile_builder(typename: str, selections: tuple[RequiredSelection, ...]) -> Builder:
    fields = [item for item in selections if not _is_typename(item)]
    leaves = [item for item in fields if isinstance(item, RequiredField) and not item.selections]
    if len(leaves) != len(fields):
        return _nested_builder(typename, fields)
    if not leaves:
        return Builder(lambda value: None, lambda value: {"__typename": typename}, typename)
    return _leaves_builder(typename, tuple((leaf.name, leaf.source) for leaf in leaves))


def _is_typename(selection: RequiredSelection) -> bool:
    return isinstance(selection, RequiredField) and selection.name == "__typename"


def _leaves_builder(typename: str, leaves: tuple[tuple[str, str], ...]) -> Builder:
    take = itemgetter(*(source for _, source in leaves))

    def representation(value: JsonObject) -> JsonObject:
        made: JsonObject = {"__typename": typename}
        for name, source in leaves:
            made[name] = value[source]
        return made

    return Builder(lambda value: key_of(take(value)), representation, typename, leaves)


def key_of(taken: Any) -> Key:
    """A leaf or a tuple of leaves as a key that is equal only where JSON is."""
    if type(taken) is tuple:
        return taken if _PLAIN.issuperset(map(type, taken)) else orjson.dumps(taken)
    return taken if type(taken) in _PLAIN else orjson.dumps(taken)


def _nested_builder(typename: str, selections: list[RequiredSelection]) -> Builder:
    def representation(value: JsonObject) -> JsonObject:
        made: JsonObject = {"__typename": typename}
        _fill(made, value, selections)
        return made

    return Builder(
        lambda value: orjson.dumps(representation(value), option=orjson.OPT_SORT_KEYS),
        representation,
        typename,
    )


def _fill(out: JsonObject, value: JsonObject, selections: Iterable[RequiredSelection]) -> None:
    """Add the selected members of `value` to `out`. Raises _Impossible where one is absent."""
    for selection in selections:
        if isinstance(selection, RequiredFragment):
            if _matches(selection, value):
                _fill(out, value, selection.selections)
        elif selection.source not in value:
            raise _Impossible
        elif selection.selections:
            found = _nested(value[selection.source], selection.selections)
            present = out.get(selection.name)
            if type(present) is dict and type(found) is dict:
                present.update(found)
            else:
                out[selection.name] = found
        else:
            out[selection.name] = value[selection.source]


def _matches(fragment: RequiredFragment, value: JsonObject) -> bool:
    typename = value.get("__typename")
    return type(typename) is str and typename in _types_of(fragment)


def _nested(value: Any, selections: tuple[RequiredSelection, ...]) -> Any:
    if type(value) is dict:
        out: JsonObject = {}
        _fill(out, value, selections)
        return out
    if type(value) is list:
        return [_nested(item, selections) for item in value]
    if value is None:
        return None
    raise _Impossible  # a scalar where an object should be


def read_leaf(value: JsonObject, selections: Iterable[RequiredSelection]) -> tuple[bool, Any]:
    """The only leaf that `selections` reach from `value`; (False, None) where there is none.

    For arguments from context, where fragments pick the ancestor's type.
    """
    for selection in selections:
        if isinstance(selection, RequiredFragment):
            if _matches(selection, value):
                found = read_leaf(value, selection.selections)
                if found[0]:
                    return found
        elif _is_typename(selection):
            continue
        elif selection.source in value:
            return True, _leaf_below(value[selection.source], selection.selections)
    return False, None


def _leaf_below(value: Any, selections: tuple[RequiredSelection, ...]) -> Any:
    if not selections:
        return value
    if type(value) is dict:
        return read_leaf(value, selections)[1]
    if type(value) is list:
        return [_leaf_below(item, selections) for item in value]
    return None
