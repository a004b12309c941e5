"""`python -m tests.support.differential.main`: many operations, a failure shrunk and kept.

Graphs are numbered; `--first` and `--graphs` choose them, so that a failure can be had again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from random import Random

from tests.support.differential.case import Case, Graph, Operation, write_case
from tests.support.differential.draw_graph import draw_graph
from tests.support.differential.draw_operation import draw_operation
from tests.support.differential.run import Both, Difference, InvalidCase
from tests.support.differential.shrink import shrink

OPERATIONS_PER_GRAPH = 25
GRAPHS_PER_TASK = 8


@dataclass
class Outcome:
    """What became of some graphs."""

    operations: int = 0
    invalid: int = 0
    fetches: int = 0
    failures: list[tuple[int, str, Case, str]] = field(default_factory=list)
    """(seed, kind, case, text)."""


def run_graph(seed: int, operations: int = OPERATIONS_PER_GRAPH) -> Outcome:
    """Draw the graph of a seed, and operations on it."""
    random = Random(seed)
    graph = draw_graph(random)
    outcome = Outcome()
    try:
        both = Both(graph)
        both.check_schema()
    except Difference as difference:
        outcome.failures.append((seed, difference.kind, _nothing(graph), str(difference)))
        return outcome
    except Exception as error:
        kind = f"crash {type(error).__name__}"
        outcome.failures.append((seed, kind, _nothing(graph), f"{kind}: {error}"))
        return outcome
    seen: set[str] = set()
    for _ in range(operations):
        operation = draw_operation(random, both.whole.schema)
        outcome.operations += 1
        try:
            both.check(operation)
        except InvalidCase:
            outcome.operations -= 1
            outcome.invalid += 1
        except Difference as difference:
            if difference.kind not in seen:
                seen.add(difference.kind)
                case = Case(graph, operation)
                outcome.failures.append((seed, difference.kind, case, str(difference)))
    outcome.fetches = both.fetches
    return outcome


def _nothing(graph: Graph) -> Case:
    return Case(graph, Operation("{ __typename }"))


def _task(seeds: tuple[int, ...]) -> Outcome:
    total = Outcome()
    for seed in seeds:
        one = run_graph(seed)
        total.operations += one.operations
        total.invalid += one.invalid
        total.fetches += one.fetches
        total.failures += one.failures
    return total


def _tasks(first: int, graphs: int) -> Iterator[tuple[int, ...]]:
    for start in range(first, first + graphs, GRAPHS_PER_TASK):
        yield tuple(range(start, min(start + GRAPHS_PER_TASK, first + graphs)))


def main() -> int:
    """Exit code 1 where there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=None, help="seed of the first graph")
    parser.add_argument("--graphs", type=int, default=None, help="instead of --operations")
    parser.add_argument("--kinds", type=int, default=3, help="failures to shrink before it stops")
    options = parser.parse_args()
    first = options.first if options.first is not None else Random().randrange(10**9)
    graphs = options.graphs or -(-options.operations // OPERATIONS_PER_GRAPH)
    print(f"{graphs} graphs from seed {first}, {options.processes} processes", flush=True)
    total, started, failures = Outcome(), time.monotonic(), {}
    with ProcessPoolExecutor(options.processes) as pool:
        tasks = [pool.submit(_task, seeds) for seeds in _tasks(first, graphs)]
        for number, done in enumerate(as_completed(tasks), 1):
            one = done.result()
            total.operations += one.operations
            total.invalid += one.invalid
            total.fetches += one.fetches
            for seed, kind, case, text in one.failures:
                if kind not in failures:
                    print(f"graph {seed}: {text}\n{case.operation.text}", flush=True)
                    failures[kind] = (seed, case)
            seconds = time.monotonic() - started
            if number % 10 == 0 or number == len(tasks) or one.failures:
                print(
                    f"{total.operations} operations, {total.fetches} fetches, {seconds:.0f} s,"
                    f" {total.operations / seconds:.0f}/s, {len(failures)} kinds of failure",
                    flush=True,
                )
            if len(failures) >= options.kinds:
                pool.shutdown(cancel_futures=True)
                break
    for kind, (seed, case) in failures.items():
        name = f"{kind.split()[0]}_{seed}".lower()
        print(f"shrinking {kind} of graph {seed}", flush=True)
        folder = write_case(shrink(case, kind), name)
        print(f"kept as {os.path.relpath(folder)}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
