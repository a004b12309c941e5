"""The PostgreSQL that a benchmark runs on: durable, as a shop's own is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from lonja.postgres import EmbeddedPostgres


@contextmanager
def durable_server(
    data_dir: Path | None, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[EmbeddedPostgres]:
    """In `data_dir`, which is kept, or in a folder that is not."""
    with tempfile.TemporaryDirectory(prefix="lonja-benchmark-") as folder:
        Path(folder).chmod(0o755)  # the server's account must be able to enter
        own = data_dir or Path(folder, "data")
        with EmbeddedPostgres(own, throwaway=data_dir is None, settings=settings) as server:
            yield server
