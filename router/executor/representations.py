"""From objects in the response tree to the representations sent to `_entities`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


Take: TypeAlias = Callable[[JsonObject], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """How objects of one type are represented.

    Equal representations have equal keys. `key` raises KeyError or _Impossible where a required
    member is absent; `representation` is only asked where `key` was found.
    """

    key: Callable[[JsonObject], Key]
    representation: Callable[[JsonObject], JsonObject]
    take: Take | None = None
    """Where it consists of leaves: the leaf, or the tuple of them. Raises KeyError."""
    leaves: int = 0


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
    kinds = list({id(builder): builder for builder in builders.values()}.values())
    if len(kinds) == 1 and kinds[0].take is not None:
        return _build_one_kind(frozenset(builders), kinds[0], kinds[0].take)
    return _build_kinds(builders)


def _build_kinds(builders: Mapping[str, Builder]) -> Build:
    """For several kinds of representations, or nested ones."""

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


def _build_one_kind(types: frozenset[str], builder: Builder, take: Take) -> Build:
    """The usual case, in one loop: leaves of objects that are all represented alike."""
    single, plain, representation = builder.leaves == 1, _PLAIN.issuperset, builder.representation

    def build(objects: list[JsonObject]) -> tuple[list[JsonObject], Targets]:
        representations: list[JsonObject] = []
        targets: Targets = []
        seen: dict[Key, int] = {}
        find = seen.get
        for value in objects:
            try:
                if value["__typename"] not in types:
                    continue
                key = take(value)
            except (KeyError, TypeError):
                continue
            if type(key) is not str and (single or not plain(map(type, key))):
                key = _key_of(key)
            index = find(key)
            if index is None:
                seen[key] = len(targets)
                representations.append(representation(value))
                targets.append([value])
            else:
                targets[index].append(value)
        return representations, targets

    return build


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
        return Builder(lambda value: None, lambda value: {"__typename": typename})
    if len(leaves) == 1:
        return _single_builder(typename, leaves[0].name, leaves[0].source)
    return _leaves_builder(typename, leaves)


def _is_typename(selection: RequiredSelection) -> bool:
    return isinstance(selection, RequiredField) and selection.name == "__typename"


def _single_builder(typename: str, name: str, source: str) -> Builder:
    return Builder(
        lambda value: _key_of(value[source]),
        lambda value: {"__typename": typename, name: value[source]},
        itemgetter(source),
        1,
    )


def _leaves_builder(typename: str, leaves: list[RequiredField]) -> Builder:
    names = tuple(leaf.name for leaf in leaves)
    take = itemgetter(*(leaf.source for leaf in leaves))

    def representation(value: JsonObject) -> JsonObject:
        made: JsonObject = {"__typename": typename}
        made.update(zip(names, take(value), strict=True))
        return made

    return Builder(lambda value: _key_of(take(value)), representation, take, len(leaves))


def _key_of(taken: Any) -> Key:
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
    )


def _fill(out: JsonObject, value: JsonObject, selections: Iterable[RequiredSelection]) -> None:
    """Add the selected members of `value` to `out`. Raises _Impossible where one is absent."""
    for selection in selections:
        if isinstance(selection, RequiredFragment):
            if value.get("__typename") in _types_of(selection):
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
            if value.get("__typename") in _types_of(selection):
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
