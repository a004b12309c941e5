"""The whole shop for a test: every service on a database of its own, the router over HTTP."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lonja.demo.client import Client
from lonja.running import running_shop
from lonja.settings import SERVICES, Settings, UserSettings
from lonja.wiring import AnyService

STAFF_EMAIL = "staff@lonja.example"
PASSWORD = "correct horse battery staple"

SIGN_IN = """mutation($email: String!, $password: String!) {
  signIn(email: $email, password: $password) {
    accessToken refreshToken user { id } userErrors { code message } } }"""
REGISTER = """mutation($input: RegisterUserInput!) {
  registerUser(input: $input) { user { id } userErrors { code message } } }"""


@dataclass
class Customer:
    """Somebody who has signed in."""

    user_id: str
    token: str


@dataclass
class WholeShop:
    """The running shop, and the ways in which a test talks to it over HTTP."""

    url: str
    client: Client
    services: Mapping[str, AnyService] = field(default_factory=dict)
    """Where they run in this process."""
    staff: str = ""
    """The token of the first administrator, who has all roles."""
    customers: dict[str, Customer] = field(default_factory=dict)

    async def ask(
        self,
        document: str,
        token: str | None = None,
        read_position: str | None = None,
        **variables: Any,
    ) -> Any:
        """The data; a single root field is unpacked. Raises RequestFailed for errors."""
        data = await self.client.ask(document, variables, token=token, read_position=read_position)
        return next(iter(data.values())) if len(data) == 1 else data

    async def sign_in(self, email: str, password: str = PASSWORD) -> Customer:
        """A token for somebody who has registered."""
        session = await self.ask(SIGN_IN, email=email, password=password)
        assert not session["userErrors"], session
        return Customer(session["user"]["id"], session["accessToken"])

    async def customer(self, name: str) -> Customer:
        """A registered and signed-in customer, the same one for the same name."""
        if name not in self.customers:
            email = f"{name}@lonja.example"
            given = {
                "email": email,
                "password": PASSWORD,
                "displayName": name,
                "idempotencyKey": f"register-{name}",
            }
            made = await self.ask(REGISTER, input=given)
            assert not made["userErrors"], made
            self.customers[name] = await self.sign_in(email)
        return self.customers[name]


def shop_settings(tmp_path: Path, databases: Callable[[], str], **changes: Any) -> Settings:
    """Settings for a shop on fresh databases, with cheap password hashes and an administrator."""
    users = UserSettings(
        bootstrap_admin_email=STAFF_EMAIL,
        bootstrap_admin_password=SecretStr(PASSWORD),
        sign_in_failures_per_minute_max=0,
        argon2_time_cost=1,
        argon2_memory_kib=64,
        argon2_parallelism=1,
    )
    return Settings(
        data_dir=tmp_path,
        database_urls={service: databases() for service in SERVICES},
        internal_secret=SecretStr(secrets.token_hex(32)),
        **{"users": users, **changes},
    )


@asynccontextmanager
async def whole_shop(settings: Settings) -> AsyncIterator[WholeShop]:
    """Everything started, the administrator signed in; all of it stopped at the end."""
    async with running_shop(settings, settings.database_urls, port=free_port()) as shop:
        client = Client(shop.url, connections_max=256)
        try:
            whole = WholeShop(shop.url, client, shop.services)
            whole.staff = (await whole.sign_in(STAFF_EMAIL)).token
            yield whole
        finally:
            await client.close()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
