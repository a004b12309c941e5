"""What staff do with stock: receipts, adjustments, transfers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from eventstore import (
    Appended,
    EventStore,
    Idempotency,
    IdempotencyKeyReused,
    WrongExpectedVersion,
)
from subgraphs.inventory.copies import Copies, Variant
from subgraphs.inventory.domain import (
    AdjustReason,
    Decision,
    Place,
    StockItem,
    stock_item_of,
)
from subgraphs.inventory.errors import (
    RefusedBefore,
    SameWarehouse,
    TooMuchContention,
    UnknownStockItem,
    UnknownVariant,
    UnknownWarehouse,
)
from subgraphs.inventory.guard import Stock, StockGuard, effects
from subgraphs.inventory.turns import Turns
from subgraphs.inventory.warehouses import MOVES_STOCK, WarehouseHandlers
from subgraphs.shared.commands import Commands
from subgraphs.shared.errors import InvalidValue, KeyReused, Refusal, Refusals
from subgraphs.shared.graphql import Receipt, RequestContext
from subgraphs.shared.ids import check_id

Context = RequestContext[Any]

CONFLICTS_MAX = 25
LINES_MAX = 2_000
"""The most lines of one receipt."""


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """Goods that came: a variant by id or by sku, where to, how many."""

    warehouse_id: str
    quantity: int
    variant_id: str | None = None
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class StockDone:
    """A stock command that was carried out: the items as it left them, and what it refused."""

    items: tuple[StockItem, ...]
    receipt: Receipt
    versions: Mapping[str, int]
    refused: tuple[Refusal, ...] = ()


class _Refused(msgspec.Struct, frozen=True):
    code: str
    message: str
    path: list[str] | None


class _Outcome(msgspec.Struct, frozen=True):
    """What is kept with the idempotency key: enough to answer a repeat."""

    command_id: str
    items: list[str]
    refused: list[_Refused]


@dataclass(frozen=True, slots=True)
class _Decided:
    decision: Decision
    refused: Sequence[Refusal] = field(default=())


class StockHandlers:
    """The commands. Each takes the request's context, checks its caller, and gives a receipt."""

    def __init__(
        self,
        store: EventStore,
        commands: Commands,
        guard: StockGuard,
        copies: Copies,
        turns: Turns,
        *,
        warehouses: WarehouseHandlers,
        low_at: int,
        wait_for_products: Callable[[int], Awaitable[None]],
    ) -> None:
        self._store, self._commands = store, commands
        self._guard, self._copies, self._turns = guard, copies, turns
        self._warehouses, self._low_at = warehouses, low_at
        self._wait_for_products = wait_for_products

    async def receive(
        self, context: Context, lines: Sequence[ReceiptLine], *, key: str, single: bool = False
    ) -> StockDone:
        """Take goods in: the lines that are right in one append; the others are `refused`.

        With `single`, there is one line, and its refusal is raised. Raises KeyReused.
        """
        context.caller.require_role("receive stock", *MOVES_STOCK)
        if not 0 < len(lines) <= LINES_MAX:
            raise InvalidValue(
                f"{len(lines)} lines: give 1 to {LINES_MAX}", path=["input", "lines"]
            )
        operation = "receiveStock" if single else "receiveStockBatch"
        idempotency = self._commands.idempotency(context, key, operation, lines)
        if (seen := await self._seen(idempotency)) is not None:
            return seen
        places, refused = await self._places(context, lines, single=single)

        def decide(stock: Stock) -> _Decided:
            states: dict[str, StockItem] = {}
            decision: dict[str, list[Any]] = {}
            wrong = list(refused)
            for index, (line, place) in enumerate(zip(lines, places, strict=True)):
                if place is None:
                    continue
                item_id = stock_item_of(place.variant_id, place.warehouse_id)
                item = states.get(item_id) or stock.item(item_id)
                try:
                    events = item.receive(place, line.quantity)
                except Refusal as refusal:
                    refusal.path = _path(index, "quantity", single=single)
                    wrong.append(refusal)
                    continue
                for event in events:
                    item = item.evolve(event)
                states[item_id] = item
                decision.setdefault(item_id, []).extend(events)
            if wrong and (single or not decision):
                raise Refusals(wrong)
            return _Decided({stream: decision[stream] for stream in sorted(decision)}, wrong)

        ids = {stock_item_of(p.variant_id, p.warehouse_id) for p in places if p is not None}
        return await self._write(context, ids, decide, idempotency)

    async def adjust(
        self,
        context: Context,
        stock_item_id: str,
        delta: int,
        reason: AdjustReason,
        *,
        note: str | None,
        change_from_quantity: int | None,
        key: str,
    ) -> StockDone:
        """Correct a figure. Raises what StockItem.adjust raises, KeyReused."""
        context.caller.require_role("adjust stock", *MOVES_STOCK)
        check_id(stock_item_id, "stk", path=["input", "stockItemId"])
        body = [stock_item_id, delta, reason.value, note, change_from_quantity]
        idempotency = self._commands.idempotency(context, key, "adjustStock", body)
        if (seen := await self._seen(idempotency)) is not None:
            return seen

        def decide(stock: Stock) -> _Decided:
            events = stock.item(stock_item_id).adjust(
                delta,
                reason,
                note=note,
                change_from_quantity=change_from_quantity,
                low_at=self._low_at,
            )
            return _Decided({stock_item_id: events})

        told = note or reason.value
        return await self._write(context, {stock_item_id}, decide, idempotency, reason=told)

    async def transfer(
        self,
        context: Context,
        variant_id: str,
        from_warehouse_id: str,
        to_warehouse_id: str,
        quantity: int,
        *,
        key: str,
    ) -> StockDone:
        """Move goods between warehouses: both halves or none.

        Raises SameWarehouse, UnknownWarehouse, UnknownStockItem, NotEnoughStock, KeyReused.
        """
        context.caller.require_role("transfer stock", *MOVES_STOCK)
        body = [variant_id, from_warehouse_id, to_warehouse_id, quantity]
        idempotency = self._commands.idempotency(context, key, "transferStock", body)
        if (seen := await self._seen(idempotency)) is not None:
            return seen
        if from_warehouse_id == to_warehouse_id:
            raise SameWarehouse(from_warehouse_id)
        if not await self._warehouses.exists(to_warehouse_id):
            raise UnknownWarehouse(to_warehouse_id, path=["input", "toWarehouseId"])
        origin = stock_item_of(variant_id, from_warehouse_id)
        target = stock_item_of(variant_id, to_warehouse_id)

        def decide(stock: Stock) -> _Decided:
            leaving = stock.item(origin)
            if leaving.place is None:
                raise UnknownStockItem(origin)
            place = Place(variant_id, leaving.place.sku, to_warehouse_id)
            decision: dict[str, Sequence[Any]] = {
                origin: leaving.send(quantity, target, low_at=self._low_at),
                target: stock.item(target).arrive(place, quantity, origin),
            }
            return _Decided({stream: decision[stream] for stream in sorted(decision)})

        done = await self._write(context, {origin, target}, decide, idempotency)
        first = [item for item in done.items if item.id == origin]
        rest = [item for item in done.items if item.id != origin]
        return StockDone((*first, *rest), done.receipt, done.versions)

    async def _write(
        self,
        context: Context,
        ids: set[str],
        decide: Callable[[Stock], _Decided],
        idempotency: Idempotency | None,
        *,
        reason: str | None = None,
    ) -> StockDone:
        """Read the guard, decide, append; again if somebody was faster."""
        metadata = context.metadata(reason=reason)
        async with self._turns.take(ids):
            for _ in range(CONFLICTS_MAX):
                stock = await self._guard.of_items(ids)
                decided = decide(stock)
                after = stock.after(decided.decision)
                outcome = _Outcome(
                    metadata.command_id,
                    list(decided.decision),
                    [_Refused(r.code, r.message, r.path) for r in decided.refused],
                )
                try:
                    appended = await self._store.append(
                        stock.appends(decided.decision),
                        metadata=metadata,
                        idempotency=idempotency,
                        outcome=msgspec.json.encode(outcome),
                        effects=effects(decided.decision),
                    )
                except WrongExpectedVersion:
                    continue
                except IdempotencyKeyReused as error:
                    raise KeyReused from error
                if appended.replayed:
                    return await self._repeated(appended)
                main = next(iter(decided.decision))
                receipt = self._commands.receipt(appended, main, metadata.command_id)
                items = tuple(after.values())
                return StockDone(items, receipt, appended.versions, tuple(decided.refused))
        raise TooMuchContention("this change of stock", CONFLICTS_MAX)

    async def _seen(self, idempotency: Idempotency | None) -> StockDone | None:
        if idempotency is None:
            return None
        try:
            appended = await self._store.replayed(idempotency)
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        return None if appended is None else await self._repeated(appended)

    async def _repeated(self, appended: Appended) -> StockDone:
        """The answer to a repeat: the first receipt and refusals, the items as they are now."""
        outcome = msgspec.json.decode(appended.outcome, type=_Outcome)
        stock = await self._guard.of_items(outcome.items)
        receipt = self._commands.receipt(
            appended, outcome.items[0] if outcome.items else "", outcome.command_id
        )
        refused = tuple(RefusedBefore(r.code, r.message, r.path) for r in outcome.refused)
        items = tuple(stock.item(item_id) for item_id in outcome.items)
        return StockDone(items, receipt, stock.versions, refused)

    async def _places(
        self, context: Context, lines: Sequence[ReceiptLine], *, single: bool
    ) -> tuple[list[Place | None], list[Refusal]]:
        """Where each line goes; None where that cannot be known, with the reasons."""
        by_id, by_sku = await self._known_variants(context, lines)
        refused: list[Refusal] = []
        places: list[Place | None] = []
        for index, line in enumerate(lines):
            variant: Variant | None = None
            if (line.variant_id is None) == (line.sku is None):
                message = "name the goods by variantId or by sku, one of them"
                refused.append(InvalidValue(message, path=_path(index, "sku", single=single)))
            elif not await self._warehouses.exists(line.warehouse_id):
                path = _path(index, "warehouseId", single=single)
                refused.append(UnknownWarehouse(line.warehouse_id, path=path))
            else:
                variant = by_id.get(line.variant_id or "") or by_sku.get(line.sku or "")
                if variant is None:
                    named = "variantId" if line.sku is None else "sku"
                    path = _path(index, named, single=single)
                    refused.append(UnknownVariant(line.variant_id or line.sku or "", path=path))
            place = Place(variant.id, variant.sku, line.warehouse_id) if variant else None
            places.append(place)
        return places, refused

    async def _known_variants(
        self, context: Context, lines: Sequence[ReceiptLine]
    ) -> tuple[Mapping[str, Variant], Mapping[str, Variant]]:
        """The copies; if some are missing, wait for what the caller has seen of products."""
        ids = {line.variant_id for line in lines if line.variant_id}
        skus = {line.sku for line in lines if line.sku}
        by_id, by_sku = await self._copies.variants(ids=sorted(ids), skus=sorted(skus))
        position = context.read_positions.get("products")
        if position is not None and (ids - set(by_id) or skus - set(by_sku)):
            await self._wait_for_products(position)
            by_id, by_sku = await self._copies.variants(ids=sorted(ids), skus=sorted(skus))
        return by_id, by_sku


def _path(index: int, name: str, *, single: bool) -> list[str]:
    return ["input", name] if single else ["input", "lines", str(index), name]
