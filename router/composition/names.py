"""The names of federation directives in a schema whose links are understood (see `FEDERATED`)."""

from __future__ import annotations

from router.composition.model import FEDERATED

KEY = f"{FEDERATED}key"
REQUIRES = f"{FEDERATED}requires"
PROVIDES = f"{FEDERATED}provides"
EXTERNAL = f"{FEDERATED}external"
EXTENDS = f"{FEDERATED}extends"
SHAREABLE = f"{FEDERATED}shareable"
OVERRIDE = f"{FEDERATED}override"
TAG = f"{FEDERATED}tag"
INACCESSIBLE = f"{FEDERATED}inaccessible"
COMPOSE_DIRECTIVE = f"{FEDERATED}composeDirective"
INTERFACE_OBJECT = f"{FEDERATED}interfaceObject"
AUTHENTICATED = f"{FEDERATED}authenticated"
REQUIRES_SCOPES = f"{FEDERATED}requiresScopes"
POLICY = f"{FEDERATED}policy"
CONTEXT = f"{FEDERATED}context"
FROM_CONTEXT = f"{FEDERATED}fromContext"
COST = f"{FEDERATED}cost"
LIST_SIZE = f"{FEDERATED}listSize"
CACHE_TAG = f"{FEDERATED}cacheTag"

ACCESS_CONTROL = (AUTHENTICATED, REQUIRES_SCOPES, POLICY)
"""Directives whose demands travel between interfaces and their implementations."""


def plain(name: str) -> str:
    """The canonical name without the mark: `~key` is `key`; other names stay as they are."""
    return name.removeprefix(FEDERATED)
