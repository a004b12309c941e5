"""What this service keeps of others: whose order is whose, from the feed of orders."""

from __future__ import annotations

from eventstore import Effect

TABLES = """
CREATE TABLE IF NOT EXISTS public.shipping_orders (
    order_id text PRIMARY KEY,
    customer_id text NOT NULL
);
"""


def keep_order(order_id: str, customer_id: str) -> Effect:
    """The row of an order."""
    return Effect(
        "INSERT INTO public.shipping_orders (order_id, customer_id) VALUES (%s, %s)"
        " ON CONFLICT (order_id) DO NOTHING",
        (order_id, customer_id),
    )
