"""A payment provider that runs here, keeps its own books, and fails on demand.

It is another company that happens to live in this database: nothing else reads its tables, its
transactions are its own, and a restart of the service does not make it forget what it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, assert_never

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from subgraphs.payments.answers import Approved, Challenge, Refused, Result
from subgraphs.payments.errors import OutcomeUnknown, ProviderKeyReused
from subgraphs.payments.provider.account import Account, Fate
from subgraphs.payments.provider.port import Authorization, StatementLine

CONNECTIONS_MAX = 4
WAIT_SECONDS_MAX = 10.0
"""How long a request waits for the books before it goes without an answer."""

TABLES = """
CREATE SCHEMA IF NOT EXISTS fake_provider;
CREATE TABLE IF NOT EXISTS fake_provider.accounts (
    key text PRIMARY KEY,
    order_id text NOT NULL,
    currency text NOT NULL,
    reference text NOT NULL,
    wanted bigint NOT NULL,
    open boolean NOT NULL,
    authorized bigint NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL,
    voided bigint NOT NULL,
    CHECK (captured + voided <= authorized AND refunded <= captured)
);
CREATE INDEX IF NOT EXISTS accounts_of_order ON fake_provider.accounts (order_id);
CREATE TABLE IF NOT EXISTS fake_provider.requests (
    key text PRIMARY KEY,
    body text NOT NULL,
    answer bytea
);
"""


@dataclass(slots=True)
class Faults:
    """What goes wrong. It may be changed while the provider runs.

    `lose_answers` is the share of requests whose first answer is lost after the work was done;
    `delay_seconds` passes before each request is worked on; nothing arrives while `down`.
    """

    lose_answers: float = 0.0
    delay_seconds: float = 0.0
    down: bool = False


class _Answer(msgspec.Struct, tag_field="kind"):
    """The stored form of a result."""


class _Approved(_Answer, tag="approved"):
    reference: str
    amount_minor: int


class _Refused(_Answer, tag="refused"):
    code: str


class _Challenge(_Answer, tag="challenge"):
    reference: str
    challenge: str
    redirect_url: str | None
    client_token: str | None


Step = Callable[[Account], tuple[Account, Result]]


class FakeProvider:
    """The port, over two tables of its own."""

    name = "fake"

    def __init__(self, conninfo: str, *, fate: Fate | None = None, faults: Faults | None = None):
        self.fate, self.faults = fate or Fate(), faults or Faults()
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            conninfo,
            open=False,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=WAIT_SECONDS_MAX,
            kwargs={"row_factory": dict_row},
        )

    async def start(self) -> None:
        """Open the books."""
        await self._pool.open(wait=True)
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('fake_provider'))")
            await connection.execute(TABLES)

    async def stop(self) -> None:
        """Close them."""
        await self._pool.close()

    async def authorize(self, request: Authorization) -> Result:
        """Hold the amount, as the fate of the order has it."""
        reference = "auth_" + sha256(request.key.encode()).hexdigest()[:20]
        fate = self.fate.authorize(request.order_id, request.method_token, reference)
        body = f"authorize {request.order_id} {request.amount_minor} {request.currency}"
        lost = request.method_token == "tok_unknown"
        return await self._serve(
            request.key, body, request.key, lambda a: a.authorize(fate), opening=request, lost=lost
        )

    async def confirm(self, key: str, authorization: str, answer: str) -> Result:
        """Approve a challenged authorisation if the customer answers `approve`."""
        body = f"confirm {authorization} {answer}"
        return await self._serve(key, body, authorization, lambda a: a.confirm(answer))

    async def capture(self, key: str, authorization: str, amount_minor: int) -> Result:
        """Take part of what is held."""
        body = f"capture {authorization} {amount_minor}"
        return await self._serve(key, body, authorization, lambda a: a.capture(amount_minor))

    async def void(self, key: str, authorization: str) -> Result:
        """Give up what is held."""
        return await self._serve(key, f"void {authorization}", authorization, lambda a: a.void())

    async def refund(self, key: str, authorization: str, amount_minor: int) -> Result:
        """Give back part of what was taken."""
        body = f"refund {authorization} {amount_minor}"
        return await self._serve(key, body, authorization, lambda a: a.refund(amount_minor))

    async def look_up(self, key: str) -> Result | None:
        """The stored answer; None if the request never arrived."""
        await self._arrive(key)
        async with self._books(key) as connection:
            cursor = await connection.execute(
                "SELECT answer FROM fake_provider.requests WHERE key = %s", (key,)
            )
            row = await cursor.fetchone()
        return None if row is None else _decoded(row["answer"])

    async def statement(
        self, *, order_ids: Sequence[str] | None, after: str, limit: int
    ) -> Sequence[StatementLine]:
        """The books, by key."""
        await self._arrive("statement")
        async with self._books("statement") as connection:
            cursor = await connection.execute(
                "SELECT key, order_id, currency, authorized, captured, refunded, voided"
                " FROM fake_provider.accounts"
                " WHERE key > %s AND (%s::text[] IS NULL OR order_id = ANY(%s))"
                " ORDER BY key LIMIT %s",
                (after, order_ids, order_ids, limit),
            )
            rows = await cursor.fetchall()
        return [StatementLine(*row.values()) for row in rows]

    async def _serve(
        self,
        key: str,
        body: str,
        authorization: str,
        step: Step,
        *,
        opening: Authorization | None = None,
        lost: bool = False,
    ) -> Result:
        """Do the work of a key once, in one transaction; then answer, unless the answer is lost.

        Of `body`, by which a repeat is known, only a digest is kept: customers write into it.
        """
        body = sha256(body.encode()).hexdigest()
        await self._arrive(key)
        async with self._books(key) as connection:
            first = await connection.execute(
                "INSERT INTO fake_provider.requests (key, body) VALUES (%s, %s)"
                " ON CONFLICT (key) DO NOTHING",
                (key, body),
            )
            if not first.rowcount:
                return await self._repeat(connection, key, body)
            account = await self._account(connection, authorization, opening)
            if account is None:
                result: Result = Refused("unknown_authorization")
            else:
                after, result = step(account)
                await self._keep(connection, authorization, after)
            await connection.execute(
                "UPDATE fake_provider.requests SET answer = %s WHERE key = %s",
                (_encoded(result), key),
            )
        if lost or self.fate.share("lose", key) < self.faults.lose_answers:
            raise OutcomeUnknown(key, "the answer was lost after the work was done")
        return result

    @asynccontextmanager
    async def _books(self, key: str) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A transaction on the books. Raises OutcomeUnknown when they go away, at any point."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise OutcomeUnknown(key, f"the provider's books are away: {error}") from error

    async def _arrive(self, key: str) -> None:
        if self.faults.delay_seconds:
            await asyncio.sleep(self.faults.delay_seconds)
        if self.faults.down:
            raise OutcomeUnknown(key, "the provider cannot be reached")

    async def _repeat(self, connection: AsyncConnection[DictRow], key: str, body: str) -> Result:
        cursor = await connection.execute(
            "SELECT body, answer FROM fake_provider.requests WHERE key = %s", (key,)
        )
        row = await cursor.fetchone()
        if row is None or row["body"] != body:
            raise ProviderKeyReused(key)
        return _decoded(row["answer"])

    async def _account(
        self, connection: AsyncConnection[DictRow], key: str, opening: Authorization | None
    ) -> Account | None:
        if opening is not None:
            account = Account("auth_" + sha256(key.encode()).hexdigest()[:20], opening.amount_minor)
            await connection.execute(
                "INSERT INTO fake_provider.accounts VALUES (%s, %s, %s, %s, %s, FALSE, 0, 0, 0, 0)",
                (
                    key,
                    opening.order_id,
                    opening.currency,
                    account.reference,
                    account.wanted_minor,
                ),
            )
            return account
        cursor = await connection.execute(
            "SELECT reference, wanted, open, authorized, captured, refunded, voided"
            " FROM fake_provider.accounts WHERE key = %s FOR UPDATE",
            (key,),
        )
        row = await cursor.fetchone()
        return None if row is None else Account(*row.values())

    async def _keep(self, connection: AsyncConnection[DictRow], key: str, account: Account) -> None:
        await connection.execute(
            "UPDATE fake_provider.accounts SET open = %s, authorized = %s, captured = %s,"
            " refunded = %s, voided = %s WHERE key = %s",
            (
                account.open,
                account.authorized_minor,
                account.captured_minor,
                account.refunded_minor,
                account.voided_minor,
                key,
            ),
        )


_decoder = msgspec.json.Decoder(_Approved | _Refused | _Challenge)


def _encoded(result: Result) -> bytes:
    stored: Any
    match result:
        case Approved(reference=reference, amount_minor=amount):
            stored = _Approved(reference, amount)
        case Refused(code=code):
            stored = _Refused(code)
        case Challenge():
            stored = _Challenge(
                result.reference, result.kind, result.redirect_url, result.client_token
            )
    return msgspec.json.encode(stored)


def _decoded(answer: bytes) -> Result:
    stored = _decoder.decode(answer)
    match stored:
        case _Approved(reference=reference, amount_minor=amount):
            return Approved(reference, amount)
        case _Refused(code=code):
            return Refused(code)
        case _Challenge():
            return Challenge(
                stored.reference, stored.challenge, stored.redirect_url, stored.client_token
            )
        case _:
            assert_never(stored)
