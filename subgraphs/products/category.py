"""Categories: a tree, each of its nodes a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eventstore.event import Event
from subgraphs.products.events import CategoryCreated, CategoryMoved, CategoryRenamed
from subgraphs.products.refusals import CategoryCycle
from subgraphs.shared.errors import InvalidValue, NotFound

DEPTH_MAX = 10
NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Category:
    """State folded from one category's stream; `slug` is empty before its first event."""

    id: str
    slug: str = ""
    name: str = ""
    parent_id: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Category:
        """No category yet."""
        return cls(stream)

    def create(self, slug: str, name: str, ancestors: Sequence[str]) -> list[Event]:
        """Decide. `ancestors` are the ids above, nearest first."""
        if self.slug:
            return []
        if not slug or len(slug) > 120 or not slug.isprintable() or " " in slug:
            raise InvalidValue("a slug has 1 to 120 characters, no blanks", path=["input", "slug"])
        _check_depth(ancestors)
        parent_id = ancestors[0] if ancestors else None
        return [CategoryCreated(self.id, slug, _name(name), parent_id)]

    def rename(self, name: str) -> list[Event]:
        """Decide. The same name is nothing to do."""
        self._existing()
        checked = _name(name)
        return [] if checked == self.name else [CategoryRenamed(self.id, checked)]

    def move(self, ancestors: Sequence[str]) -> list[Event]:
        """Decide. Raises CategoryCycle where it would come to be below itself."""
        self._existing()
        if self.id in ancestors:
            raise CategoryCycle(f"{self.id} cannot be below itself", path=["parentId"])
        _check_depth(ancestors)
        parent_id = ancestors[0] if ancestors else None
        return [] if parent_id == self.parent_id else [CategoryMoved(self.id, parent_id)]

    def evolve(self, event: Event) -> Category:
        """Fold. Never refuses: the event already happened."""
        match event:
            case CategoryCreated():
                return replace(self, slug=event.slug, name=event.name, parent_id=event.parent_id)
            case CategoryRenamed():
                return replace(self, name=event.name)
            case CategoryMoved():
                return replace(self, parent_id=event.parent_id)
            case _:
                return self

    def _existing(self) -> None:
        if not self.slug:
            raise NotFound("Category", self.id, path=["id"])


def _check_depth(ancestors: Sequence[str]) -> None:
    if len(ancestors) >= DEPTH_MAX:
        raise InvalidValue(f"categories are at most {DEPTH_MAX} deep", path=["parentId"])


def _name(name: str) -> str:
    checked = name.strip()
    if not checked or len(checked) > NAME_CHARACTERS_MAX or not checked.isprintable():
        raise InvalidValue(
            f"a name has 1 to {NAME_CHARACTERS_MAX} printable characters", path=["input", "name"]
        )
    return checked
