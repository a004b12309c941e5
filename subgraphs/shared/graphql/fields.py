"""Strawberry's field decorators with arguments, typed: its own are `Any` to a type checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def field(
    description: str | None = None, *, deprecation_reason: str | None = None
) -> Callable[[F], F]:
    """A resolver with a description."""
    decorate: Callable[[F], F] = strawberry.field(
        description=description, deprecation_reason=deprecation_reason
    )
    return decorate


def mutation(
    description: str | None = None, *, deprecation_reason: str | None = None
) -> Callable[[F], F]:
    """A mutation with a description."""
    decorate: Callable[[F], F] = strawberry.mutation(
        description=description, deprecation_reason=deprecation_reason
    )
    return decorate


def subscription(description: str | None = None) -> Callable[[F], F]:
    """A coroutine function that checks who asks, then returns an async generator of what comes."""
    decorate: Callable[[F], F] = strawberry.subscription(description=description)
    return decorate


def federated(
    *,
    requires: Sequence[str] | None = None,
    provides: Sequence[str] | None = None,
    shareable: bool = False,
    description: str | None = None,
) -> Callable[[F], F]:
    """A resolver with federation directives.

    Fields that `requires` names reach `resolve_reference` under their GraphQL names: take `**rest`.
    """
    decorate: Callable[[F], F] = strawberry.federation.field(
        requires=list(requires or ()),
        provides=list(provides or ()),
        shareable=shareable,
        description=description,
    )
    return decorate
