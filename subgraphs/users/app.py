"""The users service, put together.

Settings, all optional:
    argon2_time_cost, argon2_memory_kib, argon2_parallelism     what a password hash costs
    access_token_seconds, session_seconds                       lifetimes
    signing_key_file                                            private JWK set; made if missing
    address_key                     what names the streams of e-mail addresses: always the same one
    sign_in_failures_max, sign_in_lock_seconds                  the lock of an e-mail address
    sign_in_failures_per_minute_max                             of one client address; 0: no bound
    bootstrap_admin_email, bootstrap_admin_password             the first administrator

Feed it listens to: orders.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels
from subgraphs.shared.commands import Commands
from subgraphs.shared.graphql import RequestContext
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.users import orders_under_way
from subgraphs.users.domain import User
from subgraphs.users.email_streams import EmailStreams
from subgraphs.users.events import EVENTS
from subgraphs.users.failure_limit import FailureLimit
from subgraphs.users.forgetting import ForgetUser
from subgraphs.users.handlers import TABLES, UserHandlers
from subgraphs.users.mutations import SCHEMA
from subgraphs.users.orders_under_way import OrdersUnderWay, OrdersUnderWayCopy
from subgraphs.users.passwords import Passwords
from subgraphs.users.read_models import Sessions, UserReads, Users
from subgraphs.users.schema import UsersResources
from subgraphs.users.session_handlers import SessionHandlers, TokenLifetimes
from subgraphs.users.sessions import Session
from subgraphs.users.sign_in import SignInPolicy
from subgraphs.users.tokens import SigningKeys

log = structlog.get_logger("subgraphs.users")


class UsersService(Service[UsersResources]):
    """The service; beside the common part it gives out the keys that verify its tokens."""

    keys: SigningKeys

    def jwks(self) -> dict[str, Any]:
        """The public keys: for a router in this process."""
        return self.keys.jwks()


def build(context: ServiceContext) -> UsersService:
    """Build the service; nothing is opened before it starts. Raises ValueError, OSError (keys)."""
    settings = context.settings
    store = context.event_store(EVENTS)
    streams, reads = Streams(store), ReadModels(context.conninfo)
    passwords = Passwords(
        time_cost=settings.get("argon2_time_cost", 3),
        memory_kib=settings.get("argon2_memory_kib", 65_536),
        parallelism=settings.get("argon2_parallelism", 4),
    )
    keys = _keys(settings.get("signing_key_file"))
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    emails = EmailStreams(settings.get("address_key") or _derived_key(context.internal_secret))
    under_way = OrdersUnderWay(reads)
    users = UserHandlers(commands, store, streams, emails, passwords, under_way, context.new_id)
    user_reads = UserReads(reads)
    sessions = SessionHandlers(
        commands,
        store,
        streams,
        users,
        user_reads,
        emails,
        passwords,
        keys,
        policy=SignInPolicy(
            failures_max=settings.get("sign_in_failures_max", 5),
            lock_seconds=settings.get("sign_in_lock_seconds", 900),
        ),
        lifetimes=TokenLifetimes(
            access_seconds=settings.get("access_token_seconds", 600),
            session_seconds=settings.get("session_seconds", 30 * 24 * 3600),
        ),
        limit=FailureLimit(settings.get("sign_in_failures_per_minute_max", 30)),
        new_id=context.new_id,
    )
    resources = UsersResources(users, sessions, user_reads)

    async def bootstrap() -> None:
        if "signing_key_file" not in settings:
            log.warning("no signing_key_file: tokens are good until the service stops")
        email = settings.get("bootstrap_admin_email")
        password = settings.get("bootstrap_admin_password")
        if not email or not password:
            return
        start = RequestContext(
            resources=resources,
            clock=context.clock,
            request_id=context.new_id("req"),
            correlation_id=context.new_id("cmd"),
            service_actor=context.name,
        )
        await users.bootstrap(start, email, password)

    async def shown(position: int, seconds: float) -> bool:
        return await service.runner.wait_for(position, timeout_seconds=seconds)

    async def jwks(_: Request) -> Response:
        return JSONResponse(keys.jwks(), headers={"cache-control": "public, max-age=300"})

    service = UsersService(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=resources,
        projections=[Users(), Sessions()],
        reactors=[
            OrdersUnderWayCopy(store, context.clock),
            ForgetUser(store, streams, user_reads, shown, context.clock),
        ],
        histories={"usr": History(User), "ses": History(Session)},
        routes=[Route("/.well-known/jwks.json", jwks)],
        tables=TABLES + orders_under_way.TABLES,
        on_start=bootstrap,
        on_stop=passwords.close,
    )
    service.keys = keys
    return service


def _keys(file: str | Path | None) -> SigningKeys:
    if file is not None:
        return SigningKeys.from_file(Path(file))
    return SigningKeys.generate()


def _derived_key(secret: bytes) -> bytes:
    """For a service that was given none: it lasts as long as the internal secret does."""
    return hmac.digest(secret, b"lonja e-mail addresses v1", "sha256")
