"""A graph whose events are made by the test: prices from one service, names from another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from router.config import RouterConfig
from router.http import RouterApp, create_app
from tests.support.federated import FederatedGraph, Service
from tests.support.served import served
from tests.support.streams import WAIT_SECONDS

PRICES = "subscription ($above: Int) { priceChanged(above: $above) { price product { name } } }"
NAMES = {"1": "Chair", "2": "Table"}


class Source:
    """What subscribers of `priceChanged` get. `open` is how many streams there are now."""

    def __init__(self) -> None:
        self.streams: list[asyncio.Queue[Any]] = []
        self.opened = 0
        self._changed = asyncio.Condition()

    @property
    def open(self) -> int:
        return len(self.streams)

    def prices(self, _: Any, above: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """A resolver: `{price, product: {id}}` for each price that is told."""
        if above == 666:
            raise PermissionError("not for you")
        return self._prices()

    async def _prices(self) -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.streams.append(queue)
        self.opened += 1
        await self._notify()
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.streams.remove(queue)
            await self._notify()

    def tell(self, event: Any) -> None:
        """To all; None ends the streams, an exception breaks them."""
        for queue in self.streams:
            queue.put_nowait(event)

    def price(self, price: Any, product: str = "1") -> None:
        """An event."""
        self.tell({"price": price, "product": {"id": product}})

    async def until(self, count: int) -> None:
        """Wait until so many streams are open."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.open == count)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def live_graph(source: Source) -> FederatedGraph:
    """The name of product 2 cannot be had; that of product 3 does not exist."""

    def product(key: dict[str, Any]) -> dict[str, Any] | None:
        if key["id"] == "2":
            raise ValueError("no names today")
        return NAMES.get(key["id"]) and {"id": key["id"], "name": NAMES[key["id"]]}

    return FederatedGraph(
        prices=Service(
            """
            type Query { prices: Int }
            type Subscription { priceChanged(above: Int): Price }
            type Price { price: Int!  product: Product!  text: String }
            type Product @key(fields: "id", resolvable: false) { id: ID! }
            """,
            {"Subscription.priceChanged": source.prices, "Query.prices": lambda _: 7},
        ),
        products=Service(
            """
            type Query { product: Product }
            type Product @key(fields: "id") { id: ID!  name: String }
            """,
            {"Product": product, "Query.product": lambda _: {"id": "1", "name": "Chair"}},
        ),
    )


class Live:
    """A router that serves such a graph on `port`, in process."""

    def __init__(self, config: RouterConfig | None = None, **more: Any) -> None:
        self.source = Source()
        self.graph = live_graph(self.source)
        self.router: RouterApp = create_app(
            self.graph.supergraph_sdl,
            transports=self.graph.transports(),
            config=config or RouterConfig(),
            **more,
        )
        self.port = 0

    def asked(self, service: str) -> int:
        """How many requests a service got."""
        return len(self.graph.services[service].asked)


@asynccontextmanager
async def live(config: RouterConfig | None = None, **more: Any) -> AsyncIterator[Live]:
    """Serve it over sockets."""
    made = Live(config, **more)
    async with served(made.router) as made.port:
        try:
            yield made
        finally:
            await made.router.close()
