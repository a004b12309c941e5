"""No version of an event type is ever changed, and every one that was ever stored can be read."""

from __future__ import annotations

import json

import pytest

from eventstore import EventTypes
from tests.support.samples import SHARED, Sample, kinds, registries, samples_of, shape
from tests.support.services import SERVICES

FILES = (*SERVICES, SHARED)
WAY_ON = (
    "give the type a new version and an upcaster from this one, then add its sample with "
    "`python -m tests.support.samples`"
)


def each_sample() -> list[tuple[str, Sample]]:
    return [(file, sample) for file in FILES for sample in samples_of(file)]


@pytest.fixture(scope="module")
def types() -> dict[str, EventTypes]:
    return registries()


@pytest.mark.parametrize("file", FILES)
def test_every_version_of_every_type_has_one_sample(
    file: str, types: dict[str, EventTypes]
) -> None:
    kept = [(sample.type, sample.version) for sample in samples_of(file)]
    versions = [
        (kind, version) for kind in kinds(file, types) for version in types[file].versions(kind)
    ]
    assert sorted(kept) == sorted(versions), (
        "a version without a sample is added by `python -m tests.support.samples`; "
        "a sample without its version was stored once, and must still be read"
    )


@pytest.mark.parametrize(
    ("file", "sample"), each_sample(), ids=lambda each: getattr(each, "type", each)
)
def test_what_was_stored_is_read(file: str, sample: Sample, types: dict[str, EventTypes]) -> None:
    registry = types[file]
    event = registry.decode(sample.type, sample.version, json.dumps(sample.payload).encode())
    written = json.loads(registry.encode(event))
    if sample.version == registry.current(sample.type).TYPE_VERSION:
        assert shape(registry.schema(sample.type)) == sample.schema, WAY_ON
        assert written == sample.payload, WAY_ON


def test_a_changed_schema_is_seen() -> None:
    """Names of classes and descriptions may change; fields, kinds and what is required may not."""
    line = {"title": "Line", "type": "object", "properties": {"sku": {"type": "string"}}}
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/L"}}, "L": line}}
    renamed = {"$ref": "#/$defs/B", "$defs": {"B": {"items": {"$ref": "#/$defs/M"}}, "M": line}}
    assert shape(schema) == shape(renamed)
    narrowed = {**line, "properties": {"sku": {"type": "integer"}}}
    changed = {**schema, "$defs": {**schema["$defs"], "L": narrowed}}  # type: ignore[dict-item]
    assert shape(schema) != shape(changed)
