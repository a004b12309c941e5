"""What staff do with warehouses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from eventstore import Effect, EffectRefused, Streams
from subgraphs.inventory.domain import Warehouse
from subgraphs.inventory.errors import CodeTaken, InvalidWarehouse
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.graphql import RequestContext

Context = RequestContext[Any]

CODE_CHARACTERS_MAX = 40
NAME_CHARACTERS_MAX = 200
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")

MOVES_STOCK = (Role.STAFF, Role.ADMIN)
"""Roles that may change stock."""

TABLES = """
CREATE TABLE IF NOT EXISTS public.inventory_warehouse_codes (
    code text PRIMARY KEY,
    warehouse_id text NOT NULL
);
"""


class WarehouseHandlers:
    """The commands, and whether a warehouse exists."""

    def __init__(
        self, streams: Streams, commands: Commands, *, new_id: Callable[[str], str]
    ) -> None:
        self._streams, self._commands, self._new_id = streams, commands, new_id
        self._known: set[str] = set()

    async def create(
        self, context: Context, *, code: str, name: str, country: str, key: str
    ) -> Done[Warehouse]:
        """Raises InvalidWarehouse, CodeTaken, KeyReused."""
        context.caller.require_role("create warehouses", *MOVES_STOCK)
        if not _CODE.match(code) or len(code) > CODE_CHARACTERS_MAX:
            raise InvalidWarehouse(
                f"code {code[:60]!r}: expected 1 to {CODE_CHARACTERS_MAX} letters, digits, . _ -",
                path=["input", "code"],
            )
        if not 0 < len(name.strip()) <= NAME_CHARACTERS_MAX:
            raise InvalidWarehouse(
                f"a name has 1 to {NAME_CHARACTERS_MAX} characters", path=["input", "name"]
            )
        warehouse_id = self._new_id("whs")
        taken = Effect(
            "INSERT INTO public.inventory_warehouse_codes (code, warehouse_id) VALUES (%s, %s)",
            (code, warehouse_id),
        )
        try:
            return await self._commands.run(
                context,
                Warehouse,
                warehouse_id,
                lambda warehouse: warehouse.create(code, name.strip(), country),
                operation="createWarehouse",
                idempotency_key=key,
                body={"code": code, "name": name, "country": country},
                effects=lambda _, events: [taken] if events else [],
            )
        except EffectRefused as error:
            raise CodeTaken(code) from error

    async def get(self, warehouse_id: str) -> Warehouse | None:
        """A warehouse as the log has it, for those that no read model shows yet."""
        warehouse, _ = await self._streams.load(Warehouse, warehouse_id)
        return warehouse if warehouse.exists else None

    async def exists(self, warehouse_id: str) -> bool:
        """Whether there is such a warehouse. Those seen once are remembered: they stay."""
        if warehouse_id in self._known:
            return True
        found = bool(warehouse_id) and await self.get(warehouse_id) is not None
        if found:
            self._known.add(warehouse_id)
        return found
