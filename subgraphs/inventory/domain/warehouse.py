"""A warehouse: a code, a name, a country."""

from __future__ import annotations

from dataclasses import dataclass, replace

from subgraphs.inventory.events import WarehouseCreated


@dataclass(frozen=True, slots=True)
class Warehouse:
    """State folded from one warehouse stream."""

    id: str
    code: str = ""
    name: str = ""
    country: str = ""

    @classmethod
    def initial(cls, stream: str) -> Warehouse:
        return cls(stream)

    @property
    def exists(self) -> bool:
        return self.code != ""

    def create(self, code: str, name: str, country: str) -> list[WarehouseCreated]:
        """Decide. Nothing to do for a warehouse that exists."""
        if self.exists:
            return []
        return [WarehouseCreated(code, name, country)]

    def evolve(self, event: WarehouseCreated) -> Warehouse:
        """Fold. Never refuses: the event already happened."""
        return replace(self, code=event.code, name=event.name, country=event.country)
