"""What this service keeps of others: whose order is whose; and which payments an order has.

The first comes from the feed of orders (`reactions`). The second is written with the event that
requests a payment, so that a request which names no payment finds those of its order.
"""

from __future__ import annotations

from eventstore import Effect
from projections import ReadModels

TABLES = """
CREATE TABLE IF NOT EXISTS public.payments_orders (
    order_id text PRIMARY KEY,
    customer_id text NOT NULL
);
CREATE TABLE IF NOT EXISTS public.payments_of_orders (
    order_id text NOT NULL,
    payment_id text PRIMARY KEY
);
CREATE INDEX IF NOT EXISTS payments_of_orders_by_order ON public.payments_of_orders (order_id);
"""


def keep_order(order_id: str, customer_id: str) -> Effect:
    """The row of an order."""
    return Effect(
        "INSERT INTO public.payments_orders (order_id, customer_id) VALUES (%s, %s)"
        " ON CONFLICT (order_id) DO NOTHING",
        (order_id, customer_id),
    )


def keep_payment(order_id: str, payment_id: str) -> Effect:
    """The row of a payment."""
    return Effect(
        "INSERT INTO public.payments_of_orders (order_id, payment_id) VALUES (%s, %s)"
        " ON CONFLICT (payment_id) DO NOTHING",
        (order_id, payment_id),
    )


class PaymentsOfOrders:
    """Reads which payments an order has."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def of(self, order_id: str) -> list[str]:
        """Ids of payments, oldest first (by id)."""
        rows = await self._reads.fetch(
            "SELECT payment_id FROM public.payments_of_orders WHERE order_id = %s"
            " ORDER BY payment_id",
            (order_id,),
        )
        return [row["payment_id"] for row in rows]
