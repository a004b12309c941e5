"""One stored sample of every version of every event type, kept for ever in tests/contracts/samples.

A file a service, a line a version: type, version, a payload as it was stored, and the JSON Schema
that it was appended under. Lines are added and never changed: what they hold is in somebody's log.

    python -m tests.support.samples        adds a line for each version that has none

A version that no log holds yet, because it never was on the main branch, may still change: delete
its line first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eventstore import EventTypes
from tests.support.services import SERVICES, built

FOLDER = Path(__file__).parent.parent / "contracts" / "samples"
SHARED = "shared"
"""The file of the types that every service has."""

_SCALARS: Mapping[type, Any] = {
    msgspec.inspect.IntType: 1,
    msgspec.inspect.BoolType: True,
    msgspec.inspect.FloatType: 1.5,
    msgspec.inspect.DateTimeType: "2026-11-24T12:00:00Z",
    msgspec.inspect.UUIDType: "018f0000-0000-7000-8000-000000000001",
    msgspec.inspect.AnyType: "anything",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """An event as it was stored. `schema` is that of its version, as `shape` gives it."""

    type: str
    version: int
    payload: Any
    schema: Any

    def line(self) -> str:
        return json.dumps(
            {
                "type": self.type,
                "version": self.version,
                "payload": self.payload,
                "schema": self.schema,
            },
            ensure_ascii=False,
        )


def samples_of(service: str) -> list[Sample]:
    """The samples of a service, or of SHARED."""
    path = FOLDER / f"{service}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Sample(**json.loads(line)) for line in lines]


def decoded(service: str, name: str, consumer: type[msgspec.Struct]) -> Any:
    """The newest sample of a type as a consumer's own struct reads it."""
    newest = max(
        (sample for sample in samples_of(service) if sample.type == name),
        key=lambda sample: sample.version,
    )
    return msgspec.json.decode(json.dumps(newest.payload), type=consumer)


def registries() -> dict[str, EventTypes]:
    """The event types by file: every service's own, and those that all have."""
    types = {name: service.store.types for name, service in built().items()}
    shared = frozenset.intersection(*(registry.names for registry in types.values()))
    some = types[SERVICES[0]]
    found = {
        name: EventTypes(
            [registry.current(kind) for kind in sorted(registry.names - shared)],
            [upcaster for upcaster in registry.upcasters if upcaster.type not in shared],
        )
        for name, registry in types.items()
    }
    return {**found, SHARED: EventTypes(some.current(kind) for kind in sorted(shared))}


def kinds(file: str, types: Mapping[str, EventTypes]) -> frozenset[str]:
    """The names of the types whose samples are in a file: a registry always knows some more."""
    names = types[file].names
    return names if file == SHARED else names - types[SHARED].names


def shape(schema: Any) -> Any:
    """What a JSON Schema says of payloads: without names of classes and their descriptions."""
    inlined = _inlined(schema, schema.get("$defs", {}))
    return json.loads(json.dumps(inlined))  # as it is read again: no tuples


def _inlined(schema: Any, defs: Mapping[str, Any]) -> Any:
    match schema:
        case {"$ref": ref}:
            return _inlined(defs[ref.rpartition("/")[2]], defs)
        case dict():
            return {
                key: {name: _inlined(each, defs) for name, each in value.items()}
                if key == "properties"
                else _inlined(value, defs)
                for key, value in schema.items()
                if key not in ("title", "description", "$defs")
            }
        case list():
            return [_inlined(each, defs) for each in schema]
        case _:
            return schema


def made_up(info: Any, name: str = "text") -> Any:
    """A payload of a type, every field given; texts are the names of their fields."""
    if type(info) in _SCALARS:
        return _SCALARS[type(info)]
    match info:
        case msgspec.inspect.StrType():
            return name
        case msgspec.inspect.LiteralType() | msgspec.inspect.EnumType():
            values = info.values if hasattr(info, "values") else [each.value for each in info.cls]
            return values[0]
        case msgspec.inspect.UnionType():
            kinds = [each for each in info.types if type(each) is not msgspec.inspect.NoneType]
            return made_up(kinds[0], name)
        case msgspec.inspect.StructType():
            return {each.encode_name: made_up(each.type, each.name) for each in info.fields}
        case msgspec.inspect.TupleType():
            return [made_up(each, name) for each in info.item_types]
        case msgspec.inspect.DictType():
            return {"key": made_up(info.value_type, name)}
        case msgspec.inspect.Metadata():
            return made_up(info.type, name)
        case _ if hasattr(info, "item_type"):
            return [made_up(info.item_type, name)]
    raise AssertionError(f"no sample of {info} can be made up: write one by hand")


def missing(file: str, types: Mapping[str, EventTypes]) -> Iterator[Sample]:
    """A sample for each newest version that has none."""
    known = {(sample.type, sample.version) for sample in samples_of(file)}
    registry = types[file]
    for cls in map(registry.current, sorted(kinds(file, types))):
        if (cls.TYPE, cls.TYPE_VERSION) not in known:
            payload = made_up(msgspec.inspect.type_info(cls))
            yield Sample(cls.TYPE, cls.TYPE_VERSION, payload, shape(registry.schema(cls.TYPE)))


if __name__ == "__main__":
    known = registries()
    for file in known:
        if new := list(missing(file, known)):
            with open(FOLDER / f"{file}.jsonl", "a") as target:
                target.writelines(sample.line() + "\n" for sample in new)
            print(f"{file}: {len(new)} added")
