"""Send baskets to the shop in time order, as its customers and its staff would.

Baskets run side by side, but one waits for every earlier one of the same household, and for every
earlier one that shares a product, until that one is placed: the catalogue has one price at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lonja.demo import mapping, operations
from lonja.demo.client import Client, RequestFailed
from lonja.demo.dataset import Basket, CatalogueEntry

BASKETS_AT_ONCE_MAX = 24
PRODUCTS_A_REQUEST = 250
RECEIPTS_A_REQUEST = 250
TOKEN_SPARE_SECONDS = 120.0
"""A token is renewed when it has less than this left."""


@dataclass(slots=True)
class BasketOutcome:
    """What became of a basket as far as the client saw it.

    `refusals` are codes of refused lines; `order_id` is None where no order was placed, and
    `refused` says why. Amounts in cents.
    """

    basket_id: int
    expected_cents: int = 0
    placed_cents: int | None = None
    order_id: str | None = None
    refused: str | None = None
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user."""

    token: str
    good_until: float


class Replay:
    """One run over `baskets`. `progress` is called after each basket."""

    def __init__(
        self,
        client: Client,
        baskets: Sequence[Basket],
        catalogue: Iterable[CatalogueEntry],
        *,
        staff: tuple[str, str],
        token_seconds: float,
        progress: Callable[[], None],
    ) -> None:
        self._client, self._baskets = client, baskets
        self._listed = {entry.product_id: entry for entry in catalogue}
        self._staff, self._token_seconds, self._progress = staff, token_seconds, progress
        self._sessions: dict[str, Session] = {}
        self._registered: set[int] = set()
        self._prices: dict[int, int] = {}
        self._catalogue_position = ""
        self._busy = asyncio.Semaphore(BASKETS_AT_ONCE_MAX)

    async def run(self) -> list[BasketOutcome]:
        """Replay all; in the order of the baskets. Raises RequestFailed, SubgraphError."""
        warehouse = await self._open_warehouse()
        await self._create_products()
        supply = mapping.supply(self._baskets, self._listed)
        running: list[asyncio.Task[BasketOutcome]] = []
        before: dict[object, asyncio.Task[BasketOutcome]] = {}
        week = None
        async with asyncio.TaskGroup() as group:
            for basket in self._baskets:
                if basket.week != week:
                    week = basket.week
                    await asyncio.gather(*running)  # stock comes between weeks, not amid one
                    await self._receive(warehouse, week, supply.get(week, {}))
                await self._busy.acquire()
                needs: list[object] = [f"household {basket.household_id}"]
                needs += [line.product_id for line in basket.lines]
                awaited = {before[need] for need in needs if need in before}
                changes = self._price_changes(basket)
                task = group.create_task(self._basket(basket, changes, awaited))
                before.update((need, task) for need in needs)
                running.append(task)
        return [task.result() for task in running]

    async def _basket(
        self,
        basket: Basket,
        changes: Mapping[int, int],
        awaited: set[asyncio.Task[BasketOutcome]],
    ) -> BasketOutcome:
        try:
            if awaited:
                await asyncio.wait(awaited)
            outcome = BasketOutcome(basket.id)
            await self._buy(basket, changes, outcome)
            return outcome
        finally:
            self._busy.release()
            self._progress()

    async def _buy(
        self, basket: Basket, changes: Mapping[int, int], outcome: BasketOutcome
    ) -> None:
        customer = await self._customer(basket.household_id)
        if changes:
            await self._change_prices(basket, changes)
        key = f"basket-{basket.id}"
        created = await self._mutate(
            operations.CREATE_CART,
            {"currency": mapping.CURRENCY, "key": f"{key}-cart"},
            token=customer,
        )
        cart_id = created["cart"]["id"]
        filled = await self._client.ask(
            operations.FILL_CART,
            {"cart": cart_id, "lines": [_cart_line(line) for line in basket.lines]},
            token=await self.staff_token(),
            read_position=self._catalogue_position,
        )
        payload = filled["setCartLines"]
        refused = set()
        for error in payload["userErrors"]:
            outcome.refusals.append(error["code"])
            refused.add(int(error["path"][1]))
        outcome.expected_cents = sum(
            line.paid_cents for index, line in enumerate(basket.lines) if index not in refused
        )
        if not payload["cart"]["lines"]:
            outcome.refused = "CART_EMPTY"
            return
        placed = await self._client.ask(
            operations.PLACE_ORDER,
            {
                "input": {
                    "cartId": cart_id,
                    "cartVersion": payload["cart"]["version"],
                    "expectedTotal": _money(outcome.expected_cents),
                    "paymentMethodToken": "tok_household",
                    "shippingOptionId": "pickup",
                    "idempotencyKey": f"{key}-order",
                }
            },
            token=customer,
        )
        result = placed["placeOrder"]
        if result["userErrors"]:
            outcome.refused = result["userErrors"][0]["code"]
            return
        outcome.order_id = result["order"]["id"]
        outcome.placed_cents = cents(result["order"]["total"]["amount"])

    def _price_changes(self, basket: Basket) -> dict[int, int]:
        """Product to new price in cents, for what the basket pays another price than the last."""
        changes = {}
        for line in basket.lines:
            found = mapping.price(line)
            if found is None or line.product_id not in self._listed:
                continue
            if self._prices[line.product_id] != found.unit_cents:
                self._prices[line.product_id] = changes[line.product_id] = found.unit_cents
        return changes

    async def _change_prices(self, basket: Basket, changes: Mapping[int, int]) -> None:
        payload = await self._mutate(
            operations.CHANGE_PRICES,
            {
                "changes": [
                    {"sku": mapping.sku(product_id), "price": _money(price)}
                    for product_id, price in changes.items()
                ],
                "key": f"basket-{basket.id}-prices",
            },
            token=await self.staff_token(),
        )
        self._catalogue_at(payload)

    def _catalogue_at(self, payload: Mapping[str, Any]) -> None:
        """From now on carts are filled from a catalogue that has come at least this far."""
        position = str(payload["receipt"]["position"])
        if _number(position) > _number(self._catalogue_position):
            self._catalogue_position = position

    async def _open_warehouse(self) -> str:
        payload = await self._mutate(
            operations.CREATE_WAREHOUSE,
            {
                "input": {
                    "code": "CENTRAL",
                    "name": "Central warehouse",
                    "country": "US",
                    "idempotencyKey": "central-warehouse",
                }
            },
            token=await self.staff_token(),
        )
        return str(payload["warehouse"]["id"])

    async def _create_products(self) -> None:
        first = mapping.first_prices(self._baskets)
        entries = list(self._listed.values())
        for start in range(0, len(entries), PRODUCTS_A_REQUEST):
            products = []
            for entry in entries[start : start + PRODUCTS_A_REQUEST]:
                price = self._prices[entry.product_id] = first.get(entry.product_id, 0)
                variant = {"sku": mapping.sku(entry.product_id), "price": _money(price)}
                products.append(
                    {
                        "slug": mapping.slug(entry.product_id),
                        "title": mapping.title(entry),
                        "variants": [variant],
                        "publish": True,
                    }
                )
            payload = await self._mutate(
                operations.CREATE_PRODUCTS,
                {"input": {"products": products, "idempotencyKey": f"catalogue-{start}"}},
                token=await self.staff_token(),
            )
            self._catalogue_at(payload)

    async def _receive(self, warehouse: str, week: int, units: Mapping[int, int]) -> None:
        lines = [
            {"sku": mapping.sku(product_id), "quantity": quantity}
            for product_id, quantity in units.items()
        ]
        for start in range(0, len(lines), RECEIPTS_A_REQUEST):
            await self._mutate(
                operations.RECEIVE_STOCK,
                {
                    "input": {
                        "warehouseId": warehouse,
                        "lines": lines[start : start + RECEIPTS_A_REQUEST],
                        "idempotencyKey": f"week-{week}-{start}",
                    }
                },
                token=await self.staff_token(),
                read_position=self._catalogue_position,
            )

    async def _customer(self, household_id: int) -> str:
        email, password = mapping.email(household_id), mapping.password(household_id)
        if household_id not in self._registered:
            await self._mutate(
                operations.REGISTER,
                {
                    "input": {
                        "email": email,
                        "password": password,
                        "displayName": f"Household {household_id}",
                        "idempotencyKey": f"household-{household_id}",
                    }
                },
            )
            self._registered.add(household_id)
        return await self._token(email, password)

    async def staff_token(self) -> str:
        """A token of the member of staff who fills carts and prices."""
        return await self._token(*self._staff)

    async def _token(self, email: str, password: str) -> str:
        session = self._sessions.get(email)
        if session is None or session.good_until < time.monotonic():
            payload = await self._mutate(operations.SIGN_IN, {"email": email, "password": password})
            good_for = self._token_seconds - TOKEN_SPARE_SECONDS
            session = Session(payload["accessToken"], time.monotonic() + good_for)
            self._sessions[email] = session
        return session.token

    async def _mutate(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        token: str | None = None,
        read_position: str | None = None,
    ) -> dict[str, Any]:
        """The payload of the only root field. Raises RequestFailed on a refusal as well."""
        data = await self._client.ask(document, variables, token=token, read_position=read_position)
        ((name, payload),) = data.items()
        if payload["userErrors"]:
            raise RequestFailed(f"{name} was refused: {payload['userErrors'][:3]}")
        found: dict[str, Any] = payload
        return found


def _number(position: str) -> int:
    """The place in a service's log that a receipt names (`products:7`)."""
    return int(position.partition(":")[2] or 0)


def cents(amount: str) -> int:
    """A decimal string of the shop's currency as whole cents."""
    whole, _, fraction = amount.partition(".")
    return int(whole) * 100 + int(fraction.ljust(2, "0"))


def _money(amount_cents: int) -> dict[str, str]:
    return {
        "amount": f"{amount_cents // 100}.{amount_cents % 100:02d}",
        "currency": mapping.CURRENCY,
    }


def _cart_line(line: Any) -> dict[str, Any]:
    price = mapping.price(line)
    sent: dict[str, Any] = {"sku": mapping.sku(line.product_id), "quantity": line.quantity}
    if price is not None and price.discount_cents:
        sent["discount"] = _money(price.discount_cents)
    return sent
