"""Puts the parts together: services with their databases and feeds, and the router over them.

Nothing in a service or in the router knows whether the others live in this process or elsewhere: a
service gets feeds, the router gets transports.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from eventstore import EventTypes, Feed, HttpFeed, Limits
from lonja.errors import BadSettings, SupergraphBroken
from lonja.keys import SECRET_BYTES, address_key, internal_secret, keys_dir, master_keyring
from lonja.sealing import LogSealer, LogTrust
from lonja.settings import SERVICES, Settings
from router.composition import Subgraph, compose
from router.config import Jwt, RouterConfig, SubgraphSettings, SubgraphSubscriptions
from router.http import RouterApp, create_app
from router.transport import InProcessSubgraph
from subgraphs.shared.auth import feed_authorization
from subgraphs.shared.http_audit import HttpAudit
from subgraphs.shared.log_audit import LogAudit
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.users.app import UsersService

CATCH_UP_SECONDS_MAX = 5.0
"""How long a start waits for the services to hear what the others appended before."""
TOKEN_ISSUER = TOKEN_AUDIENCE = "lonja"

_OWN_STREAMS = SubgraphSubscriptions(share_identical=False)
"""Each tail of the journal begins at its own cursor, and is recorded for itself."""

AnyService = Service[Any]


def build_service(
    name: str,
    settings: Settings,
    conninfo: str,
    feeds: Mapping[str, Feed],
    audits: Mapping[str, LogAudit] = MappingProxyType({}),
) -> AnyService:
    """One service, not started. `feeds` and `audits` may be filled until it starts.

    Raises BadSettings for settings and key files that the service cannot use.
    """
    module = importlib.import_module(f"subgraphs.{name}.app")
    context = ServiceContext(
        name=name,
        conninfo=conninfo,
        feeds=feeds,
        internal_secret=internal_secret(settings),
        clock=lambda: datetime.now(UTC),
        settings=service_settings(name, settings),
        seal=partial(LogSealer, settings) if settings.audit.seal else None,
        keyring=master_keyring(settings),
        trust=LogTrust(settings, name),
        audits=audits,
        limits=Limits(**settings.log.plain()),
    )
    try:
        return cast(AnyService, module.build(context))
    except ValueError as error:
        raise BadSettings(f"service {name} cannot be built: {error}") from error


def event_types(name: str) -> EventTypes:
    """The event types of a service, known without its database, settings and keys."""
    module = importlib.import_module(f"subgraphs.{name}.app")
    context = ServiceContext(
        name=name,
        conninfo="",
        feeds={},
        internal_secret=secrets.token_bytes(SECRET_BYTES),
        clock=lambda: datetime.now(UTC),
    )
    return cast(AnyService, module.build(context)).store.types


def service_settings(name: str, settings: Settings) -> dict[str, Any]:
    """What `subgraphs.<name>.app` says it can be told."""
    match name:
        case "users":
            return {
                **settings.users.plain(),
                "signing_key_file": keys_dir(settings) / "tokens.json",
                "address_key": address_key(settings),
            }
        case "payments":
            return settings.payments.plain()
        case "notifications":
            return {**settings.mail.plain(), "mailbox_dir": settings.data_dir / "mailbox"}
        case "journal":
            url = settings.audit.exports_url
            return {"exports_dir": settings.data_dir / "exports", "exports_url": url}
        case _:
            return {}


def remote_feed(name: str, settings: Settings, *, full: bool) -> Feed:
    """The feed of a service that runs elsewhere."""
    return HttpFeed(
        f"{settings.service_url(name)}/feed" + ("/full" if full else ""),
        name,
        headers={"authorization": feed_authorization(internal_secret(settings))},
    )


def remote_audit(name: str, settings: Settings) -> LogAudit:
    """What the owner of a log says of it, where it runs elsewhere."""
    authorization = feed_authorization(internal_secret(settings))
    return HttpAudit(name, f"{settings.service_url(name)}/audit", authorization)


@asynccontextmanager
async def all_services(
    settings: Settings, conninfos: Mapping[str, str]
) -> AsyncIterator[dict[str, AnyService]]:
    """Every service in this process, started; they hear each other without HTTP."""
    public: dict[str, Feed] = {}
    full: dict[str, Feed] = {}
    audits: dict[str, LogAudit] = {}
    services = {
        name: build_service(name, settings, conninfos[name], full, audits)
        if name == "journal"
        else build_service(name, settings, conninfos[name], public)
        for name in SERVICES
    }
    public.update((name, service.feed) for name, service in services.items())
    full.update((name, service.full_feed) for name, service in services.items())
    audits.update((name, service.audit) for name, service in services.items())
    async with AsyncExitStack() as stack:
        for service in services.values():  # the first one already reads the feeds of the last
            await stack.enter_async_context(service.store)
        for service in services.values():
            await stack.enter_async_context(service)
        await _hear_each_other(services)
        yield services


async def _hear_each_other(services: Mapping[str, AnyService]) -> None:
    """Let reactors come to where the logs are now, for a while: the first order needs the shipping
    rates that another service has just made.
    """
    heads = {name: await service.store.head() for name, service in services.items()}
    await asyncio.gather(
        *(
            service.reactor_runner.wait_for(
                source, heads[source], CATCH_UP_SECONDS_MAX, names=[reactor.name]
            )
            for service in services.values()
            for reactor in service.reactors
            if (source := reactor.source or service.name) in heads
        )
    )


def one_service(name: str, settings: Settings, conninfo: str) -> AnyService:
    """One service whose fellows run elsewhere."""
    feeds = {
        other: remote_feed(other, settings, full=name == "journal")
        for other in SERVICES
        if other != name
    }
    audits = {other: remote_audit(other, settings) for other in feeds if name == "journal"}
    if name == "journal" and not settings.audit.exports_url:
        url = {"exports_url": settings.service_url(name)}
        settings = settings.model_copy(update={"audit": settings.audit.model_copy(update=url)})
    return build_service(name, settings, conninfo, feeds, audits)


def supergraph_of(services: Mapping[str, AnyService], settings: Settings) -> str:
    """The services' schemas as one. Raises SupergraphBroken with every reason."""
    result = compose(
        Subgraph(name, service.sdl, f"{settings.service_url(name)}/graphql")
        for name, service in services.items()
    )
    if result.supergraph_sdl is None:
        reasons = "; ".join(f"{error.code}: {error.message}" for error in result.errors)
        raise SupergraphBroken(f"the services' schemas do not compose: {reasons}")
    return result.supergraph_sdl


def router_over(services: Mapping[str, AnyService], settings: Settings) -> RouterApp:
    """The router over services of this process."""
    return create_app(
        supergraph_of(services, settings),
        transports={
            name: InProcessSubgraph(name, service.execute, service.subscribe)
            for name, service in services.items()
        },
        config=RouterConfig(
            jwt=Jwt(issuers=(TOKEN_ISSUER,), audiences=(TOKEN_AUDIENCE,)),
            subgraphs={"journal": SubgraphSettings(subscriptions=_OWN_STREAMS)},
        ),
        jwks=_jwks(cast(UsersService, services["users"])),
        actor_secret=internal_secret(settings),
    )


def _jwks(users: UsersService) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def keys() -> Mapping[str, Any]:
        return users.jwks()

    return keys
