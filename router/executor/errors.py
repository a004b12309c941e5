"""Errors of an answer: made in one place, capped, and known by the places they explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from router.executor.paths import ResponsePath
from router.planner.plan import LIST
from router.transport.errors import SubgraphError

ERRORS_MAX: Final = 1_000
"""Errors in one answer; the last one says how many were left out."""

Pattern: TypeAlias = tuple[str | int, ...]
"""A response path in which `@` stands for any index."""

DEFAULT_CODE: Final = "DOWNSTREAM_SERVICE_ERROR"
"""Code of a subgraph's error that names none."""

_END: Final = 0.5
"""Marks the end of a pattern in the tree of patterns; no path element equals it."""


class ErrorSink:
    """Collects errors. `masked` hides what subgraphs say, but for their codes."""

    __slots__ = ("_patterns", "left_out", "list", "masked")

    def __init__(self, *, masked: bool = False) -> None:
        self.list: list[dict[str, Any]] = []
        self.left_out = 0
        self.masked = masked
        self._patterns: list[Pattern] = []

    def add(self, error: dict[str, Any], covers: Iterable[Pattern] = ()) -> None:
        """Keep an error; besides its path, `covers` are places whose missing values it explains."""
        if "path" in error:
            self._patterns.append(tuple(error["path"]))
        self._patterns.extend(covers)
        if len(self.list) >= ERRORS_MAX:
            self.left_out += 1
            return
        self.list.append(error)

    def subgraph_failed(
        self, failure: SubgraphError, path: ResponsePath, covers: Iterable[Pattern]
    ) -> None:
        """One error for a fetch that failed as a whole."""
        error: dict[str, Any] = {"message": str(failure)}
        if path:
            error["path"] = list(path)
        error["extensions"] = failure.extensions()
        self.add(error, covers)

    def subgraph_said(
        self,
        service: str,
        said: Mapping[str, Any],
        path: ResponsePath,
        covers: Iterable[Pattern] = (),
    ) -> None:
        """Hand on an error of a subgraph, but for its `locations`: they are of another text."""
        extensions = said.get("extensions")
        extensions = dict(extensions) if isinstance(extensions, dict) else {}
        message = said.get("message")
        if not isinstance(message, str):
            message = f'subgraph "{service}" reported an error without a message'
        if not isinstance(extensions.get("code"), str):
            extensions["code"] = DEFAULT_CODE
        extensions["service"] = service
        if self.masked:
            message = f'subgraph "{service}" reported an error'
            extensions = {"code": extensions["code"], "service": service}
        error: dict[str, Any] = {"message": message}
        if path:
            error["path"] = list(path)
        error["extensions"] = extensions
        self.add(error, covers)

    def explanations(self) -> Explanations:
        """What the errors so far explain."""
        return Explanations(self._patterns)

    def finished(self) -> list[dict[str, Any]]:
        """All errors, and one more for those left out."""
        if not self.left_out:
            return self.list
        message = f"{self.left_out} more errors were left out of this answer"
        return [*self.list, {"message": message, "extensions": {"code": "ERRORS_LEFT_OUT"}}]


class Explanations:
    """A tree of the places that errors are about."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._root: dict[str | int | float, Any] = {}
        for pattern in patterns:
            self.add(pattern)

    def add(self, pattern: Pattern) -> None:
        """Note one more."""
        node = self._root
        for element in pattern:
            node = node.setdefault(element, {})
        node[_END] = {}

    def explain(self, path: ResponsePath) -> bool:
        """Whether an error is about this place, one above it or one below it."""
        nodes = [self._root]
        for element in path:
            if any(_END in node for node in nodes):
                return True
            keys = (element, LIST) if isinstance(element, int) else (element,)
            nodes = [node[key] for node in nodes for key in keys if key in node]
        return bool(nodes)
