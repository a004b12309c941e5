"""Undoing the aliases that a plan gave to fields, in data and in error paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from router.executor.merge import merge, merge_lists
from router.executor.paths import JsonObject, ResponsePath, compile_walk
from router.planner.plan import LIST, Path, RenameKey, TypeFilter

Rewrite: TypeAlias = Callable[[JsonObject], None]


def compile_renames(renames: Iterable[RenameKey], interfaces: frozenset[str]) -> Rewrite | None:
    """A function that renames members of fetched data in place; None where there are none."""
    steps = tuple(_compile(rename, interfaces) for rename in renames)
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def rewrite(data: JsonObject) -> None:
        for step in steps:
            step(data)

    return rewrite


def _compile(rename: RenameKey, interfaces: frozenset[str]) -> Rewrite:
    walk, old, new = compile_walk(rename.path), rename.old, rename.new

    def rewrite(data: JsonObject) -> None:
        for owner in walk(data):
            if old not in owner:
                continue
            value = owner.pop(old)
            present = owner.get(new)
            if present is None:
                owner[new] = value
            elif type(present) is dict and type(value) is dict:
                merge(present, value, interfaces)
            elif type(present) is list and type(value) is list:
                merge_lists(present, value, interfaces)
            elif value is not None:
                owner[new] = value

    return rewrite


def rename_path(renames: Iterable[RenameKey], path: ResponsePath) -> ResponsePath:
    """The path of an error in fetched data, as it is after the renames."""
    for rename in renames:
        at = _matches(rename.path, path)
        if at is not None and at < len(path) and path[at] == rename.old:
            path = (*path[:at], rename.new, *path[at + 1 :])
    return path


def _matches(prefix: Path, path: ResponsePath) -> int | None:
    """How many elements of `path` the prefix covers; None if it does not match."""
    at = 0
    for element in prefix:
        if isinstance(element, TypeFilter):
            continue
        if at >= len(path):
            return None
        found = path[at]
        if element == LIST:
            if not isinstance(found, int):
                return None
        elif found != element:
            return None
        at += 1
    return at
