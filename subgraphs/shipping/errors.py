"""Refusals of the shipping service."""

from __future__ import annotations

from collections.abc import Sequence

from subgraphs.shared.errors import Refusal


class ShippingRefusal(Refusal):
    """Base of what this service refuses."""

    code = "SHIPPING_REFUSED"


class NothingToShip(ShippingRefusal):
    """The order is not to be shipped: not yet, not any more, or nothing of it is left."""

    code = "NOTHING_TO_SHIP"

    def __init__(self, order_id: str, why: str) -> None:
        self.order_id, self.why = order_id, why
        super().__init__(f"nothing of order {order_id} can be shipped: {why}")


class ExceedsOrder(ShippingRefusal):
    """More of a line than is ordered and not yet in a shipment."""

    code = "EXCEEDS_ORDER"

    def __init__(
        self, line_id: str, requested: int, left: int, *, path: Sequence[str] | None = None
    ) -> None:
        self.line_id, self.requested, self.left = line_id, requested, left
        super().__init__(
            f"{requested} of line {line_id} were to be shipped, {left} are left to ship", path=path
        )


class ShipmentNotIn(ShippingRefusal):
    """The shipment is past (or before) the state that this takes."""

    code = "SHIPMENT_STATE"

    def __init__(self, shipment_id: str, state: str, action: str) -> None:
        self.shipment_id, self.state, self.action = shipment_id, state, action
        super().__init__(f"shipment {shipment_id} is {state}: it can no longer be {action}")


class InvalidRate(ShippingRefusal):
    """A row that the rate table cannot have."""

    code = "INVALID_RATE"
