"""Categories, given, when, then."""

from __future__ import annotations

from subgraphs.products.category import DEPTH_MAX, Category
from subgraphs.products.events import CategoryCreated, CategoryMoved, CategoryRenamed
from subgraphs.products.refusals import CategoryCycle
from subgraphs.shared.errors import InvalidValue, NotFound
from tests.support.given import given

CREATED = CategoryCreated("cat_1", "silk", "Silk", None)


def test_create() -> None:
    nothing = given(Category, "cat_1")
    nothing.when(lambda c: c.create("silk", " Silk ", [])).then(CREATED)
    nothing.when(lambda c: c.create("silk", "Silk", ["cat_2", "cat_3"])).then(
        CategoryCreated("cat_1", "silk", "Silk", "cat_2")
    )
    given(Category, "cat_1", CREATED).when(lambda c: c.create("silk", "Silk", [])).then_nothing()


def test_what_cannot_be_created() -> None:
    nothing = given(Category, "cat_1")
    nothing.when(lambda c: c.create("", "Silk", [])).then_raises(InvalidValue, "slug")
    nothing.when(lambda c: c.create("silk", " ", [])).then_raises(InvalidValue, "name")
    deep = [f"cat_{n}" for n in range(DEPTH_MAX)]
    nothing.when(lambda c: c.create("silk", "Silk", deep)).then_raises(InvalidValue, "deep")


def test_rename() -> None:
    silk = given(Category, "cat_1", CREATED)
    silk.when(lambda c: c.rename("Silks")).then(CategoryRenamed("cat_1", "Silks"))
    silk.when(lambda c: c.rename("Silk")).then_nothing()
    given(Category, "cat_1").when(lambda c: c.rename("Silk")).then_raises(NotFound)


def test_move_but_not_below_itself() -> None:
    silk = given(Category, "cat_1", CREATED)
    silk.when(lambda c: c.move(["cat_2"])).then(CategoryMoved("cat_1", "cat_2"))
    silk.when(lambda c: c.move([])).then_nothing()
    silk.when(lambda c: c.move(["cat_2", "cat_1"])).then_raises(CategoryCycle)
