"""Which fields of an event are personal: those that its class declares with `Personal`."""

from __future__ import annotations

from typing import Any

import msgspec

from eventstore.event import Event


def personal_fields(cls: type[Event]) -> list[str]:
    """Paths of the personal fields of an event class, like `email` and `destination.name`.

    What is in lists and objects keyed by data has the path of the list or object.
    """
    return sorted(set(_paths(msgspec.inspect.type_info(cls), "")))


def _paths(info: Any, path: str) -> list[str]:
    match info:
        case msgspec.inspect.Metadata():
            marked = [path] if (info.extra or {}).get("personal") else []
            return marked or _paths(info.type, path)
        case msgspec.inspect.StructType():
            before = f"{path}." if path else ""
            return [
                found
                for member in info.fields
                for found in _paths(member.type, before + member.encode_name)
            ]
        case msgspec.inspect.UnionType():
            return [found for variant in info.types for found in _paths(variant, path)]
        case msgspec.inspect.TupleType():
            return [found for item in info.item_types for found in _paths(item, path)]
        case msgspec.inspect.DictType():
            return _paths(info.value_type, path)
        case _ if hasattr(info, "item_type"):
            return _paths(info.item_type, path)
        case _:
            return []
