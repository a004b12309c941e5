"""What does it cost that personal data is sealed? Events with and without, in one run.

    python -m benchmarks.personal [--events 20000] [--data-dir DIR]

The same event three times: nothing personal, two texts of it personal and of few persons (their
keys are known), and each of another person (whose key is made and read for it alone). Client CPU an
event, the best of some rounds. Prints a table; the same as JSON goes to .benchmarks/personal.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.server import durable_server
from eventstore import (
    Actor,
    Append,
    Event,
    EventStore,
    EventTypes,
    Keyring,
    MasterKey,
    Metadata,
    Personal,
    event_type,
)

OUTPUT = Path(".benchmarks/personal.json")
ROUNDS = 5
APPEND_EVENTS = 100
PAGE_EVENTS = 1000
PERSONS = 50
TEXT = "12 Rue de la Soie, 69001 Lyon"


@event_type("benchmark.plain")
class Plain(Event, frozen=True):
    customer_id: str
    name: str
    street: str
    total_minor: int


@event_type("benchmark.personal", subject="customer_id")
class Sealed(Event, frozen=True):
    customer_id: str
    name: Personal[str]
    street: Personal[str]
    total_minor: int


@dataclass(frozen=True)
class Result:
    what: str
    append_us: float
    read_us: float


def metadata() -> Metadata:
    return Metadata(
        actor=Actor("service", "benchmark"),
        command_id="cmd_1",
        correlation_id="cmd_1",
        occurred_at=datetime.now(UTC),
    )


async def appended(store: EventStore, make: Callable[[int], Event], events: int) -> float:
    """Client CPU µs an event."""
    cpu = time.process_time()
    for start in range(0, events, APPEND_EVENTS):
        batch = [make(number) for number in range(start, start + APPEND_EVENTS)]
        await store.append(Append(f"str_{start}", batch), metadata=metadata())
    return (time.process_time() - cpu) / events * 1e6


async def read(store: EventStore, events: int) -> float:
    """Client CPU µs an event, the best of ROUNDS."""
    best = float("inf")
    for _ in range(ROUNDS):
        cpu, after = time.process_time(), 0
        while page := await store.read(after, limit=PAGE_EVENTS):
            after = page[-1].position
        best = min(best, (time.process_time() - cpu) / events * 1e6)
    return best


async def measure(create: Callable[[str], str], events: int) -> list[Result]:
    keyring = Keyring.of(MasterKey(b"k" * 32))
    plain, both = [Plain], [Plain, Sealed]
    cases: list[tuple[str, list[type[Event]], Callable[[int], Event]]] = [
        ("nothing personal", plain, lambda n: Plain(f"usr_{n % PERSONS}", TEXT, TEXT, n)),
        ("the same, beside types that are", both, lambda n: Plain("usr_1", TEXT, TEXT, n)),
        ("personal, few persons", both, lambda n: Sealed(f"usr_{n % PERSONS}", TEXT, TEXT, n)),
        ("personal, another each", both, lambda n: Sealed(f"usr_{n}", TEXT, TEXT, n)),
    ]
    results = []
    for number, (what, types, make) in enumerate(cases):
        conninfo = create(f"case_{number}")
        registry = EventTypes(types)
        async with EventStore(conninfo, registry, name="benchmark", keyring=keyring) as store:
            results.append(
                Result(what, await appended(store, make, events), await read(store, events))
            )
    return results


def show(results: list[Result]) -> None:
    table = Table(title="Personal data: client CPU µs an event")
    for heading in ("what", "append", "read"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for result in results:
        table.add_row(result.what, f"{result.append_us:.1f}", f"{result.read_us:.1f}")
    Console().print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--data-dir", type=Path)
    options: Any = parser.parse_args()
    with durable_server(options.data_dir) as server:
        show(asyncio.run(measure(server.create_database, options.events)))


if __name__ == "__main__":
    main()
