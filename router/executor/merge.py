"""Merging what a fetch brought into the response tree."""

from __future__ import annotations

from typing import Any

from router.executor.paths import JsonObject


def merge(target: JsonObject, source: JsonObject) -> None:
    """Deep: objects by key, lists element by element where both have the same length.

    Null never overwrites a value, any other scalar does. Lists of different lengths stay as they
    were: what is there may already be the place of other merges. `source` is used up: its parts
    become parts of `target`, also of several targets when one entity stands at several places.
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
            merge(present, value)
        elif type(value) is list and type(present) is list:
            merge_lists(present, value)
        else:
            target[key] = value


def merge_lists(target: list[Any], source: list[Any]) -> None:
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
            merge(present, value)
        elif type(value) is list and type(present) is list:
            merge_lists(present, value)
        else:
            target[index] = value
