"""Password hashes: argon2, computed in a thread, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

T = TypeVar("T")

THREADS_MAX = 2


class Passwords:
    """Hash and verify off the event loop. The costs are those of the settings.

    A hash made with other costs still verifies; `verify` then gives a new one to store.
    """

    def __init__(
        self, *, time_cost: int = 3, memory_kib: int = 65_536, parallelism: int = 4
    ) -> None:
        self._hash = PasswordHash(
            (Argon2Hasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism),)
        )
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="argon2")
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store, with its salt and costs in it."""
        return await self._in_thread(lambda: self._hash.hash(password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether the password is the one, and a hash to store instead if the costs have changed.

        Takes as long for a user that does not exist (`stored` is None): time must not tell.
        """
        if stored is not None:
            return await self._in_thread(lambda: self._hash.verify_and_update(password, stored))
        nobody = self._nobody
        if nobody is None:
            nobody = self._nobody = await self.hash("the password of nobody")
        await self._in_thread(lambda: self._hash.verify(password, nobody))
        return False, None

    def close(self) -> None:
        """Wait for what runs, and let the threads go."""
        self._threads.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
