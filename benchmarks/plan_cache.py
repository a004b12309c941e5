"""What it costs to find the plan of an operation that was asked before.

    python -m benchmarks.plan_cache [--operations N] [--json FILE]

A 1 KB operation with fragments, variables and arguments comes again: as the same text, and in other
spellings (white space, name, values of literals), which must be normalised first. Then come many
different operations, whose memory must stay bounded. Times are CPU time, the least of several
rounds, also as ratios to one `graphql.parse` of the same text in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sysconfig
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from graphql import parse

from benchmarks.mock_subgraphs import LINK, SDL
from router.composition import Subgraph, compose
from router.config import RouterConfig
from router.executor import Subgraphs
from router.http.operation import OperationPipeline
from router.planner import Planner
from router.supergraph import Supergraph

OPERATION = """
query Front($first: Int = 5, $withReviews: Boolean!, $withAuthor: Boolean = true) {
  me { ...Person reviews { ...Opinion } }
  featured: topProducts(first: 3) {
    ...Thing
    reviews @include(if: $withReviews) { ...Opinion author @skip(if: $withAuthor) { ...Person } }
  }
  topProducts(first: $first) {
    ...Thing
    shippingEstimate
    reviews @include(if: $withReviews) {
      ...Opinion
      author { ...Person reviews { ...Opinion product { upc name price inStock } } }
    }
  }
  users { ...Person reviews { ...Opinion product { ...Thing reviews { ...Opinion author {
    ...Person } } } } }
  more: topProducts(first: 12) { ...Thing reviews { id author { id name username } } }
}

# What a list shows of a person, of what is sold, and of what is said of it.
fragment Person on User { id username name }
fragment Thing on Product { upc name price weight inStock shippingEstimate }
fragment Opinion on Review { id body again: id said: body }
"""
SAME_US, NORMALISED_US = 10.0, 50.0
"""Microseconds a hit must stay under: of the same text, of another spelling."""


def pipeline() -> OperationPipeline:
    """Of the mock subgraphs' graph; nothing is ever sent to them."""
    composed = compose(Subgraph(name, LINK + sdl) for name, sdl in SDL.items())
    assert composed.supergraph_sdl is not None, composed.errors
    supergraph = Supergraph.from_sdl(composed.supergraph_sdl)
    config = RouterConfig()
    return OperationPipeline(supergraph, config, Subgraphs({}, config), Planner(supergraph))


def spellings() -> Iterator[str]:
    """The operation with another name, other values and other white space each time."""
    for number in count(100):
        text = OPERATION.replace("Front", f"Front{number}").replace("12", str(number))
        yield text.replace("\n", " \n" if number % 2 else ",\n")


def different() -> Iterator[str]:
    """Operations of which no two have one plan."""
    for number in count():
        yield OPERATION.replace("again:", f"again{number}:")


async def cpu_us(
    prepare: Callable[[str], Coroutine[Any, Any, Any]], texts: Iterator[str], rounds: int = 25
) -> float:
    """Microseconds of the quickest of several rounds of 200 texts, one text each."""
    best = float("inf")
    for _ in range(rounds):
        batch = [next(texts) for _ in range(200)]
        started = time.process_time()
        for text in batch:
            await prepare(text)
        best = min(best, (time.process_time() - started) / len(batch))
    return best * 1e6


def parse_us(text: str) -> float:
    best = float("inf")
    for _ in range(15):
        started = time.process_time()
        for _ in range(10):
            parse(text, no_location=True)
        best = min(best, (time.process_time() - started) / 10)
    return best * 1e6


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(operations: int) -> dict[str, Any]:
    cache = pipeline()

    async def prepare(text: str) -> None:
        prepared = await cache.prepare(text, None)
        assert prepared.compiled is not None, prepared.refusal

    await prepare(OPERATION)
    # A text read from a request is a new string each time, whose hash is not known yet.
    same = await cpu_us(prepare, (OPERATION[:1] + OPERATION[1:] for _ in count()))
    normalised = await cpu_us(prepare, spellings())
    assert cache.kept == 1, "spellings of one operation are one entry"
    parsed = parse_us(OPERATION)
    memory = [resident_mb()]
    texts = different()
    for _ in range(4):
        for _ in range(operations // 4):
            await prepare(next(texts))
        memory.append(resident_mb())
    kept = cache.kept
    cache.close()
    return {
        "bytes": len(OPERATION.encode()),
        "same_text_us": round(same, 2),
        "normalised_us": round(normalised, 1),
        "parse_us": round(parsed, 1),
        "same_text_to_parse": round(same / parsed, 4),
        "normalised_to_parse": round(normalised / parsed, 3),
        "different_operations": operations,
        "kept": kept,
        "resident_mb": [round(one, 1) for one in memory],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000, help="different operations")
    parser.add_argument("--json", help="write the results to this file")
    args = parser.parse_args()
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    build = f"Python {platform.python_version()}, {'PGO' if optimised else 'no PGO'}"
    row = asyncio.run(measure(args.operations))
    print(f"{build}, an operation of {row['bytes']} B")
    for name, found, limit in (
        ("same text", row["same_text_us"], SAME_US),
        ("other spelling", row["normalised_us"], NORMALISED_US),
    ):
        verdict = "ok" if found < limit else "TOO SLOW"
        ratio = found / row["parse_us"]
        print(f"{name:16} {found:7.2f} us (must {limit:.0f})  {ratio:.4f} of a parse  {verdict}")
    print(f"{'graphql.parse':16} {row['parse_us']:7.2f} us")
    memory = " ".join(map(str, row["resident_mb"]))
    print(f"{row['different_operations']} different operations: {row['kept']} kept, {memory} MB")
    if args.json:
        Path(args.json).write_text(json.dumps({"build": build, "results": row}, indent=1))


if __name__ == "__main__":
    main()
