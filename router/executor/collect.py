"""Walking to a call's objects and representing them in one generated loop.

It does what `paths.compile_walk` followed by `representations.compile_representations` does, for
the usual case: all objects are represented alike, by leaves. Other calls are left to those two.
Only constants made by `repr` of strings from a plan enter the generated text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from router.executor.paths import KEPT_MAX, JsonObject, compile_walk
from router.executor.representations import (
    Targets,
    compile_representations,
    key_of,
    leaves_alike,
)
from router.planner.plan import LIST, EntityCall, Path, TypeFilter

Collect: TypeAlias = Callable[[JsonObject], tuple[list[JsonObject], Targets]]
"""From the tree to distinct representations and, for each, the objects it stands for."""

LISTS_MAX: Final = 12
STEPS_MAX: Final = 40
"""Python limits how deeply blocks may be nested; longer paths are walked step by step."""


def compile_collect(call: EntityCall) -> Collect:
    """The fastest way to a call's representations."""
    kind = leaves_alike(call)
    lists = sum(element == LIST for element in call.path)
    if kind is None or lists > LISTS_MAX or len(call.path) > STEPS_MAX:
        walk, build = compile_walk(call.path), compile_representations(call)
        return lambda tree: build(walk(tree))
    types, typename, leaves = kind
    return _compile(call.path, types, typename, leaves)


@lru_cache(KEPT_MAX)
def _compile(
    path: Path, types: frozenset[str], typename: str, leaves: tuple[tuple[str, str], ...]
) -> Collect:
    names: dict[str, Any] = {"key_of": key_of}
    text = _Text(names)
    text.add("def collect(o):")
    text.depth += 1
    text.add("representations = []; targets = []; seen = {}; find = seen.get")
    _walk(text, path)
    _represent(text, types, typename, leaves)
    text.depth = 1
    text.add("return representations, targets")
    exec(compile("\n".join(text.lines), "<collect>", "exec"), names)
    collect: Collect = names["collect"]
    return collect


class _Text:
    """Lines of a function, and the values it refers to."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.lines: list[str] = []
        self.depth = 0

    def add(self, line: str) -> None:
        """A line at the present depth."""
        self.lines.append("    " * self.depth + line)

    def under(self, head: str) -> None:
        """The head of a block; what is added next stands in it."""
        self.add(head)
        self.depth += 1

    def name(self, value: Any) -> str:
        """A name for a value."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name


def _walk(text: _Text, path: Path) -> None:
    """Nested loops and guards that leave each object at `path` in `o`."""
    before_first_loop = len(text.lines)
    looped = False
    index = 0
    while index < len(path):
        element = path[index]
        index += 1
        if isinstance(element, TypeFilter):
            types = text.name(frozenset(element.types))
            text.add("t = o.get('__typename')")
            text.under(f"if type(t) is str and t in {types}:")
            continue
        text.add(f"o = o.get({element!r})")
        depth = 0
        while index < len(path) and path[index] == LIST:
            depth += 1
            index += 1
            text.under("if type(o) is list:")
            if looped and depth == 1:  # an entity merged at several places: its lists are shared
                visited = f"s{index}"
                text.lines.insert(before_first_loop, f"    {visited} = set()")
                text.add("i = id(o)")
                text.under(f"if i not in {visited}:")
                text.add(f"{visited}.add(i)")
            text.under("for o in o:")
            looped = True
        text.under("if type(o) is dict:")


def _represent(
    text: _Text, types: frozenset[str], typename: str, leaves: tuple[tuple[str, str], ...]
) -> None:
    """Represent the object in `o`, unless it is of another type or lacks a member."""
    text.add("t = o.get('__typename')")
    if len(types) == 1:
        text.under(f"if t == {next(iter(types))!r}:")
    else:
        text.under(f"if type(t) is str and t in {text.name(types)}:")
    variables = [f"l{number}" for number in range(len(leaves))]
    text.under("try:")
    for variable, (_, source) in zip(variables, leaves, strict=True):
        text.add(f"{variable} = o[{source!r}]")
    text.depth -= 1
    text.under("except KeyError:")
    text.add("pass")
    text.depth -= 1
    text.under("else:")
    key = variables[0] if len(variables) == 1 else f"({', '.join(variables)})"
    plain = " and ".join(
        f"(type({variable}) is str or type({variable}) is int)" for variable in variables
    )
    text.add(f"k = {key} if {plain} else key_of({key})")
    text.add("i = find(k)")
    text.under("if i is None:")
    members = ", ".join(
        f"{name!r}: {variable}" for variable, (name, _) in zip(variables, leaves, strict=True)
    )
    text.add("seen[k] = len(targets)")
    text.add(f"representations.append({{'__typename': {typename!r}, {members}}})")
    text.add("targets.append([o])")
    text.depth -= 1
    text.under("else:")
    text.add("targets[i].append(o)")
