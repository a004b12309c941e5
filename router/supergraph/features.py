"""Which specifications a supergraph links, and what names belong to them.

Source: the link specification v1.0 (and core v0.1-v0.2, its older form).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from graphql import (
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumValueNode,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectValueNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeNode,
)

from router.supergraph.errors import FeatureUnsupported, JoinSpecUnsupported, NotASupergraph

_URL: Final = re.compile(r"^(?P<identity>.*?/(?P<name>[^/]+))/v(?P<version>\d+\.\d+)/?$")
_EXECUTABLE: Final = frozenset(
    (
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    )
)
JOIN_VERSIONS: Final = ("0.2", "0.3", "0.4", "0.5")
KNOWN: Final = frozenset(
    (
        "link",
        "core",
        "join",
        "tag",
        "inaccessible",
        "authenticated",
        "requiresScopes",
        "policy",
        "context",
        "cost",
        "cacheTag",
        "connect",
        "source",
    )
)
"""Features that may be marked as needed by the router. Those it has nothing to do for while it
plans (authorisation, cost) are read elsewhere."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A linked specification: `name` in its URL, `alias` its prefix in this document.

    `imports` maps a name of the specification (directives with `@`) to the name used here.
    """

    name: str
    version: str
    alias: str
    imports: dict[str, str]

    def directive(self, name: str) -> str:
        """The name used here for the feature's directive `name`, without `@`."""
        if f"@{name}" in self.imports:
            return self.imports[f"@{name}"][1:]
        return self.alias if name == self.name else f"{self.alias}__{name}"

    def owns_type(self, name: str) -> bool:
        """Whether the type called `name` here belongs to the feature."""
        return name.startswith(f"{self.alias}__") or name in self.imports.values()

    def owns_directive(self, name: str) -> bool:
        """Whether the directive called `name` here belongs to the feature."""
        return name == self.alias or self.owns_type(name) or f"@{name}" in self.imports.values()


@dataclass(frozen=True, slots=True)
class Features:
    """All linked features by name. `join` is always there."""

    by_name: dict[str, Feature]

    @property
    def join(self) -> Feature:
        return self.by_name["join"]

    def directive(self, feature: str, name: str) -> str | None:
        """The local name of a directive, or None where the feature is not linked."""
        found = self.by_name.get(feature)
        return found.directive(name) if found else None

    def own(self, definition: TypeDefinitionNode | DirectiveDefinitionNode) -> bool:
        """Whether the definition is machinery of a feature rather than part of the graph.

        A composed directive that clients may use is part of it, unless its arguments are of the
        feature's types.
        """
        name = definition.name.value
        if isinstance(definition, TypeDefinitionNode):
            return self._own_type(name)
        if not any(feature.owns_directive(name) for feature in self.by_name.values()):
            return False
        return not any(one.value in _EXECUTABLE for one in definition.locations) or any(
            self._own_type(_named(argument.type)) for argument in definition.arguments or ()
        )

    def _own_type(self, name: str) -> bool:
        return any(feature.owns_type(name) for feature in self.by_name.values())


def _named(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        assert isinstance(node, ListTypeNode | NonNullTypeNode)
        node = node.type
    return node.name.value


def read_features(document: DocumentNode) -> Features:
    """Read `@link` (or `@core`). Raises NotASupergraph, JoinSpecUnsupported, FeatureUnsupported."""
    features: dict[str, Feature] = {}
    for directive in _link_applications(document):
        feature, purpose, url = _read_link(directive)
        if feature is None:
            continue
        if purpose and feature.name not in KNOWN:
            raise FeatureUnsupported(url, purpose)
        features[feature.name] = feature
    if "join" not in features:
        raise NotASupergraph("the schema links no join specification")
    version = features["join"].version
    if version not in JOIN_VERSIONS:
        raise JoinSpecUnsupported(f"v{version}", ", ".join(f"v{known}" for known in JOIN_VERSIONS))
    return Features(features)


def _link_applications(document: DocumentNode) -> Iterator[ConstDirectiveNode]:
    for definition in document.definitions:
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode):
            for directive in definition.directives or ():
                names = {argument.name.value for argument in directive.arguments or ()}
                if names & {"url", "feature"}:
                    yield directive


def _read_link(directive: ConstDirectiveNode) -> tuple[Feature | None, str, str]:
    values = {argument.name.value: argument.value for argument in directive.arguments or ()}
    url_node = values.get("url") or values.get("feature")
    url = url_node.value if isinstance(url_node, StringValueNode) else ""
    match = _URL.match(url)
    if match is None:
        return None, "", url
    alias, purpose = values.get("as"), values.get("for")
    name = match["name"]
    feature = Feature(
        name,
        match["version"],
        alias.value if isinstance(alias, StringValueNode) else name,
        _imports(values.get("import")),
    )
    return feature, purpose.value if isinstance(purpose, EnumValueNode) else "", url


def _imports(node: object) -> dict[str, str]:
    imports: dict[str, str] = {}
    for item in node.values if isinstance(node, ListValueNode) else ():
        if isinstance(item, StringValueNode):
            imports[item.value] = item.value
        elif isinstance(item, ObjectValueNode):
            fields = {
                field.name.value: field.value.value
                for field in item.fields
                if isinstance(field.value, StringValueNode)
            }
            if "name" in fields:
                imports[fields["name"]] = fields.get("as", fields["name"])
    return imports
