"""Files that tell of a person go when the person is erased."""

from __future__ import annotations

from projections import Message
from subgraphs.journal.exporting import Exports
from subgraphs.shared.forgetting import AfterErasure, Erased


class WithdrawExports(AfterErasure):
    """The journal's log has forgotten them when this hears of it: what is written anew does not
    tell of them.
    """

    name = "withdraw_exports"

    def __init__(self, exports: Exports) -> None:
        super().__init__(_at_once)
        self._exports = exports

    async def forget(self, erased: Erased, message: Message) -> None:
        await self._exports.forget(erased.subject)


async def _at_once(position: int, seconds: float) -> bool:
    """The journal has no read models that could be behind."""
    return True
