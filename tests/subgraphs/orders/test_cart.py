"""The cart: what each command decides, refuses, and leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from subgraphs.orders.cart import LINES_MAX, Cart, CartStatus
from subgraphs.orders.cart_events import (
    CartCreated,
    CartDestinationSet,
    CartExpired,
    CartLineRemoved,
    CartLineSet,
    CartOrdered,
)
from subgraphs.orders.pricing import Totals
from subgraphs.orders.refusals import (
    AmountTooLarge,
    CartClosed,
    CartEmpty,
    CartPastExpiry,
    DiscountExceedsLine,
    LineNotFound,
    NegativeDiscount,
    PriceInOtherCurrency,
    ProductNotPublished,
    QuantityNotPositive,
    QuantityTooLarge,
    TooManyLines,
    TotalHasChanged,
)
from subgraphs.shared.money import CurrencyDiffers
from tests.subgraphs.orders.given import CART, CUSTOMER, MADRID, NOW, ORDER, SALT, SILK

CREATED = CartCreated(CART, CUSTOMER, CUSTOMER, "EUR", NOW + timedelta(days=30))


def cart(*events: object) -> Cart:
    state = Cart.initial(CART)
    for event in (CREATED, *events):
        state = state.evolve(event)  # type: ignore[arg-type]
    return state


def silk(quantity: int = 2, discount_minor: int = 0) -> CartLineSet:
    [event] = cart().set_line(SILK, quantity, discount_minor=discount_minor, now=NOW)
    assert isinstance(event, CartLineSet)
    return event


def test_a_cart_is_created_once() -> None:
    expires = NOW + timedelta(days=30)
    created = Cart.initial(CART).create(
        customer_id=CUSTOMER, created_by=CUSTOMER, currency="EUR", expires_at=expires
    )
    assert created == [CREATED]
    with pytest.raises(CartClosed):
        cart().create(customer_id=CUSTOMER, created_by=CUSTOMER, currency="EUR", expires_at=expires)


def test_a_line_keeps_what_the_customer_saw() -> None:
    line = silk(3, discount_minor=50)
    assert (line.sku, line.title, line.unit_price_minor) == ("SILK-1", "Silk, a bolt", 1250)
    assert (line.quantity, line.discount_minor, line.discount_label) == (3, 50, "basket discount")
    state = cart(line)
    assert state.totals == Totals(3750, 50, 0, 0)
    assert state.totals.total_minor == 3700
    assert state.total_weight_grams == 2700


def test_setting_a_line_again_replaces_it() -> None:
    state = cart(silk(2), silk(5))
    assert [line.quantity for line in state.lines.values()] == [5]


def test_setting_the_same_line_is_nothing_to_do() -> None:
    assert cart(silk(2)).set_line(SILK, 2, now=NOW) == []


def test_a_new_price_makes_it_another_line() -> None:
    dearer = replace(SILK, price_minor=1300)
    [event] = cart(silk(2)).set_line(dearer, 2, now=NOW)
    assert isinstance(event, CartLineSet)
    assert event.unit_price_minor == 1300


@pytest.mark.parametrize("quantity", [0, -1, -89_638])
def test_a_quantity_is_positive(quantity: int) -> None:
    with pytest.raises(QuantityNotPositive, match=str(quantity)):
        cart().set_line(SILK, quantity, now=NOW)


def test_a_quantity_is_not_huge() -> None:
    assert cart().set_line(SILK, 999, now=NOW)
    with pytest.raises(QuantityTooLarge) as refused:
        cart().set_line(SILK, 89_638, now=NOW)
    assert (refused.value.quantity, refused.value.quantity_max) == (89_638, 999)


def test_what_is_not_published_is_not_sold() -> None:
    with pytest.raises(ProductNotPublished):
        cart().set_line(replace(SILK, published=False), 1, now=NOW)


def test_a_price_in_another_currency_is_refused() -> None:
    with pytest.raises(PriceInOtherCurrency):
        cart().set_line(replace(SILK, currency="USD"), 1, now=NOW)


def test_a_discount_is_between_nothing_and_the_line() -> None:
    assert cart().set_line(SILK, 2, discount_minor=2500, now=NOW)
    with pytest.raises(DiscountExceedsLine):
        cart().set_line(SILK, 2, discount_minor=2501, now=NOW)
    with pytest.raises(NegativeDiscount):
        cart().set_line(SILK, 2, discount_minor=-1, now=NOW)


def test_a_cart_has_a_limit_of_lines() -> None:
    full = cart(*(replace_variant(silk(), n) for n in range(LINES_MAX)))
    with pytest.raises(TooManyLines):
        full.set_line(SALT, 1, now=NOW)
    known = replace(SILK, variant_id="var_0")
    assert full.set_line(known, 9, now=NOW)


def replace_variant(line: CartLineSet, number: int) -> CartLineSet:
    return CartLineSet(
        CART, f"var_{number}", line.sku, line.title, line.unit_price_minor, line.quantity
    )


def test_a_line_is_removed() -> None:
    assert cart(silk()).remove_line("var_silk", now=NOW) == [CartLineRemoved(CART, "var_silk")]
    assert not cart(silk(), CartLineRemoved(CART, "var_silk")).lines
    with pytest.raises(LineNotFound):
        cart().remove_line("var_silk", now=NOW)


def test_a_destination_is_set_once() -> None:
    set_once = CartDestinationSet(CART, MADRID, CREATED.customer_id)
    assert cart().set_destination(MADRID, now=NOW) == [set_once]
    assert cart(set_once).set_destination(MADRID, now=NOW) == []


def test_lines_are_priced_anew_and_keep_their_discount() -> None:
    [line] = cart(silk(2, 100)).priced({"var_silk": replace(SILK, price_minor=1000)})
    assert (line.unit_price_minor, line.discount_minor) == (1000, 100)


def test_an_empty_cart_cannot_be_priced() -> None:
    with pytest.raises(CartEmpty):
        cart().priced({})


def test_what_is_no_longer_sold_cannot_be_priced() -> None:
    with pytest.raises(ProductNotPublished):
        cart(silk()).priced({})
    with pytest.raises(ProductNotPublished):
        cart(silk()).priced({"var_silk": replace(SILK, published=False)})


def test_a_price_below_the_discount_is_refused() -> None:
    with pytest.raises(DiscountExceedsLine):
        cart(silk(2, 2000)).priced({"var_silk": replace(SILK, price_minor=500)})


def test_ordering_closes_the_cart() -> None:
    totals = Totals(2500, 0, 0, 0)
    ordered = cart(silk()).order(ORDER, totals, expected_minor=2500, currency="EUR", now=NOW)
    assert ordered == [CartOrdered(CART, ORDER)]
    closed = cart(silk(), *ordered)
    assert closed.status is CartStatus.ORDERED
    with pytest.raises(CartClosed):
        closed.set_line(SILK, 1, now=NOW)
    with pytest.raises(CartClosed):
        closed.order(ORDER, totals, expected_minor=2500, currency="EUR", now=NOW)


def test_another_total_than_the_customer_saw_is_refused() -> None:
    with pytest.raises(TotalHasChanged) as refused:
        cart(silk()).order(
            ORDER, Totals(2500, 0, 0, 0), expected_minor=2499, currency="EUR", now=NOW
        )
    assert (refused.value.expected_minor, refused.value.actual_minor) == (2499, 2500)


def test_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyDiffers):
        cart(silk()).order(
            ORDER, Totals(2500, 0, 0, 0), expected_minor=2500, currency="USD", now=NOW
        )


def test_an_absurd_total_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        cart(silk()).order(
            ORDER, Totals(10**13, 0, 0, 0), expected_minor=10**13, currency="EUR", now=NOW
        )


def test_a_line_of_an_absurd_amount_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        cart().set_line(replace(SILK, price_minor=10**12), 2, now=NOW)


def test_a_cart_expires_when_its_time_has_come() -> None:
    assert cart().expire(now=NOW) == []
    assert cart().expire(now=NOW + timedelta(days=30)) == [CartExpired(CART)]
    assert cart(CartExpired(CART)).expire(now=NOW + timedelta(days=31)) == []
    with pytest.raises(CartClosed):
        cart(CartExpired(CART)).set_line(SILK, 1, now=NOW)


def test_a_cart_past_its_time_takes_nothing_even_before_it_was_noticed() -> None:
    with pytest.raises(CartPastExpiry):
        cart().set_line(SILK, 1, now=NOW + timedelta(days=30))
