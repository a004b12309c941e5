"""Samples of public events: what other services were promised, as JSON files kept for ever.

A sample that can no longer be read, or is written otherwise, is a broken contract. A new field with
a default is none: the sample stays, and reads as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from eventstore.event import Event


def samples_of(folder: Path) -> Mapping[str, Any]:
    """Payloads by type and version, like `order.placed@1`."""
    found: Mapping[str, Any] = json.loads((folder / "samples.json").read_text())
    return found


def check_samples(folder: Path, events: Iterable[type[Event]]) -> None:
    """Every public event has its sample, and reads and writes it as it stands."""
    samples = samples_of(folder)
    public = {f"{event.TYPE}@{event.TYPE_VERSION}": event for event in events if event.PUBLIC}
    assert sorted(samples) == sorted(public), "every public event has one sample, and no other"
    for name, event in public.items():
        read = msgspec.json.decode(json.dumps(samples[name]), type=event)
        written = json.loads(msgspec.json.encode(read))
        assert samples[name].items() <= written.items(), name


def decoded(folder: Path, name: str, consumer: type[msgspec.Struct]) -> Any:
    """A sample as a consumer's own struct reads it."""
    return msgspec.json.decode(json.dumps(samples_of(folder)[name]), type=consumer)
