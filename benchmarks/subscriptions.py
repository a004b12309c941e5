"""The router's CPU for each event that reaches a client of a subscription.

    python -m benchmarks.subscriptions [--events N] [--clients N] [--json FILE]

A subgraph tells of products by their key over graphql-transport-ws, another one knows the rest, so
each event costs an entity fetch; clients take them as server-sent events. With identical
subscriptions sharing one stream, the fetch and the encoding are done once for all of them. What is
counted is the time of the router's process from /proc; events come a few at a time, the next ones
once all clients have the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from benchmarks.mock_subgraphs import LINK, SDL
from benchmarks.router_overhead import cpu_seconds, free_port, resident_mb, until_answered
from router.composition import Subgraph, compose

CHANGED = """
type Query { changes: Int }
type Subscription { changed: Product }
type Product @key(fields: "upc", resolvable: false) { upc: String! }
"""
QUERY = "subscription { changed { upc name price } }"
AT_ONCE = 20


class Events:
    """The subgraph with the stream: what `tell` is given goes to every stream."""

    def __init__(self) -> None:
        self.streams: list[tuple[ServerConnection, str]] = []
        self.opened = asyncio.Condition()

    async def handle(self, connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type": "connection_ack"}')
        asked = orjson.loads(await connection.recv())
        async with self.opened:
            self.streams.append((connection, asked["id"]))
            self.opened.notify_all()
        await connection.wait_closed()

    async def until(self, streams: int) -> None:
        async with asyncio.timeout(30), self.opened:
            await self.opened.wait_for(lambda: len(self.streams) == streams)

    async def tell(self, number: int) -> None:
        data = {"changed": {"__typename": "Product", "upc": f"p{number % 9}"}}
        for connection, name in self.streams:
            message = {"id": name, "type": "next", "payload": {"data": data}}
            await connection.send(orjson.dumps(message).decode())


class Client:
    """Reads server-sent events; `seen` of them came so far."""

    def __init__(self) -> None:
        self.seen = 0

    async def follow(self, port: int, changed: asyncio.Condition) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps({"query": QUERY}).encode()
        head = (
            "POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        try:
            async for line in reader:
                if line.startswith(b"data: "):
                    assert b'"name":"Product' in line, line
                    async with changed:
                        self.seen += 1
                        changed.notify_all()
        finally:
            writer.close()


async def measure(
    port: int, pid: int, events: Events, clients: int, count: int, *, streams: int
) -> dict[str, Any]:
    """Events until so many have come to each client."""
    changed = asyncio.Condition()
    readers = [Client() for _ in range(clients)]
    tasks = [asyncio.create_task(reader.follow(port, changed)) for reader in readers]
    await events.until(streams)
    while not all(reader.seen for reader in readers):  # those who share come one by one
        await events.tell(0)
        async with changed:
            await changed.wait()
    for reader in readers:
        reader.seen = 0

    async def tell(first: int, number: int) -> None:
        for event in range(first, first + number):
            await events.tell(event)
        async with asyncio.timeout(30), changed:
            await changed.wait_for(lambda: all(reader.seen >= first + number for reader in readers))

    before, started = cpu_seconds(pid), time.perf_counter()
    for first in range(0, count, AT_ONCE):
        await tell(first, AT_ONCE)
    used, elapsed = cpu_seconds(pid) - before, time.perf_counter() - started
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "clients": clients,
        "streams": streams,
        "events": count,
        "cpu_ms_each_event": round(1000 * used / count, 3),
        "cpu_ms_each_delivery": round(1000 * used / (count * clients), 4),
        "deliveries_per_s": round(count * clients / elapsed),
        "resident_mb": round(resident_mb(pid), 1),
    }


@contextmanager
def routed(events_port: int, *, shared: bool) -> Iterator[tuple[int, int]]:
    """A router over that subgraph and the other one: its port and its process."""
    mock_port, port = free_port(), free_port()
    products = f"http://127.0.0.1:{mock_port}/products"
    changes = f"http://127.0.0.1:{events_port}/graphql"
    composed = compose(
        [
            Subgraph("products", LINK + SDL["products"], products),
            Subgraph("changes", LINK + CHANGED, changes),
        ]
    )
    assert composed.supergraph_sdl is not None, composed.errors
    with tempfile.TemporaryDirectory() as folder:
        supergraph, config = Path(folder, "supergraph.graphql"), Path(folder, "router.yaml")
        supergraph.write_text(composed.supergraph_sdl)
        share = str(shared).lower()
        config.write_text(f"all_subgraphs: {{subscriptions: {{share_identical: {share}}}}}")
        command = ["-c", "from lonja.cli import main; main()", "router", "--port", str(port)]
        options = ["--supergraph", str(supergraph), "--router-config", str(config)]
        processes = [
            subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
            for arguments in (
                ["-m", "benchmarks.mock_subgraphs", str(mock_port)],
                [*command, *options],
            )
        ]
        try:
            until_answered(f"http://127.0.0.1:{port}/ready")
            yield port, processes[1].pid
        finally:
            for process in processes:
                process.terminate()
                process.wait()


async def run(clients: int, count: int, *, shared: bool) -> dict[str, Any]:
    """One router, one kind of load."""
    events = Events()
    protocols = [Subprotocol("graphql-transport-ws")]
    async with serve(events.handle, "127.0.0.1", 0, subprotocols=protocols) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with routed(port, shared=shared) as (router_port, pid):
            return await measure(
                router_port, pid, events, clients, count, streams=1 if shared else clients
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--json", help="write the results to this file")
    args = parser.parse_args()
    print(f"Python {platform.python_version()}")
    results = []
    for clients, shared in ((1, True), (args.clients, True), (args.clients, False)):
        row = asyncio.run(run(clients, args.events, shared=shared))
        results.append(row)
        print(
            f"{row['clients']:5} clients {row['streams']:5} streams  CPU "
            f"{row['cpu_ms_each_event']:8.3f} ms an event {row['cpu_ms_each_delivery']:8.4f} ms a "
            f"delivery  {row['deliveries_per_s']:7}/s  {row['resident_mb']} MB"
        )
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
