"""Which payments an order has, written with the event that requests a payment.

A request of orders that names no payment finds those of its order here, without waiting for a read
model.
"""

from __future__ import annotations

from eventstore import Effect
from projections import ReadModels

TABLES = """
CREATE TABLE IF NOT EXISTS public.payments_of_orders (
    order_id text NOT NULL,
    payment_id text PRIMARY KEY
);
CREATE INDEX IF NOT EXISTS payments_of_orders_by_order ON public.payments_of_orders (order_id);
"""


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
        """Ids of payments, in their order."""
        rows = await self._reads.fetch(
            "SELECT payment_id FROM public.payments_of_orders WHERE order_id = %s"
            " ORDER BY payment_id",
            (order_id,),
        )
        return [row["payment_id"] for row in rows]
