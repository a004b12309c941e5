"""The products service over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from subgraphs.products.app import build
from subgraphs.products.schema import ProductsResources
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.shop import (
    WAIT_SECONDS_MAX,
    Clock,
    anonymous,
    customer,
    rebuilt_alike,
    running,
    same_versions,
    settled,
    staff,
    written,
)

Products = Service[ProductsResources]

CREATE = """
mutation($products: [NewProductInput!]!, $key: ID!) {
  createProducts(input: {products: $products, idempotencyKey: $key}) {
    products { id version slug status variants { id sku price { amount currency } } }
    receipt { position version replayed }
    userErrors { code path message }
  }
}
"""


def silk(slug: str = "silk", **changes: Any) -> dict[str, Any]:
    variant = {"sku": slug.upper(), "price": {"amount": "10.00", "currency": "EUR"}}
    return {"slug": slug, "title": slug.title(), "publish": True, "variants": [variant], **changes}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def products(database: str, clock: Clock) -> AsyncIterator[Products]:
    settings = {"timer_poll_seconds": 0.02}
    async with running(build, database, name="products", settings=settings, clock=clock) as service:
        yield service


async def create(service: Products, *given: dict[str, Any], key: str | None = None) -> Any:
    return await staff(service).ask(CREATE, products=list(given), key=key or new_id("key"))


async def test_create_and_read_back_by_everything(products: Products) -> None:
    payload = await create(products, silk())
    assert payload["userErrors"] == []
    (written,) = payload["products"]
    assert written["status"] == "PUBLISHED"
    assert written["variants"][0]["price"] == {"amount": "10.00", "currency": "EUR"}
    await settled(products)
    fields = "{ id version slug status variants { id sku price { amount currency } } }"
    for client in (anonymous(products), customer(products), staff(products)):
        assert written == await client.ask(f'{{ product(slug: "silk") {fields} }}')
        assert written == await client.ask(f'{{ product(id: "{written["id"]}") {fields} }}')
        found = await client.ask('{ variant(sku: "SILK") { id product { slug } } }')
        assert found == {"id": written["variants"][0]["id"], "product": {"slug": "silk"}}
    assert await anonymous(products).ask("{ product { id } }") is None
    assert await anonymous(products).ask('{ variant(sku: "NONE") { id } }') is None


async def test_a_batch_is_all_or_nothing_and_says_all_that_is_wrong(products: Products) -> None:
    await create(products, silk("taken"))
    bad = [
        silk("good"),
        silk("taken"),
        silk("good"),
        silk("Bad Slug"),
        silk("dear", variants=[{"sku": "D", "price": {"amount": "1.005", "currency": "EUR"}}]),
    ]
    payload = await create(products, *bad[:4])
    assert payload["products"] == []
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID", ["input", "products", "3", "slug"]),
        ("SLUG_TAKEN", ["input", "products", "1", "slug"]),
        ("SKU_TAKEN", ["input", "products", "1", "variants", "0", "sku"]),
        ("SLUG_TAKEN", ["input", "products", "2", "slug"]),
        ("SKU_TAKEN", ["input", "products", "2", "variants", "0", "sku"]),
    ]
    payload = await create(products, *bad)
    assert payload["userErrors"][0]["code"] == "INVALID_MONEY"
    assert await written(products) == 3
    assert (await create(products, silk("good")))["userErrors"] == []


async def test_the_same_key_gives_the_same_products(products: Products) -> None:
    someone = staff(products)
    first = await someone.ask(CREATE, products=[silk("a"), silk("b")], key="k")
    again = await someone.ask(CREATE, products=[silk("a"), silk("b")], key="k")
    assert again["products"] == first["products"]
    assert again["receipt"]["replayed"]
    other = await someone.ask(CREATE, products=[silk("c")], key="k")
    assert other["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_key_counts_for_its_sender_alone(products: Products) -> None:
    for n in range(2):
        payload = await create(products, silk(f"s{n}"), key="one key of two people")
        assert payload["userErrors"] == []
        assert not payload["receipt"]["replayed"]


async def test_of_many_at_the_same_time_one_gets_the_sku(products: Products) -> None:
    payloads = await asyncio.gather(*(create(products, silk()) for _ in range(6)))
    assert sum(bool(payload["products"]) for payload in payloads) == 1
    codes = [[e["code"] for e in payload["userErrors"]] for payload in payloads]
    assert codes.count(["SLUG_TAKEN", "SKU_TAKEN"]) == 5


async def test_an_empty_and_an_endless_batch_are_refused(products: Products) -> None:
    for given in ([], [silk(f"s{n}") for n in range(501)]):
        payload = await create(products, *given)
        assert payload["userErrors"][0]["path"] == ["input", "products"]


async def test_only_staff_change_the_catalogue(products: Products) -> None:
    payload = await create(products, silk())
    id_, variant_id = payload["products"][0]["id"], payload["products"][0]["variants"][0]["id"]
    price = 'price: {amount: "1", currency: "EUR"}'
    mutations = [
        'createProduct(input: {slug: "x", title: "X", variants: [], idempotencyKey: "1"})',
        'createProducts(input: {products: [], idempotencyKey: "1"})',
        f'changeProductDetails(id: "{id_}", input: {{title: "X"}})',
        f'addVariant(productId: "{id_}", input: {{sku: "X", {price}}}, idempotencyKey: "1")',
        f'changePrice(input: {{variantId: "{variant_id}", {price}}}, idempotencyKey: "1")',
        f'changePrices(changes: [{{sku: "SILK", {price}}}], idempotencyKey: "1")',
        f'publishProduct(id: "{id_}")',
        f'unpublishProduct(id: "{id_}")',
        f'archiveProduct(id: "{id_}", reason: "x")',
        'createCategory(input: {slug: "x", name: "X", idempotencyKey: "1"})',
        'renameCategory(id: "cat_1", name: "X")',
        'moveCategory(id: "cat_1")',
    ]
    for mutation in mutations:
        query = f"mutation {{ {mutation} {{ userErrors {{ code }} }} }}"
        assert await anonymous(products).code(query) == "UNAUTHENTICATED"
        assert await customer(products).code(query) == "FORBIDDEN"
        assert await staff(products, Role.AUDITOR).code(query) == "FORBIDDEN"


async def test_drafts_are_the_staffs_business(products: Products) -> None:
    payload = await create(products, silk("draft", publish=False), silk("sold"))
    await settled(products)
    draft, sold = payload["products"]
    references = [
        {"__typename": "Product", "id": draft["id"]},
        {"__typename": "ProductVariant", "id": draft["variants"][0]["id"]},
        {"__typename": "ProductVariant", "sku": "DRAFT"},
        {"__typename": "ProductVariant", "sku": "SOLD"},
    ]
    selection = "__typename ... on Product { slug } ... on ProductVariant { sku }"
    seen = await customer(products).entities(selection, *references)
    assert seen == [None, None, None, {"__typename": "ProductVariant", "sku": "SOLD"}]
    assert None not in await staff(products).entities(selection, *references)
    query = "{ products(first: 10) { totalCount edges { node { slug status } } } }"
    shown = await customer(products).ask(query)
    assert shown["totalCount"] == 1
    assert [edge["node"]["slug"] for edge in shown["edges"]] == ["sold"]
    assert (await staff(products).ask(query))["totalCount"] == 2
    assert await customer(products).ask('{ product(slug: "draft") { id } }') is None
    await staff(products).ask(
        f'mutation {{ unpublishProduct(id: "{sold["id"]}") {{ userErrors {{ code }} }} }}'
    )
    await settled(products)
    assert (await customer(products).ask(query))["edges"] == []
    assert await customer(products).ask('{ product(slug: "sold") { status } }') == {
        "status": "DRAFT"
    }


CHANGE = """
mutation($input: PriceChangeInput!, $key: ID!, $version: Int) {
  changePrice(input: $input, idempotencyKey: $key, expectedVersion: $version) {
    product { version variants { price { amount } market: price(channel: "market") { amount } } }
    receipt { replayed }
    userErrors { __typename code path }
  }
}
"""


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


async def test_change_a_price_and_see_its_history(products: Products) -> None:
    payload = await create(products, silk())
    variant_id = payload["products"][0]["variants"][0]["id"]
    someone = staff(products)

    async def change(key: str, version: int | None = None, **given: Any) -> Any:
        return await someone.ask(CHANGE, input=given, key=key, version=version)

    changed = await change("1", price=eur("9.00"), variantId=variant_id, reason="sale")
    assert changed["product"]["variants"] == [
        {"price": {"amount": "9.00"}, "market": {"amount": "9.00"}}
    ]
    changed = await change("2", price=eur("7.00"), sku="SILK", channel="market")
    assert changed["product"]["variants"][0]["market"] == {"amount": "7.00"}
    again = await change("2", price=eur("7.00"), sku="SILK", channel="market")
    assert again["receipt"]["replayed"]
    for given, code in (
        ({"price": eur("-1.00"), "sku": "SILK"}, "NEGATIVE_PRICE"),
        ({"price": {"amount": "1.00", "currency": "USD"}, "sku": "SILK"}, "CURRENCY_MISMATCH"),
        ({"price": {"amount": "1.00", "currency": "XXZ"}, "sku": "SILK"}, "UNKNOWN_CURRENCY"),
        ({"price": eur("9999999999999999"), "sku": "SILK"}, "INVALID_MONEY"),
        ({"price": eur("1.00"), "sku": "NONE"}, "NOT_FOUND"),
        ({"price": eur("1.00")}, "INVALID"),
    ):
        refused = await change(new_id("key"), **given)
        assert refused["userErrors"][0]["code"] == code
    refused = await change("3", version=1, price=eur("8.00"), sku="SILK")
    assert refused["userErrors"][0]["__typename"] == "VersionConflict"
    await settled(products)
    query = """{ variant(sku: "SILK") { price { amount } market: price(channel: "market") { amount }
      priceHistory(first: 2) { edges { node { price { amount } channel reason } }
        pageInfo { hasNextPage endCursor } } } }"""
    read = await anonymous(products).ask(query)
    assert (read["price"], read["market"]) == ({"amount": "9.00"}, {"amount": "7.00"})
    history = read["priceHistory"]
    assert [edge["node"]["price"]["amount"] for edge in history["edges"]] == ["7.00", "9.00"]
    assert history["edges"][1]["node"]["reason"] == "sale"
    rest = await anonymous(products).ask(
        """query($after: String) { variant(sku: "SILK") { priceHistory(first: 2, after: $after) {
          edges { node { price { amount } } } pageInfo { hasNextPage } } } }""",
        after=history["pageInfo"]["endCursor"],
    )
    assert rest["priceHistory"] == {
        "edges": [{"node": {"price": {"amount": "10.00"}}}],
        "pageInfo": {"hasNextPage": False},
    }


CHANGES = """
mutation($changes: [PriceChangeInput!]!, $key: ID!) {
  changePrices(changes: $changes, idempotencyKey: $key) {
    products { slug version } receipt { replayed position } userErrors { code path } } }
"""


async def test_many_prices_change_in_one_append(products: Products) -> None:
    await create(products, *(silk(f"s{n}") for n in range(5)))
    head = await written(products)
    changes = [{"sku": f"S{n}", "price": eur(f"{n}.50")} for n in range(5)]
    someone = staff(products)
    payload = await someone.ask(CHANGES, changes=changes, key="k")
    assert len(payload["products"]) == 5
    assert await written(products) == head + 5
    again = await someone.ask(CHANGES, changes=changes, key="k")
    assert again == {**payload, "receipt": {**payload["receipt"], "replayed": True}}
    bad = [
        {"sku": "S0", "price": eur("2.00")},
        {"sku": "?", "price": eur("1.00")},
        {"price": eur("1")},
    ]
    refused = await someone.ask(CHANGES, changes=bad[:2], key="l")
    assert refused["userErrors"] == [{"code": "NOT_FOUND", "path": ["changes", "1"]}]
    refused = await someone.ask(CHANGES, changes=bad, key="l")
    assert refused["userErrors"] == [{"code": "INVALID", "path": ["changes", "2"]}]
    assert await written(products) == head + 5
    same = await someone.ask(CHANGES, changes=changes, key="m")
    assert same["userErrors"] == []
    assert same["products"] == payload["products"]
    assert await written(products) == head + 5
    some = [{**changes[0], "price": eur("99")}, changes[1]]
    partly = await someone.ask(CHANGES, changes=some, key="n")
    assert [product["version"] for product in partly["products"]] == [5, 4]


async def test_a_price_to_come_holds_when_it_is_due(products: Products, clock: Clock) -> None:
    await create(products, silk())
    later = clock.now.replace(hour=13).isoformat()
    payload = await staff(products).ask(
        CHANGE, input={"price": eur("5.00"), "sku": "SILK", "effectiveAt": later}, key="k"
    )
    assert payload["product"]["variants"][0]["price"] == {"amount": "10.00"}
    head = await written(products)
    clock.forward(hours=2)
    assert await products.store.wait(head, WAIT_SECONDS_MAX) == head + 1
    await settled(products)
    read = await anonymous(products).ask('{ variant(sku: "SILK") { price { amount } } }')
    assert read == {"price": {"amount": "5.00"}}
    last = (await products.store.read(head))[0]
    assert last.metadata.actor.kind == "system_timer"


async def test_lists_are_sorted_filtered_and_paged(products: Products) -> None:
    await create(
        products,
        *(
            silk(slug, variants=[{"sku": slug.upper(), "price": eur(price)}])
            for slug, price in (("silk-scarf", "30"), ("wool-scarf", "20"), ("silk-tie", "20"))
        ),
    )
    await settled(products)
    query = """query($first: Int!, $after: String, $where: ProductWhere, $by: ProductOrder) {
      products(first: $first, after: $after, where: $where, orderBy: $by) {
        totalCount edges { node { slug } } pageInfo { hasNextPage endCursor } } }"""
    client = anonymous(products)

    async def slugs(first: int = 2, **asked: Any) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = await client.ask(query, first=first, after=after, **asked)
            found += [edge["node"]["slug"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    assert await slugs(by="TITLE") == ["silk-scarf", "silk-tie", "wool-scarf"]
    assert await slugs(first=1, by="PRICE_DESC") == ["silk-scarf", "silk-tie", "wool-scarf"]
    assert await slugs(first=1, by="PRICE_ASC") == ["wool-scarf", "silk-tie", "silk-scarf"]
    assert await slugs() == ["silk-tie", "wool-scarf", "silk-scarf"]
    assert await slugs(where={"priceMax": eur("25")}) == ["silk-tie", "wool-scarf"]
    assert await slugs(where={"priceMin": eur("25")}) == ["silk-scarf"]
    usd = {"amount": "25", "currency": "USD"}
    assert await slugs(where={"priceMax": usd}) == []
    both = {"priceMin": eur("1"), "priceMax": usd}
    assert await client.code(query, first=1, where=both) == "CURRENCY_MISMATCH"
    assert await client.code(query, first=1, where={"priceMin": eur("1.005")}) == "INVALID_MONEY"
    assert sorted(await slugs(first=1, where={"search": "silk"})) == ["silk-scarf", "silk-tie"]
    assert sorted(await slugs(where={"search": "scarff"})) == ["silk-scarf", "wool-scarf"]
    assert await slugs(where={"search": "WOOL-SCARF"}) == ["wool-scarf"]
    assert await slugs(where={"search": "\" ' & | ! ("}) == []
    assert await slugs(where={"status": "ARCHIVED"}) == []
    assert await client.code(query, first=1, where={"search": "x" * 201}) == "INVALID_PAGE"
    assert await client.code(query, first=0) == "INVALID_PAGE"


async def test_categories_form_a_tree(products: Products) -> None:
    someone = staff(products)
    make = """mutation($slug: String!, $parent: ID, $key: ID!) {
      createCategory(input: {slug: $slug, name: $slug, parentId: $parent, idempotencyKey: $key}) {
        category { id parent { slug } } userErrors { code path } } }"""
    cloth = (await someone.ask(make, slug="cloth", key="1"))["category"]["id"]
    silks = (await someone.ask(make, slug="silks", parent=cloth, key="2"))["category"]["id"]
    assert (await someone.ask(make, slug="cloth", key="3"))["userErrors"][0]["code"] == "SLUG_TAKEN"
    unknown = await someone.ask(make, slug="x", parent=new_id("cat"), key="4")
    assert unknown["userErrors"][0]["code"] == "NOT_FOUND"
    move = """mutation($id: ID!, $parent: ID) { moveCategory(id: $id, parentId: $parent) {
      category { id } userErrors { code } } }"""
    cycle = await someone.ask(move, id=cloth, parent=silks)
    assert cycle["userErrors"] == [{"code": "CATEGORY_CYCLE"}]
    await create(products, silk(categoryId=silks))
    await settled(products)
    read = await anonymous(products).ask(
        '{ product(slug: "silk") { category { name parent { name parent { name } } } } }'
    )
    assert read["category"] == {"name": "silks", "parent": {"name": "cloth", "parent": None}}
    await someone.ask(move, id=silks, parent=None)
    await someone.ask(
        'mutation($id: ID!) { renameCategory(id: $id, name: "Silk") { userErrors { code } } }',
        id=silks,
    )
    await settled(products)
    listed = await anonymous(products).ask(
        "{ categories(first: 10) { edges { node { name parent { name } } } } }"
    )
    assert [edge["node"] for edge in listed["edges"]] == [
        {"name": "Silk", "parent": None},
        {"name": "cloth", "parent": None},
    ]


async def test_details_variants_and_the_end_of_a_product(products: Products) -> None:
    payload = await create(products, silk())
    id_ = payload["products"][0]["id"]
    someone = staff(products)
    await someone.ask(
        """mutation($id: ID!) { changeProductDetails(id: $id, input: {title: "Fine silk"},
          expectedVersion: 3) { userErrors { code } } }""",
        id=id_,
    )
    add = """mutation($id: ID!, $sku: String!, $key: ID!) { addVariant(productId: $id,
      idempotencyKey: $key, input: {sku: $sku, options: [{name: "size", value: "L"}],
      weightGrams: 90, price: {amount: "12", currency: "EUR"}}) {
        product { variants { sku options { value } weightGrams } } userErrors { code path } } }"""
    assert (await someone.ask(add, id=id_, sku="SILK-L", key="1"))["userErrors"] == []
    taken = await someone.ask(add, id=id_, sku="SILK", key="2")
    assert taken["userErrors"] == [{"code": "SKU_TAKEN", "path": ["input", "sku"]}]
    other = (await create(products, silk("other")))["products"][0]["id"]
    taken = await someone.ask(add, id=other, sku="SILK", key="3")
    assert taken["userErrors"] == [{"code": "SKU_TAKEN", "path": ["input", "sku"]}]
    await someone.ask(
        f'mutation {{ archiveProduct(id: "{id_}", reason: "x") {{ userErrors {{ code }} }} }}'
    )
    refused = await someone.ask(
        f'mutation {{ publishProduct(id: "{id_}") {{ userErrors {{ code }} }} }}'
    )
    assert refused["userErrors"] == [{"code": "PRODUCT_ARCHIVED"}]
    await settled(products)
    read = await anonymous(products).ask(
        '{ product(slug: "silk") { title status variants { sku options { value } weightGrams } } }'
    )
    assert read["title"] == "Fine silk"
    assert read["status"] == "ARCHIVED"
    assert read["variants"][1] == {
        "sku": "SILK-L",
        "options": [{"value": "L"}],
        "weightGrams": 90,
    }


async def test_statements_do_not_grow_with_rows(products: Products) -> None:
    made = await create(products, *(silk(f"s{n}") for n in range(6)))
    await settled(products)
    query = """query($n: Int!) { products(first: $n) { edges { node { category { name }
      variants { sku price { amount } market: price(channel: "market") { amount }
      product { title } priceHistory(first: 2) {
        edges { node { channel } } } } } } } }"""
    selection = "... on ProductVariant { sku price { amount } product { title variants { id } } }"
    counts = []
    for n in (1, 6):
        before = products.reads.statements
        await customer(products).ask(query, n=n)
        variants = [product["variants"][0]["id"] for product in made["products"][:n]]
        references = [{"__typename": "ProductVariant", "id": id_} for id_ in variants]
        await customer(products).entities(selection, *references)
        counts.append(products.reads.statements - before)
    assert counts[0] == counts[1] == 8


@pytest.mark.slow
async def test_read_models_come_out_of_the_log_again(products: Products) -> None:
    someone = staff(products)
    made = await create(products, *(silk(f"s{n}") for n in range(3)))
    id_ = made["products"][0]["id"]
    category = 'createCategory(input: {slug: "c", name: "C", idempotencyKey: "1"})'
    for mutation in (
        category,
        f'unpublishProduct(id: "{id_}")',
        f'publishProduct(id: "{id_}", channel: "market")',
        f'changeProductDetails(id: "{id_}", input: {{title: "T", description: "D"}})',
        'changePrice(input: {sku: "S1", price: {amount: "3", currency: "EUR"}},'
        ' idempotencyKey: "2")',
        'changePrice(input: {sku: "S2", price: {amount: "3", currency: "EUR"},'
        ' effectiveAt: "2999-01-01T00:00:00Z"}, idempotencyKey: "3")',
        f'archiveProduct(id: "{id_}", reason: "x")',
    ):
        payload = await someone.ask(f"mutation {{ {mutation} {{ userErrors {{ code }} }} }}")
        assert payload == {"userErrors": []}
    await same_versions(products, "products")
    await same_versions(products, "categories")
    await rebuilt_alike(products)
