"""`lonja router`: what it serves, how it refuses, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lonja.cli import main
from router.composition import Subgraph, compose
from tests.support.raw_server import RawServer, raw_server, reply

SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { product: Product }
type Product @key(fields: "id") { id: ID! name: String }
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def supergraph(tmp_path: Path, url: str = "http://127.0.0.1:9/graphql") -> Path:
    sdl = compose([Subgraph("products", SDL, url)]).supergraph_sdl
    assert sdl is not None
    path = tmp_path / "supergraph.graphql"
    path.write_text(sdl)
    return path


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """The command in a process of its own: its address, the process, seconds until it is ready."""
    port = free_port()
    command = [sys.executable, "-c", "from lonja.cli import main; main()", "router"]
    started = time.monotonic()
    process = subprocess.Popen([*command, *arguments, "--port", str(port)], stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert "router ready" in line, line + process.stderr.read().decode()
        yield f"http://127.0.0.1:{port}", process, time.monotonic() - started
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def ask(url: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{url}/graphql",
        json.dumps({"query": query}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_a_supergraph_and_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with serving("--supergraph", str(supergraph(tmp_path))) as (url, process, _):
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            assert answer.status == 200
        assert ask(url, "{ __typename }") == {"data": {"__typename": "Query"}}
        answered = ask(url, "{ product { name } }")
        assert answered["data"] == {"product": None}
        assert answered["errors"][0]["extensions"]["service"] == "products"
        process.send_signal(number)
        assert process.wait(5) == 0


@pytest.mark.slow
async def test_it_composes_what_supergraph_yaml_names(tmp_path: Path) -> None:
    """One subgraph's SDL is in a file, the other's is asked for."""
    import asyncio

    async def handle(server: RawServer, reader: Any, writer: Any, number: int) -> None:
        while True:
            request = await server.read_request(reader)
            asked = b"_service" in request
            data = {"_service": {"sdl": SDL}} if asked else {"product": {"name": "Chair"}}
            writer.write(reply(json.dumps({"data": data}).encode()))

    (tmp_path / "users.graphql").write_text("type Query { hello: String }")
    async with raw_server(handle) as server:
        config = tmp_path / "supergraph.yaml"
        config.write_text(
            f"""
            federation_version: =2.3
            subgraphs:
              users:
                routing_url: http://127.0.0.1:9/
                schema: {{file: users.graphql}}
              products:
                schema: {{subgraph_url: "{server.url}"}}
            """
        )

        def check() -> Any:
            with serving("--config", str(config)) as (url, _, _):
                return ask(url, "{ product { name } }")

        assert await asyncio.to_thread(check) == {"data": {"product": {"name": "Chair"}}}


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["router", *arguments])
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return result.output


def test_files_that_are_no_supergraph(tmp_path: Path) -> None:
    path = tmp_path / "x.graphql"
    assert "cannot be read" in refused("--supergraph", str(path))
    path.write_text("type Query { a: Int }")
    assert "supergraph" in refused("--supergraph", str(path))
    path.write_text("type Query {")
    assert "not valid GraphQL" in refused("--supergraph", str(path))
    path.write_bytes(b"\xff\xfe")
    assert "UTF-8" in refused("--supergraph", str(path))
    text = supergraph(tmp_path).read_text().replace("join/v0.", "join/v9.")
    path.write_text(text)
    assert "join" in refused("--supergraph", str(path))


def test_a_subgraph_that_cannot_be_called(tmp_path: Path) -> None:
    assert "products" in refused("--supergraph", str(supergraph(tmp_path, "ftp://x/")))


def test_subgraphs_that_do_not_compose(tmp_path: Path) -> None:
    path = tmp_path / "subgraphs.json"
    for text, words in [
        ("{", "not JSON"),
        ("[]", "list"),
        ('[{"name": "a"}]', "sdl"),
        (json.dumps([{"name": "a", "url": "http://a", "sdl": "type Query { a: B }"}]), "compose"),
    ]:
        path.write_text(text)
        assert words in refused("--subgraphs", str(path))


def test_configurations_that_make_no_sense(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    given = ["--supergraph", str(supergraph(tmp_path)), "--router-config", str(path)]
    assert "cannot be read" in refused(*given)
    for text, words in [
        ("a: [", "not YAML"),
        ("[1]", "mapping"),
        ("limit: {}", "unknown field `limit`"),
        ("limits: {depth_max: deep}", "$.limits.depth_max"),
        ("actor: {secret: short}", "32"),
        ("jwt: {}", "jwks_url"),
        ("cors: {origins: ['*'], credentials: true}", "credentials"),
    ]:
        path.write_text(text)
        assert words in refused(*given)
    config = tmp_path / "supergraph.yaml"
    for text, words in [
        ("a: [", "not YAML"),
        ("subgraphs: {}", "subgraphs"),
        ("subgraphs: {a: {}}", '"a" needs `schema`'),
        ("subgraphs: {a: {schema: {graphref: x}}}", "graphref"),
        ("subgraphs: {a: {schema: {file: gone.graphql}}}", "cannot be read"),
        ("subgraphs: {a: {schema: {subgraph_url: 'http://127.0.0.1:9/'}}}", "no SDL from there"),
    ]:
        config.write_text(text)
        assert words in refused("--config", str(config))


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        output = refused("--supergraph", str(supergraph(tmp_path)), "--port", port)
    assert f"127.0.0.1:{port}" in output


def test_exactly_one_source() -> None:
    for arguments in ([], ["--supergraph", "a", "--config", "b"]):
        result = CliRunner().invoke(main, ["router", *arguments])
        assert result.exit_code == 2
        assert "exactly one" in result.output
