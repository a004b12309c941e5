"""Refusals of the inventory service: a stable `code`, the values as attributes."""

from __future__ import annotations

from collections.abc import Sequence

from subgraphs.shared.errors import Refusal

Path = Sequence[str] | None


class InventoryRefusal(Refusal):
    """Base of what this service refuses."""

    code = "INVENTORY_REFUSED"


class QuantityOutOfRange(InventoryRefusal):
    """A quantity that no movement can have."""

    code = "QUANTITY_OUT_OF_RANGE"

    def __init__(self, quantity: int, minimum: int, maximum: int, *, path: Path = None) -> None:
        self.quantity, self.minimum, self.maximum = quantity, minimum, maximum
        super().__init__(
            f"quantity is {quantity}: give a number from {minimum} to {maximum}", path=path
        )


class NotEnoughStock(InventoryRefusal):
    """More was asked for than is free."""

    code = "INSUFFICIENT_STOCK"

    def __init__(self, variant_id: str, requested: int, available: int) -> None:
        self.variant_id, self.requested, self.available = variant_id, requested, available
        super().__init__(f"{requested} of {variant_id} were requested, {available} are available")


class QuantityChanged(InventoryRefusal):
    """The compare-and-swap of an adjustment failed."""

    code = "QUANTITY_CHANGED"

    def __init__(self, stock_item_id: str, expected: int, actual: int) -> None:
        self.stock_item_id, self.expected, self.actual = stock_item_id, expected, actual
        super().__init__(
            f"{stock_item_id} has {actual} on hand, changeFromQuantity was {expected}: "
            "count again, then adjust from the present figure",
            path=["input", "changeFromQuantity"],
        )


class ReasonMissing(InventoryRefusal):
    """An adjustment that nobody could explain later."""

    code = "REASON_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "an adjustment by CORRECTION needs a note that says why", path=["input", "note"]
        )


class UnknownStockItem(InventoryRefusal):
    """No goods of this variant were ever in this warehouse."""

    code = "UNKNOWN_STOCK_ITEM"

    def __init__(self, stock_item_id: str) -> None:
        self.stock_item_id = stock_item_id
        super().__init__(f"there is no stock item {stock_item_id}")


class UnknownWarehouse(InventoryRefusal):
    """No such warehouse."""

    code = "UNKNOWN_WAREHOUSE"

    def __init__(self, warehouse_id: str, *, path: Path = None) -> None:
        self.warehouse_id = warehouse_id
        super().__init__(f"there is no warehouse {warehouse_id}: list `warehouses`", path=path)


class UnknownVariant(InventoryRefusal):
    """A variant or sku this service has not (yet) heard of from products."""

    code = "UNKNOWN_VARIANT"

    def __init__(self, reference: str, *, path: Path = None) -> None:
        self.reference = reference
        super().__init__(f"no variant with id or sku {reference!r} is known here", path=path)


class SameWarehouse(InventoryRefusal):
    """A transfer from a warehouse to itself."""

    code = "SAME_WAREHOUSE"

    def __init__(self, warehouse_id: str) -> None:
        self.warehouse_id = warehouse_id
        super().__init__(f"a transfer needs two warehouses, both are {warehouse_id}")


class InvalidWarehouse(InventoryRefusal):
    """A code, name or country that no warehouse can have."""

    code = "INVALID_WAREHOUSE"


class CodeTaken(InventoryRefusal):
    """Two warehouses cannot share a code."""

    code = "WAREHOUSE_CODE_TAKEN"

    def __init__(self, warehouse_code: str) -> None:
        self.warehouse_code = warehouse_code
        super().__init__(
            f"a warehouse with code {warehouse_code!r} exists already", path=["input", "code"]
        )


class ShipmentExceedsAllocation(InventoryRefusal):
    """A shipment says it carries more of a line than is allocated to the order."""

    code = "SHIPMENT_EXCEEDS_ALLOCATION"

    def __init__(self, order_id: str, shipment_id: str, line_id: str, excess: int) -> None:
        self.order_id, self.shipment_id = order_id, shipment_id
        self.line_id, self.excess = line_id, excess
        super().__init__(
            f"shipment {shipment_id} carries {excess} more of line {line_id} than are allocated "
            f"to order {order_id}"
        )


class TooMuchContention(InventoryRefusal):
    """The same stock was changed by others each time this was tried."""

    code = "TOO_MUCH_CONTENTION"

    def __init__(self, what: str, attempts: int) -> None:
        self.what, self.attempts = what, attempts
        super().__init__(f"{what} met a conflict {attempts} times: try again")


class RefusedBefore(InventoryRefusal):
    """What an earlier request with the same key was refused for, told again with its code."""

    def __init__(self, code: str, message: str, path: Path) -> None:
        self.code = code  # type: ignore[misc]
        super().__init__(message, path=path)
