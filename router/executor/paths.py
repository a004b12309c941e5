"""Walking a response tree along a plan's path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from router.planner.plan import LIST, Path, TypeFilter

JsonObject: TypeAlias = dict[str, Any]
ResponsePath: TypeAlias = tuple[str | int, ...]
"""Response keys and list indices."""
Walk: TypeAlias = Callable[[JsonObject], list[JsonObject]]
Step: TypeAlias = Callable[[list[JsonObject]], list[JsonObject]]


@dataclass(frozen=True, slots=True)
class Place:
    """An object in the tree, its path, and the objects above it, the root first."""

    value: JsonObject
    path: ResponsePath
    ancestors: tuple[JsonObject, ...]


KEPT_MAX: Final = 4_096
"""Compiled walks, and likewise representations and projections, shared by all operations."""


@lru_cache(KEPT_MAX)
def compile_walk(path: Path) -> Walk:
    """A function from a root to all objects at `path`, in order.

    A list that stands at several places, because one entity was merged there, is looked at once.
    Whatever is not of the kind the path expects (null, a string where an object should be) ends the
    walk there silently: completing the answer reports it.
    """
    steps = _steps(path)
    if not steps:
        return lambda root: [root]
    if len(steps) == 1:
        only = steps[0]
        return lambda root: only([root])

    def walk(root: JsonObject) -> list[JsonObject]:
        objects = [root]
        for step in steps:
            objects = step(objects)
            if not objects:
                break
        return objects

    return walk


def _steps(path: Path) -> tuple[Step, ...]:
    steps: list[Step] = []
    index = 0
    while index < len(path):
        element = path[index]
        index += 1
        if isinstance(element, TypeFilter):
            steps.append(_filter_step(frozenset(element.types)))
            continue
        depth = 0
        while index < len(path) and path[index] == LIST:
            depth += 1
            index += 1
        steps.append(_key_step(element) if depth == 0 else _list_step(element, depth))
    return tuple(steps)


def _filter_step(types: frozenset[str]) -> Step:
    def step(objects: list[JsonObject]) -> list[JsonObject]:
        return [
            value
            for value in objects
            if type(name := value.get("__typename")) is str and name in types
        ]

    return step


def _key_step(key: str) -> Step:
    def step(objects: list[JsonObject]) -> list[JsonObject]:
        return [value for owner in objects if type(value := owner.get(key)) is dict]

    return step


def _list_step(key: str, depth: int) -> Step:
    def step(objects: list[JsonObject]) -> list[JsonObject]:
        lists = [value for owner in objects if type(value := owner.get(key)) is list]
        if len(lists) > 1:
            lists = list({id(value): value for value in lists}.values())
        items: list[Any] = [item for value in lists for item in value]
        for _ in range(depth - 1):
            items = [item for inner in items if type(inner) is list for item in inner]
        return [item for item in items if type(item) is dict]

    return step


def places(path: Path, root: JsonObject) -> Iterator[Place]:
    """All places of these objects in order, with paths and ancestors; slower."""
    yield from _places(path, 0, root, (), ())


def _places(
    path: Path, index: int, value: Any, at: ResponsePath, ancestors: tuple[JsonObject, ...]
) -> Iterator[Place]:
    if index == len(path):
        if type(value) is dict:
            yield Place(value, at, ancestors)
        return
    element = path[index]
    if isinstance(element, TypeFilter):
        if type(value) is dict and value.get("__typename") in element.types:
            yield from _places(path, index + 1, value, at, ancestors)
    elif element == LIST:
        if type(value) is list:
            for position, item in enumerate(value):
                yield from _places(path, index + 1, item, (*at, position), ancestors)
    elif type(value) is dict:
        below = (*ancestors, value)
        yield from _places(path, index + 1, value.get(element), (*at, element), below)


def pattern(path: Path) -> tuple[str, ...]:
    """The path without type filters; list levels stay `@`."""
    return tuple(element for element in path if isinstance(element, str))


def concrete_prefix(path: Path) -> ResponsePath:
    """The path as far as it names one place: up to the first list."""
    keys = pattern(path)
    return keys[: keys.index(LIST)] if LIST in keys else keys
