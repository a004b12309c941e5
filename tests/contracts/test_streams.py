"""A service's streams through the router, over a socket: who asks is known there."""

from __future__ import annotations

from typing import Any

from router.composition import Subgraph, compose
from router.config import Actor, Jwt, RouterConfig, SubgraphSettings, SubgraphSubscriptions
from router.http import create_app
from subgraphs.journal.app import build
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from tests.router.http.test_identity import Keys, ed25519, token
from tests.support.served import served
from tests.support.shop import SECRET, running, staff
from tests.support.streams import streaming

TAIL = 'subscription { eventLog(after: "journal:0") { type } }'
EXPORT = (
    'mutation { exportEvents(where: {}, format: CSV, idempotencyKey: "k") { userErrors { code } } }'
)


async def test_the_journals_tail_through_the_router(database: str) -> None:
    key = ed25519()
    config = RouterConfig(
        jwt=Jwt(),
        actor=Actor(),
        all_subgraphs=SubgraphSettings(subscriptions=SubgraphSubscriptions(share_identical=False)),
    )
    async with running(build, database, name="journal") as service, served(service.app) as port:
        composed = compose([Subgraph("journal", service.sdl, f"http://127.0.0.1:{port}/graphql")])
        assert composed.supergraph_sdl is not None
        router = create_app(
            composed.supergraph_sdl, config=config, jwks=Keys(key), actor_secret=SECRET
        )
        await staff(service, Role.AUDITOR).answer(EXPORT)
        bearer = token(key, sub=new_id("usr"), sid=new_id("ses"), roles=[Role.AUDITOR.value])

        async def asked(headers: dict[str, str]) -> tuple[str, Any]:
            async with streaming(router_port, TAIL, headers=headers) as stream:
                return await stream.event()

        async with served(router) as router_port:
            name, first = await asked({"authorization": f"Bearer {bearer}"})
            assert (name, set(first["data"]["eventLog"])) == ("next", {"type"})
            _, refused = await asked({})
            assert refused["errors"][0]["extensions"]["service"] == "journal"
            assert "data" not in refused
            await router.close()
