"""What the orders service refuses: a stable `code`, its values as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from subgraphs.shared.errors import InvalidValue, Refusal


class CartClosed(Refusal):
    code = "CART_CLOSED"

    def __init__(self, cart_id: str, status: str) -> None:
        self.cart_id, self.status = cart_id, status
        super().__init__(f"cart {cart_id} is {status.lower()}, not open: create another one")


class CartPastExpiry(Refusal):
    code = "CART_EXPIRED"

    def __init__(self, cart_id: str, expired_at: datetime) -> None:
        self.cart_id, self.expired_at = cart_id, expired_at
        super().__init__(f"cart {cart_id} expired at {expired_at:%Y-%m-%d %H:%M}: create another")


class CartEmpty(Refusal):
    code = "CART_EMPTY"

    def __init__(self, cart_id: str) -> None:
        self.cart_id = cart_id
        super().__init__(f"cart {cart_id} has no lines: set one before placing the order")


class LineRefusal(Refusal):
    """Base of what is refused of a single line: these attempts are recorded and counted."""

    code = "LINE_REFUSED"


class TooManyLines(LineRefusal):
    code = "TOO_MANY_LINES"

    def __init__(self, found: int, lines_max: int, *, path: Sequence[str] | None = None) -> None:
        self.found, self.lines_max = found, lines_max
        super().__init__(f"{found} lines: at most {lines_max} fit", path=path)


class QuantityNotPositive(LineRefusal):
    code = "QUANTITY_NOT_POSITIVE"

    def __init__(self, quantity: int) -> None:
        self.quantity = quantity
        super().__init__(
            f"quantity {quantity} is not positive: a line has at least 1", path=["quantity"]
        )


class QuantityTooLarge(LineRefusal):
    code = "QUANTITY_TOO_LARGE"

    def __init__(self, quantity: int, quantity_max: int) -> None:
        self.quantity, self.quantity_max = quantity, quantity_max
        super().__init__(
            f"quantity {quantity} is more than {quantity_max}, the most of one line",
            path=["quantity"],
        )


class UnknownVariant(LineRefusal):
    code = "UNKNOWN_VARIANT"

    def __init__(self, named: str) -> None:
        self.named = named
        super().__init__(f"no product variant {named[:64]!r} is known")


class VariantUnnamed(LineRefusal):
    code = "VARIANT_UNNAMED"

    def __init__(self) -> None:
        super().__init__("a line names its variant by `variantId` or by `sku`: give exactly one")


class ProductNotPublished(LineRefusal):
    code = "PRODUCT_NOT_PUBLISHED"

    def __init__(self, sku: str) -> None:
        self.sku = sku
        super().__init__(f"{sku} is not for sale at the moment")


class PriceInOtherCurrency(LineRefusal):
    code = "CURRENCY_MISMATCH"

    def __init__(self, found: str, expected: str) -> None:
        self.found, self.expected = found, expected
        super().__init__(f"the amount is in {found}, the cart is in {expected}")


class NegativeDiscount(LineRefusal):
    code = "NEGATIVE_DISCOUNT"

    def __init__(self, discount_minor: int) -> None:
        self.discount_minor = discount_minor
        super().__init__("a discount is not negative: leave it away for none", path=["discount"])


class DiscountExceedsLine(LineRefusal):
    code = "DISCOUNT_EXCEEDS_LINE"

    def __init__(self, discount_minor: int, line_minor: int) -> None:
        self.discount_minor, self.line_minor = discount_minor, line_minor
        super().__init__("the discount is more than the line costs", path=["discount"])


class DiscountNotAllowed(LineRefusal):
    code = "DISCOUNT_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("only staff grant a line discount", path=["discount"])


class LineNotFound(Refusal):
    code = "LINE_NOT_FOUND"

    def __init__(self, cart_id: str, named: str) -> None:
        self.cart_id, self.named = cart_id, named
        super().__init__(f"cart {cart_id} has no line of {named[:64]!r}")


class UnknownShippingOption(Refusal):
    code = "UNKNOWN_SHIPPING_OPTION"

    def __init__(self, option_id: str) -> None:
        self.option_id = option_id
        super().__init__(
            f"shipping option {option_id[:64]!r} is not offered for this destination, weight and "
            "currency",
            path=["input", "shippingOptionId"],
        )


class DestinationMissing(Refusal):
    code = "DESTINATION_MISSING"

    def __init__(self, option_id: str) -> None:
        self.option_id = option_id
        super().__init__(
            f"shipping option {option_id[:64]!r} brings the goods: set the destination first",
            path=["input", "shippingOptionId"],
        )


class InvalidAddress(InvalidValue):
    code = "INVALID_ADDRESS"


class InvalidPlacement(InvalidValue):
    """An argument of placeOrder that no state of the world would make acceptable."""

    code = "INVALID_INPUT"


class AmountTooLarge(LineRefusal):
    """Of a line or of a whole order."""

    code = "AMOUNT_TOO_LARGE"

    def __init__(self, minor: int, minor_max: int) -> None:
        self.minor, self.minor_max = minor, minor_max
        super().__init__("it costs more than one order may")


class TotalHasChanged(Refusal):
    """`expected_minor` is what the client saw, `actual_minor` what the order costs now."""

    code = "TOTAL_CHANGED"

    def __init__(self, expected_minor: int, actual_minor: int, currency: str) -> None:
        self.expected_minor, self.actual_minor = expected_minor, actual_minor
        self.currency = currency
        super().__init__(
            "the total has changed: look at it, then place the order with the new one",
            path=["input", "expectedTotal"],
        )


class NotCancellable(Refusal):
    code = "NOT_CANCELLABLE"

    def __init__(self, order_id: str, because: str) -> None:
        self.order_id, self.because = order_id, because
        super().__init__(f"order {order_id} cannot be cancelled: {because}")


class NothingToResume(Refusal):
    code = "NOTHING_TO_RESUME"

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__(f"the placement of order {order_id} waits for nothing")
