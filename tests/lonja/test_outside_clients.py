"""Clients that others wrote subscribe at `lonja router`: graphql-ws, graphql-sse, Apollo's.

They are packages of npm, which tests do not install:

    npm install --prefix DIR graphql@16 graphql-ws@6 graphql-sse@2 ws@8 @apollo/client@3
    LONJA_NODE_MODULES=DIR/node_modules make test
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.lonja.test_router_subscriptions import routed

SCRIPT = Path(__file__).with_name("subscribe.mjs")
MODULES = os.path.abspath(os.environ.get("LONJA_NODE_MODULES") or "/nowhere")


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.skipif(not Path(MODULES).is_dir(), reason="needs LONJA_NODE_MODULES, see this file")
async def test_clients_of_others_understand_the_router(tmp_path: Path) -> None:
    async with routed(tmp_path) as (_, port, _):
        node = await asyncio.create_subprocess_exec(
            "node", str(SCRIPT), str(port), MODULES, stdout=-1, stderr=-1
        )
        async with asyncio.timeout(30):
            said, failed = await node.communicate()
    assert node.returncode == 0, failed.decode()
    counted = [{"count": 1}, {"count": 2}, {"count": 3}]
    all_kinds = [counted, [{"ok": True}], [["GRAPHQL_VALIDATION_FAILED"]]]
    assert json.loads(said) == {
        "graphql-ws": all_kinds,
        "graphql-sse": all_kinds,
        "@apollo/client": counted,
    }
