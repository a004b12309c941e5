"""The inventory service: warehouses, stock, reservations that expire, the ledger of movements."""

__all__: list[str] = []
