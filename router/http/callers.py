"""From the headers of a request to who asks, and what subgraphs are told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from router.config import RouterConfig
from router.http.actor_header import ActorSigner
from router.http.headers import HeaderRules, correlation_id
from router.http.operation import Caller

if TYPE_CHECKING:
    from router.http.jwt import TokenVerifier


class Callers:
    """Verifies tokens, signs the word on who asks, picks the headers that go on."""

    def __init__(
        self,
        config: RouterConfig,
        rules: HeaderRules,
        verifier: TokenVerifier | None,
        signer: ActorSigner | None,
    ) -> None:
        self.config, self.rules, self.signer = config, rules, signer
        self._verifier = verifier

    async def caller(
        self,
        headers: Mapping[bytes, bytes],
        *,
        client: str | None,
        request_id: str,
        by_get: bool = False,
    ) -> Caller:
        """Raises Unauthenticated, AuthenticationUnavailable."""
        actor, claims = None, None
        if self._verifier is not None:
            authorization = headers.get(b"authorization")
            if authorization is not None:
                claims = await self._verifier.verify(authorization.decode("latin-1"))
                if self.signer is not None:
                    actor = self.signer.sign(claims, now=time.time())
        to_subgraphs = self.rules.to_subgraphs(
            headers,
            client=client,
            request_id=request_id,
            correlation_id=correlation_id(headers, request_id),
            actor=actor,
        )
        plan = headers.get(b"x-router-query-plan") if self.config.expose_query_plan else None
        return Caller(
            headers=to_subgraphs,
            deadline=asyncio.get_running_loop().time() + self.config.deadline_seconds,
            by_get=by_get,
            query_plan=plan.decode("latin-1") if plan else None,
            claims=claims,
        )
