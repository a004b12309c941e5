"""Products, given, when, then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from subgraphs.products.domain import VARIANTS_MAX, PriceChange, Product
from subgraphs.products.domain_rules import Details, NewVariant
from subgraphs.products.events import (
    DetailsChanged,
    Option,
    PriceChanged,
    PriceScheduled,
    ProductArchived,
    ProductCreated,
    ProductPublished,
    ProductUnpublished,
    VariantAdded,
)
from subgraphs.products.refusals import Archived, NegativePrice, SkuTaken
from subgraphs.shared.errors import InvalidValue, NotFound
from subgraphs.shared.money import CurrencyDiffers, Money
from tests.support.given import Given, given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
EUR_10 = Money(1000, "EUR")
SILK = NewVariant("var_1", "SILK-R", EUR_10, (Option("colour", "red"),), 120)
CREATED = ProductCreated("prd_1", "silk", "Silk", None, None, NOW)
ADDED = VariantAdded(
    "prd_1",
    "var_1",
    "SILK-R",
    "Silk (red)",
    [Option("colour", "red")],
    120,
    "standard",
    1000,
    "EUR",
    NOW,
)
PUBLISHED = ProductPublished("prd_1", "default")


def silk(*events: object) -> Given[Product]:
    return given(Product, "prd_1", CREATED, ADDED, *events)  # type: ignore[arg-type]


def price(minor: int, **more: object) -> PriceChange:
    return PriceChange(Money(minor, "EUR"), **more)  # type: ignore[arg-type]


def changed(minor: int, *, before: int | None = 1000, channel: str = "default") -> PriceChanged:
    return PriceChanged("prd_1", "var_1", "SILK-R", channel, before, minor, "EUR", NOW, None)


def test_create() -> None:
    nothing = given(Product, "prd_1")
    nothing.when(lambda p: p.create("silk", Details(" Silk "), [SILK], NOW)).then(CREATED, ADDED)
    product = nothing.when(
        lambda p: p.create("silk", Details("Silk"), [SILK], NOW, publish=True)
    ).then(CREATED, ADDED, PUBLISHED)
    assert product.channels == {"default"}
    assert product.variants["var_1"].prices == {"default": EUR_10}
    silk().when(lambda p: p.create("silk", Details("Silk"), [SILK], NOW)).then_nothing()


@pytest.mark.parametrize(
    ("slug", "details", "variants", "path"),
    [
        ("Silk", Details("Silk"), [SILK], ["input", "slug"]),
        ("", Details("Silk"), [SILK], ["input", "slug"]),
        ("silk", Details(" "), [SILK], ["input", "title"]),
        ("silk", Details("x" * 301), [SILK], ["input", "title"]),
        ("silk", Details("Silk", "x" * 10_001), [SILK], ["input", "description"]),
        ("silk", Details("Silk"), [], ["input", "variants"]),
        (
            "silk",
            Details("Silk"),
            [replace(SILK, sku="a b")],
            ["input", "variants", "0", "sku"],
        ),
        (
            "silk",
            Details("Silk"),
            [replace(SILK, weight_grams=-1)],
            ["input", "variants", "0", "weightGrams"],
        ),
        (
            "silk",
            Details("Silk"),
            [replace(SILK, options=(Option("", "red"),))],
            ["input", "variants", "0", "options"],
        ),
    ],
)
def test_bad_input_is_refused_by_field(
    slug: str, details: Details, variants: list[NewVariant], path: list[str]
) -> None:
    refusal = (
        given(Product, "prd_1")
        .when(lambda p: p.create(slug, details, variants, NOW))
        .then_raises(InvalidValue)
    )
    assert refusal.path == path


def test_nobody_is_paid_to_take_something() -> None:
    free, paid = replace(SILK, price=Money(0, "EUR")), replace(SILK, price=Money(-1, "EUR"))
    nothing = given(Product, "prd_1")
    assert nothing.state.create("silk", Details("Silk"), [free], NOW)
    nothing.when(lambda p: p.create("silk", Details("Silk"), [paid], NOW)).then_raises(
        NegativePrice
    )
    silk().when(lambda p: p.change_price("var_1", price(-1), NOW, schedule_id="sch_1")).then_raises(
        NegativePrice, "not negative"
    )


def test_one_sku_twice_in_a_product_is_refused() -> None:
    twin = replace(SILK, id="var_2")
    refusal = (
        given(Product, "prd_1")
        .when(lambda p: p.create("silk", Details("Silk"), [SILK, twin], NOW))
        .then_raises(SkuTaken)
    )
    assert refusal.path == ["input", "variants", "1", "sku"]


def test_add_variants_up_to_a_bound() -> None:
    silk().when(lambda p: p.add_variant(SILK, NOW)).then_nothing()
    many = [
        VariantAdded("prd_1", f"var_x{n}", f"X{n}", "Silk", [], None, "standard", 1, "EUR", NOW)
        for n in range(VARIANTS_MAX - 1)
    ]
    new = replace(SILK, id="var_new", sku="NEW")
    silk(*many).when(lambda p: p.add_variant(new, NOW)).then_raises(InvalidValue, "at most 100")


def test_change_details() -> None:
    silk().when(lambda p: p.change_details(Details("Fine silk"))).then(
        DetailsChanged("prd_1", "Fine silk", None, None)
    )
    silk().when(lambda p: p.change_details(Details("Silk"))).then_nothing()
    given(Product, "prd_1").when(lambda p: p.change_details(Details("Silk"))).then_raises(NotFound)


def change(product: Given[Product], wanted: PriceChange) -> Given[Product]:
    return product.when(lambda p: p.change_price("var_1", wanted, NOW, schedule_id="sch_1"))


def test_a_price_changes_from_one_to_another() -> None:
    change(silk(), price(900)).then(changed(900))
    change(silk(), price(1000)).then_nothing()
    silk().when(lambda p: p.change_price("var_9", price(1), NOW, schedule_id="sch_1")).then_raises(
        NotFound
    )


def test_each_channel_has_its_price() -> None:
    product = change(silk(), price(800, channel="market")).then(
        changed(800, before=None, channel="market")
    )
    assert product.variants["var_1"].prices == {"default": EUR_10, "market": Money(800, "EUR")}
    change(silk(), price(800, channel="no channel")).then_raises(InvalidValue, "not a channel")


def test_the_currency_of_a_price_stays() -> None:
    change(silk(), PriceChange(Money(1000, "USD"))).then_raises(CurrencyDiffers, "in USD")


SCHEDULED = PriceScheduled("prd_1", "var_1", "sch_1", "default", 700, "EUR", LATER, None)


def test_a_price_to_come_is_scheduled_and_applied_once() -> None:
    change(silk(), price(700, effective_at=LATER)).then(SCHEDULED)
    change(silk(SCHEDULED), price(700, effective_at=LATER)).then_nothing()
    applied = replace_time(changed(700), LATER)
    due = silk(SCHEDULED)
    product = due.when(lambda p: p.apply_schedule("var_1", "sch_1")).then(applied)
    assert product.variants["var_1"].scheduled == {}
    silk(SCHEDULED, applied).when(lambda p: p.apply_schedule("var_1", "sch_1")).then_nothing()
    archived = ProductArchived("prd_1", "gone")
    silk(SCHEDULED, archived).when(lambda p: p.apply_schedule("var_1", "sch_1")).then_nothing()


def replace_time(event: PriceChanged, at: datetime) -> PriceChanged:
    return msgspec.structs.replace(event, effective_at=at)


def test_a_later_change_takes_the_place_of_what_was_scheduled_before_it() -> None:
    after = replace_time(changed(650), LATER + timedelta(days=1))
    silk(SCHEDULED, after).when(lambda p: p.apply_schedule("var_1", "sch_1")).then_nothing()


def test_publish_and_unpublish() -> None:
    silk().when(lambda p: p.publish("default")).then(PUBLISHED)
    silk(PUBLISHED).when(lambda p: p.publish("default")).then_nothing()
    silk(PUBLISHED).when(lambda p: p.unpublish("default", "flawed")).then(
        ProductUnpublished("prd_1", "default", "flawed")
    )
    silk().when(lambda p: p.unpublish("default", None)).then_nothing()
    given(Product, "prd_1").when(lambda p: p.publish("default")).then_raises(NotFound)


def test_archive_withdraws_everywhere_for_good() -> None:
    product = (
        silk(PUBLISHED)
        .when(lambda p: p.archive("out of fashion"))
        .then(
            ProductUnpublished("prd_1", "default", "out of fashion"),
            ProductArchived("prd_1", "out of fashion"),
        )
    )
    with pytest.raises(Archived, match="archived"):
        product.publish("default")
    archived = ProductArchived("prd_1", "gone")
    silk(archived).when(lambda p: p.archive("again")).then_nothing()
    silk().when(lambda p: p.archive(" ")).then_raises(InvalidValue)
