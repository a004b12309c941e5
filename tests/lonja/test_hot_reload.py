"""The router's reading anew of what it serves."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from lonja.commands.router import _reload_when_told
from router.composition import Subgraph, compose
from router.http import create_app

SDL: Final = "type Query { ok: Boolean }"


async def test_whatever_is_wrong_with_a_file_the_next_one_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file that is read while it is written may be wrong in ways that nobody thought of."""
    sdl = compose([Subgraph("one", SDL, "http://one.test")]).supergraph_sdl
    assert sdl is not None
    app = create_app(sdl)
    first = app.pipeline
    told = asyncio.Event()
    broken = [True]

    def source() -> str:
        if broken:
            broken.clear()
            raise TypeError("'NoneType' object is not subscriptable")
        return sdl

    reloading = asyncio.create_task(_reload_when_told(app, source, told, None))
    try:
        async with asyncio.timeout(10):
            for _ in range(2):
                told.set()
                while told.is_set():
                    await asyncio.sleep(0)
                    if reloading.done():
                        reloading.result()
            while app.pipeline is first:
                await asyncio.sleep(0)
                if reloading.done():
                    reloading.result()
    finally:
        reloading.cancel()
        await app.close()
    assert "was not replaced: TypeError" in capsys.readouterr().err
