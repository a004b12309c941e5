"""The router's own CPU per request over HTTP.

    python -m benchmarks.router_overhead [--requests N] [--connections N] [--json FILE]
    python -m benchmarks.router_overhead --memory 100000 --different 10000

Subgraphs (`mock_subgraphs`), router (`lonja router`, one worker, no sharing of requests in flight)
and the client are three processes. What is counted is the user and system time of the router's
process from /proc, so what the others cost does not matter, but they should not starve it. Figures
depend on the build of Python, which is printed with them.

`--memory N` asks what the router's resident memory is after N requests of all operations instead,
and after so many `--different` operations beyond.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.mock_subgraphs import LINK, SDL
from router.composition import Subgraph, compose
from router.planner.plan import OperationKind
from router.transport import HttpSubgraph, SubgraphOperation, SubgraphRequest

DEEP = """
fragment User on User { id username name }
fragment Review on Review { id body }
fragment Product on Product { inStock name price shippingEstimate upc weight }
query Deep {
  users { ...User reviews { ...Review product { ...Product reviews { ...Review author {
    ...User reviews { ...Review product { ...Product } } } } } } }
  topProducts(first: 5) { ...Product reviews { ...Review author {
    ...User reviews { ...Review product { ...Product } } } } }
}
"""
OPERATIONS = {
    "one fetch, 0.1 KB": ("{ me { id name username } }", 0.6, 0.2),
    "two fetches, 0.5 KB": ("{ me { id name reviews { id body } } }", 1.0, 0.3),
    "deep, 87 KB": (DEEP, 4.5, 1.4),
}
"""Operation, milliseconds it must stay under, milliseconds to aim at."""
MEMORY_MB = 150
Row: TypeAlias = dict[str, Any]
TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_answered(url: str) -> None:
    """Wait for a server to take connections. Raises TimeoutError after 20 s."""
    for _ in range(2_000):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.01)
    raise TimeoutError(url)


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def load(url: str, text: str, requests: int, connections: int) -> tuple[list[float], int]:
    """Send requests over kept connections; seconds of each, and the bytes of one answer."""
    client = HttpSubgraph("router", url)
    operation = SubgraphOperation(text, None, OperationKind.QUERY)
    seconds: list[float] = []
    left = requests

    async def one() -> Any:
        started = time.perf_counter()
        request = SubgraphRequest(operation, None, {}, asyncio.get_running_loop().time() + 30)
        response = await client(request)
        seconds.append(time.perf_counter() - started)
        assert not response.errors, response.errors[:1]
        return response.data

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    size = len(json.dumps({"data": await one()}, separators=(",", ":")))
    seconds.clear()
    await asyncio.gather(*[worker() for _ in range(connections)])
    await client.close()
    return seconds, size


def measure(name: str, url: str, process: int, requests: int, connections: int) -> Row:
    text, must, aim = OPERATIONS[name]
    asyncio.run(load(url, text, max(50, requests // 10), connections))
    before, started = cpu_seconds(process), time.perf_counter()
    seconds, size = asyncio.run(load(url, text, requests, connections))
    elapsed, used = time.perf_counter() - started, cpu_seconds(process) - before
    seconds.sort()
    return {
        "operation": name,
        "bytes": size,
        "requests": requests,
        "cpu_ms": round(1000 * used / requests, 3),
        "must_ms": must,
        "aim_ms": aim,
        "requests_per_s": round(requests / elapsed),
        "p50_ms": round(1000 * statistics.median(seconds), 2),
        "p99_ms": round(1000 * seconds[int(len(seconds) * 0.99)], 2),
        "resident_mb": round(resident_mb(process), 1),
    }


def memory(url: str, process: int, requests: int, different: int, connections: int) -> list[Row]:
    """Resident memory along a long load: each operation in its turn, then operations never seen."""
    rows = [_resident("started", 0, process)]
    done = 0
    for part in range(1, 5):
        for text, _, _ in OPERATIONS.values():
            share = requests // (4 * len(OPERATIONS))
            asyncio.run(load(url, text, share, connections))
            done += share
        rows.append(_resident(f"{part} of 4", done, process))
    names = iter(range(different))

    async def never_seen() -> None:
        texts = (DEEP.replace("users {", f"u{name}: users {{") for name in names)
        await asyncio.gather(*[_send(url, texts) for _ in range(4)])

    if different:
        asyncio.run(never_seen())
        rows.append(_resident("different operations", different, process))
    return rows


async def _send(url: str, texts: Iterator[str]) -> None:
    client = HttpSubgraph("router", url)
    for text in texts:
        operation = SubgraphOperation(text, None, OperationKind.QUERY)
        response = await client(
            SubgraphRequest(operation, None, {}, asyncio.get_running_loop().time() + 30)
        )
        assert not response.errors, response.errors[:1]
    await client.close()


def _resident(name: str, requests: int, process: int) -> Row:
    return {"after": name, "requests": requests, "resident_mb": round(resident_mb(process), 1)}


@contextmanager
def running() -> Iterator[tuple[str, int]]:
    """Subgraphs and a router over them: its URL and its process."""
    subgraphs_port, port = free_port(), free_port()
    base = f"http://127.0.0.1:{subgraphs_port}"
    composed = compose(Subgraph(name, LINK + sdl, f"{base}/{name}") for name, sdl in SDL.items())
    assert composed.supergraph_sdl is not None, composed.errors
    with tempfile.TemporaryDirectory() as folder:
        supergraph, config = Path(folder, "supergraph.graphql"), Path(folder, "router.yaml")
        supergraph.write_text(composed.supergraph_sdl)
        config.write_text("all_subgraphs: {share_identical: false}")
        mock = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.mock_subgraphs", str(subgraphs_port)]
        )
        command = ["-c", "from lonja.cli import main; main()", "router"]
        options = ["--supergraph", str(supergraph), "--router-config", str(config)]
        router = subprocess.Popen(
            [sys.executable, *command, *options, "--port", str(port)], stderr=subprocess.DEVNULL
        )
        try:
            until_answered(f"http://127.0.0.1:{port}/ready")
            yield f"http://127.0.0.1:{port}/graphql", router.pid
        finally:
            for process in (router, mock):
                process.terminate()
                process.wait()


def run(requests: int, connections: int) -> list[Row]:
    with running() as (url, router):
        return [
            measure(name, url, router, requests // (8 if "deep" in name else 1), connections)
            for name in OPERATIONS
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--memory", type=int, help="requests after which memory is asked for")
    parser.add_argument("--different", type=int, default=0, help="operations never seen before")
    parser.add_argument("--json", help="write the results to this file")
    args = parser.parse_args()
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    build = f"Python {platform.python_version()}, {'PGO' if optimised else 'no PGO'}"
    print(build)
    results: list[Row]
    if args.memory:
        with running() as (url, router):
            results = memory(url, router, args.memory, args.different, args.connections)
        for row in results:
            verdict = "ok" if row["resident_mb"] < MEMORY_MB else "TOO MUCH"
            print(
                f"{row['after']:22} {row['requests']:7} requests  {row['resident_mb']:6} MB"
                f" (must {MEMORY_MB})  {verdict}"
            )
    else:
        results = run(args.requests, args.connections)
        _print(results)
    if args.json:
        Path(args.json).write_text(json.dumps({"build": build, "results": results}, indent=1))


def _print(results: list[Row]) -> None:
    for row in results:
        verdict = "ok" if row["cpu_ms"] < row["must_ms"] else "TOO SLOW"
        print(
            f"{row['operation']:22} {row['bytes']:7} B  CPU {row['cpu_ms']:6.3f} ms "
            f"(must {row['must_ms']}, aim {row['aim_ms']})  {row['requests_per_s']:6}/s  "
            f"p50 {row['p50_ms']} p99 {row['p99_ms']} ms  {row['resident_mb']} MB  {verdict}"
        )


if __name__ == "__main__":
    main()
