"""Merging what a fetch brought into the response tree."""

from __future__ import annotations

from typing import Any

from router.executor.paths import JsonObject


def merge(target: JsonObject, source: JsonObject, interfaces: frozenset[str]) -> None:
    """Deep: objects by key, lists element by element where both have the same length.

    Null never overwrites a value, any other scalar does, except that the name of an interface,
    all that a subgraph with an @interfaceObject knows, never overwrites a `__typename`. Lists of
    different lengths stay as they were: what is there may already be the place of other merges.
    `source` is used up: its parts become parts of `target`, also of several targets when one entity
    stands at several places.
    """
    if target.keys().isdisjoint(source):
        target.update(source)
        return
    for key, value in source.items():
        present = target.get(key)
        if present is None:
            target[key] = value
        elif present is value or value is None:
            continue
        elif type(value) is dict and type(present) is dict:
            merge(present, value, interfaces)
        elif type(value) is list and type(present) is list:
            merge_lists(present, value, interfaces)
        elif key != "__typename" or type(value) is not str or value not in interfaces:
            target[key] = value


def merge_lists(target: list[Any], source: list[Any], interfaces: frozenset[str]) -> None:
    """Element by element; nothing when the lengths differ."""
    if len(target) != len(source):
        return
    for index, value in enumerate(source):
        present = target[index]
        if present is None:
            target[index] = value
        elif present is value or value is None:
            continue
        elif type(value) is dict and type(present) is dict:
            merge(present, value, interfaces)
        elif type(value) is list and type(present) is list:
            merge_lists(present, value, interfaces)
        else:
            target[index] = value
