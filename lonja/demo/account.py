"""The shop's account of a replay, asked through GraphQL, and held against what the files say."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from lonja.demo import mapping, operations
from lonja.demo.client import Client
from lonja.demo.memory import PeakMemory
from lonja.demo.oracle import Truth, truth
from lonja.demo.replay import BasketOutcome, cents
from lonja.demo.trace import trace_of
from lonja.errors import LonjaError
from lonja.running import RunningShop
from lonja.trace import Step
from projections.rebuild import give_up, rebuild
from projections.store_log import StoreLog
from projections.verify import verify

SETTLE_SECONDS_MAX = 60.0
"""How long the shop may show no progress before it is asked as it stands."""
SETTLE_POLL_SECONDS = 0.1
FINAL = frozenset({"COMPLETED", "REJECTED", "CANCELLED"})


class AskedTooMuch(LonjaError):
    """A list of the shop never came to its end."""

    code = "ASKED_TOO_MUCH"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the account: what the shop says, and what it should say."""

    what: str
    shop: Any
    expected: Any

    @property
    def agrees(self) -> bool:
        return bool(self.shop == self.expected)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the replay was. Times in seconds."""

    seconds: float
    orders: int
    events: int
    requests: int
    request_p50: float
    request_p99: float
    peak_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """Everything the report shows."""

    baskets: int
    offset: int
    checks: tuple[Check, ...]
    orders_by_status: dict[str, int]
    rejections: dict[str, int]
    refused_lines: dict[str, int]
    captured_cents: int
    trace: Step | None
    order_page: dict[str, Any] | None
    speed: Speed

    @property
    def reconciles(self) -> bool:
        """Whether every line agrees."""
        return all(check.agrees for check in self.checks)


async def take_account(
    shop: RunningShop,
    client: Client,
    token: str,
    outcomes: Sequence[BasketOutcome],
    *,
    baskets: int,
    offset: int,
    started: float,
    memory: PeakMemory,
) -> Account:
    """Wait until no order is under way, then ask and compare. Raises RequestFailed."""
    await _settle(shop, client, token)
    seconds = time.perf_counter() - started
    seen = await _positions(shop)
    orders = {node["id"]: node async for node in _nodes(client, token, "orders", seen)}
    stock = [node async for node in _nodes(client, token, "stockItems", seen)]
    answer = await client.ask(operations.ORDER_TOTALS, token=token, read_position=seen)
    totals = answer["orderTotals"]
    by_basket = {outcome.basket_id: orders.get(outcome.order_id or "") for outcome in outcomes}
    confirmed = [
        basket for basket, order in by_basket.items() if order and order["status"] == "COMPLETED"
    ]
    facts = await asyncio.to_thread(truth, baskets=baskets, offset=offset, confirmed=confirmed)
    rejections = Counter(_why(outcome, by_basket[outcome.basket_id]) for outcome in outcomes)
    del rejections[""]
    refused_lines = {line["reason"]: line["count"] for line in totals["refusedLines"]}
    checks = (
        *_basket_checks(outcomes, by_basket, confirmed, rejections, facts),
        Check("refused lines by reason", refused_lines, facts.refused_lines),
        *_stock_checks(stock, facts),
        *_money_checks(list(orders.values()), confirmed, facts),
        *_order_checks(list(orders.values()), confirmed),
        await _rebuild_check(shop),
    )
    example = next((by_basket[basket] for basket in confirmed), None)
    return Account(
        baskets=baskets,
        offset=offset,
        checks=checks,
        orders_by_status=dict(Counter(order["status"] for order in orders.values())),
        rejections=dict(rejections.most_common()),
        refused_lines=refused_lines,
        captured_cents=sum(_captured(order) for order in orders.values()),
        trace=await trace_of(client, token, example["id"]) if example else None,
        order_page=(
            (await client.ask(operations.ORDER_PAGE, {"id": example["id"]}, token=token))["order"]
            if example
            else None
        ),
        speed=await _speed(shop, client, seconds, len(orders), memory),
    )


def _basket_checks(
    outcomes: Sequence[BasketOutcome],
    by_basket: dict[int, Any],
    confirmed: list[int],
    rejections: Counter[str],
    facts: Truth,
) -> list[Check]:
    paid = facts.paid_cents_by_basket
    wrong = [
        outcome.basket_id
        for outcome in outcomes
        if outcome.placed_cents is not None
        and not paid.get(outcome.basket_id) == outcome.placed_cents == _total(by_basket, outcome)
    ]
    return [
        Check("baskets = confirmed + rejected", len(confirmed) + rejections.total(), facts.baskets),
        Check(
            "baskets of which no line can be sold", rejections["CART_EMPTY"], facts.hopeless_baskets
        ),
        Check("orders whose total is not what was paid", len(wrong), 0),
    ]


def _stock_checks(stock: list[dict[str, Any]], facts: Truth) -> list[Check]:
    sold = {
        int(item["sku"].removeprefix(mapping.sku(0)[:-1])): item["totals"]["sold"]
        for item in stock
        if item["totals"]["sold"]
    }
    unbalanced = [
        item["sku"]
        for item in stock
        if item["totals"]["received"] - item["totals"]["sold"] - item["onHand"]
    ]
    received = sum(item["totals"]["received"] for item in stock)
    return [
        Check("SKUs where received - sold - on hand is not 0", len(unbalanced), 0),
        Check(
            "units received", received, facts.demanded_units * mapping.SUPPLY_SHARE_PERCENT // 100
        ),
        Check("SKUs of which other units were sold", _differing(sold, facts.sold_units), 0),
        Check("units sold", sum(sold.values()), sum(facts.sold_units.values())),
        Check(
            "units still held for an order", sum(i["reserved"] + i["allocated"] for i in stock), 0
        ),
    ]


def _money_checks(orders: list[dict[str, Any]], confirmed: list[int], facts: Truth) -> list[Check]:
    captured = sum(_captured(order) for order in orders)
    shipped = sum(
        cents(order["total"]["amount"])
        for order in orders
        if any(shipment["state"] in _LEFT for shipment in order["shipments"])
    )
    kept_of_rejected = sum(_captured(order) for order in orders if order["status"] != "COMPLETED")
    still_authorised = [
        order["id"]
        for order in orders
        if order["status"] != "COMPLETED"
        and any(payment["state"] not in _NO_CLAIM for payment in order["payments"])
    ]
    return [
        Check("captured = totals of what was shipped, cents", captured, shipped),
        Check(
            "captured = paid in the confirmed baskets, cents",
            captured,
            sum(facts.paid_cents_by_basket[basket] for basket in confirmed),
        ),
        Check("captured of orders not confirmed, cents", kept_of_rejected, 0),
        Check("orders not confirmed with a claim on money", len(still_authorised), 0),
    ]


def _order_checks(orders: list[dict[str, Any]], confirmed: list[int]) -> list[Check]:
    unfinished = [order["id"] for order in orders if order["status"] not in FINAL]
    confirmations = Counter(
        sum(
            notification["template"] == "order_confirmation" and notification["state"] == "SENT"
            for notification in order["notifications"]
        )
        for order in orders
        if order["status"] == "COMPLETED"
    )
    return [
        Check("orders in a state that is not final", len(unfinished), 0),
        Check("confirmed orders with one confirmation", confirmations[1], len(confirmed)),
    ]


async def _rebuild_check(shop: RunningShop) -> Check:
    """Rebuild every read model from its log beside the live one, and compare them row by row."""
    rows = models = differences = 0
    for service in shop.services.values():
        source, conninfo = StoreLog(service.store), service.context.conninfo
        for projection in service.projections:
            built = await rebuild(source, conninfo, projection)
            found = await verify(source, conninfo, service.runner.declared, projection.name)
            await give_up(conninfo, built.build)
            models, differences = models + 1, differences + found.differences
            rows += sum(table.live_rows for table in found.tables)
    what = f"rows that differ when rebuilt from the logs (of {rows} in {models} read models)"
    return Check(what, differences, 0)


async def _positions(shop: RunningShop) -> str:
    """Where every log ends now, as a client asks to see it."""
    return ",".join(
        [s.store.receipt(await s.store.head()) for s in shop.services.values()],
    )


async def _settle(shop: RunningShop, client: Client, token: str) -> None:
    """Return when every order is in a final state, or nothing has moved for long."""
    before, deadline = None, time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        seen = await _positions(shop)
        data = await client.ask(operations.ORDER_TOTALS, token=token, read_position=seen)
        now = {row["status"]: row["count"] for row in data["orderTotals"]["byStatus"]}
        if not any(count for status, count in now.items() if status not in FINAL):
            break
        if now != before:
            before, deadline = now, time.monotonic() + SETTLE_SECONDS_MAX
        await asyncio.sleep(SETTLE_POLL_SECONDS)
    await _mail_sent(shop, client, token, deadline)


async def _mail_sent(shop: RunningShop, client: Client, token: str, deadline: float) -> None:
    """Confirmations are sent a little after their orders are confirmed."""
    while time.monotonic() < deadline:
        pending = 0
        async for order in _nodes(client, token, "orders", await _positions(shop)):
            pending += any(note["state"] == "QUEUED" for note in order["notifications"])
            missing = order["status"] == "COMPLETED" and not order["notifications"]
            pending += missing
        if not pending:
            return
        await asyncio.sleep(SETTLE_POLL_SECONDS)


async def _speed(
    shop: RunningShop, client: Client, seconds: float, orders: int, memory: PeakMemory
) -> Speed:
    heads = await asyncio.gather(*(service.store.head() for service in shop.services.values()))
    percentiles = statistics.quantiles(client.seconds, n=100)
    return Speed(
        seconds=seconds,
        orders=orders,
        events=sum(heads),
        requests=len(client.seconds),
        request_p50=percentiles[49],
        request_p99=percentiles[98],
        peak_memory_bytes=memory.peak_bytes,
    )


PAGES = {"orders": operations.ORDERS_PAGE, "stockItems": operations.STOCK_PAGE}
PAGES_MAX = 100_000


async def _nodes(
    client: Client, token: str, field: str, seen: str
) -> AsyncIterator[dict[str, Any]]:
    """Every node of a list, page by page, with all that happened up to the positions `seen`."""
    after = None
    for _ in range(PAGES_MAX):
        data = await client.ask(PAGES[field], {"after": after}, token=token, read_position=seen)
        page = data[field]
        for edge in page["edges"]:
            yield edge["node"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
    raise AskedTooMuch(f"`{field}` has more than {PAGES_MAX} pages")


_LEFT = frozenset({"SHIPPED", "IN_TRANSIT", "DELIVERED"})
_NO_CLAIM = frozenset({"DECLINED", "VOIDED"})


def _captured(order: dict[str, Any]) -> int:
    return sum(cents(payment["captured"]["amount"]) for payment in order["payments"])


def _total(by_basket: dict[int, Any], outcome: BasketOutcome) -> int | None:
    order = by_basket[outcome.basket_id]
    return cents(order["total"]["amount"]) if order else None


def _why(outcome: BasketOutcome, order: dict[str, Any] | None) -> str:
    """Why a basket was not confirmed; empty if it was."""
    if order is None:
        return outcome.refused or "NOT_FOUND"
    if order["status"] == "COMPLETED":
        return ""
    return str((order["rejection"] or {}).get("reason") or order["status"])


def _differing(left: dict[int, int], right: dict[int, int]) -> int:
    return sum(left.get(key, 0) != right.get(key, 0) for key in left.keys() | right.keys())
