"""What staff do with categories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventstore import EffectRefused, Streams
from subgraphs.products.category import DEPTH_MAX, Category
from subgraphs.products.handlers import Context, require_staff
from subgraphs.products.keys import UNIQUE, Claim, claim
from subgraphs.products.refusals import SlugTaken
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import NotFound


class CategoryHandlers:
    """Commands on categories."""

    def __init__(self, commands: Commands, streams: Streams, new_id: Callable[[str], str]) -> None:
        self._commands, self._streams, self._new_id = commands, streams, new_id

    async def create(
        self,
        context: Context,
        *,
        slug: str,
        name: str,
        parent_id: str | None,
        body: Any,
        idempotency_key: str,
    ) -> Done[Category]:
        """Create a category. Raises SlugTaken, NotFound (the parent)."""
        require_staff(context, "create categories")
        ancestors = await self._ancestors(parent_id)
        category_id = self._new_id("cat")
        try:
            return await self._commands.run(
                context,
                Category,
                category_id,
                lambda category: category.create(slug, name, ancestors),
                operation="createCategory",
                body=body,
                idempotency_key=idempotency_key,
                effects=lambda *_: [claim([Claim("category_slug", slug, category_id)])],
            )
        except EffectRefused as error:
            if error.constraint != UNIQUE:
                raise
            raise SlugTaken(slug, path=["input", "slug"]) from error

    async def rename(
        self, context: Context, category_id: str, name: str, expected: int | None
    ) -> Done[Category]:
        """Rename a category."""
        require_staff(context, "rename categories")
        return await self._commands.run(
            context,
            Category,
            category_id,
            lambda category: category.rename(name),
            expected_version=expected,
        )

    async def move(
        self, context: Context, category_id: str, parent_id: str | None, expected: int | None
    ) -> Done[Category]:
        """Put a category below another, or at the top.

        Two moves at the same time, each below the other's category, are not seen by each other:
        readers stop at DEPTH_MAX.
        """
        require_staff(context, "move categories")
        ancestors = await self._ancestors(parent_id)
        return await self._commands.run(
            context,
            Category,
            category_id,
            lambda category: category.move(ancestors),
            expected_version=expected,
        )

    async def _ancestors(self, parent_id: str | None) -> list[str]:
        """The ids above a new child of `parent_id`, nearest first. Raises NotFound."""
        found: list[str] = []
        above = parent_id
        while above is not None and len(found) <= DEPTH_MAX:
            category, version = await self._streams.load(Category, above)
            if version == 0:
                raise NotFound("Category", above, path=["parentId"])
            found.append(above)
            above = category.parent_id
        return found
