"""The directives of Federation by version, and the feature each composed one becomes.

Source: the Apollo Federation subgraph specification 2.0 to 2.14 and Federation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphql import parse

from router.composition.build import build_schema
from router.composition.model import DirectiveDef

Version = tuple[int, int]

FEDERATION = "https://specs.apollo.dev/federation"
LINK = "https://specs.apollo.dev/link"
JOIN = "https://specs.apollo.dev/join"
CONNECT = "https://specs.apollo.dev/connect"
FEDERATION_MINORS_MAX = 14
"""Federation 2.0 to 2.14 are known."""
FED1_UPGRADE_VERSION: Version = (2, 4)
"""What a Federation 1 schema counts as."""

JOIN_VERSIONS: tuple[tuple[Version, str], ...] = (
    ((2, 8), "v0.5"),
    ((2, 7), "v0.4"),
    ((2, 0), "v0.3"),
)
"""The least federation version in use, newest first, and the join spec it needs."""

Strategy = Literal["MAX", "DNF_CONJUNCTION", "NULLABLE_MAX", "NULLABLE_UNION", "NULLABLE_AND"]
Purpose = Literal["SECURITY", "EXECUTION"]

_ELEMENTS = (
    "FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM"
    " | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION"
)
_AUTH = "FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM"

_BY_VERSION: tuple[tuple[Version, str], ...] = (
    (
        (2, 0),
        f"""
        directive @key(fields: FieldSet!, resolvable: Boolean = true)
            repeatable on OBJECT | INTERFACE
        directive @requires(fields: FieldSet!) on FIELD_DEFINITION
        directive @provides(fields: FieldSet!) on FIELD_DEFINITION
        directive @external(reason: String) on OBJECT | FIELD_DEFINITION
        directive @extends on OBJECT | INTERFACE
        directive @tag(name: String!) repeatable on {_ELEMENTS}
        directive @shareable on OBJECT | FIELD_DEFINITION
        directive @inaccessible on {_ELEMENTS}
        directive @override(from: String!) on FIELD_DEFINITION
        """,
    ),
    ((2, 1), "directive @composeDirective(name: String) repeatable on SCHEMA"),
    ((2, 2), "directive @shareable repeatable on OBJECT | FIELD_DEFINITION"),
    (
        (2, 3),
        f"""
        directive @interfaceObject on OBJECT
        directive @tag(name: String!) repeatable on {_ELEMENTS} | SCHEMA
        """,
    ),
    (
        (2, 5),
        f"""
        directive @authenticated on {_AUTH}
        directive @requiresScopes(scopes: [[Scope!]!]!) on {_AUTH}
        """,
    ),
    ((2, 6), f"directive @policy(policies: [[Policy!]!]!) on {_AUTH}"),
    ((2, 7), "directive @override(from: String!, label: String) on FIELD_DEFINITION"),
    (
        (2, 8),
        """
        directive @context(name: String!) repeatable on INTERFACE | OBJECT | UNION
        directive @fromContext(field: ContextFieldValue) on ARGUMENT_DEFINITION
        """,
    ),
    (
        (2, 9),
        """
        directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION
            | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
        directive @listSize(
            assumedSize: Int, slicingArguments: [String!], sizedFields: [String!],
            requireOneSlicingArgument: Boolean = true
        ) on FIELD_DEFINITION
        """,
    ),
    ((2, 12), "directive @cacheTag(format: String!) repeatable on OBJECT | FIELD_DEFINITION"),
)

FED1_DIRECTIVES = ("key", "requires", "provides", "external", "extends", "tag")
FED1_IMPORTS = (
    *FED1_DIRECTIVES,
    "shareable",
    "inaccessible",
    "override",
    "composeDirective",
    "interfaceObject",
)
"""What a Federation 1 schema may use under its plain name once it is upgraded."""

FEDERATION_TYPES: dict[str, Version] = {
    "FieldSet": (2, 0),
    "Scope": (2, 5),
    "Policy": (2, 6),
    "ContextFieldValue": (2, 8),
}
"""Scalars of the federation spec and the version that brought them."""


def _definitions() -> tuple[tuple[Version, dict[str, DirectiveDef]], ...]:
    return tuple(
        (version, build_schema(parse(source, no_location=True)).directives)
        for version, source in _BY_VERSION
    )


_DEFINITIONS = _definitions()


def federation_directives(version: Version) -> dict[str, DirectiveDef]:
    """The definitions in force at a version, by canonical name. Their types are canonical too."""
    answer: dict[str, DirectiveDef] = {}
    for since, definitions in _DEFINITIONS:
        if since <= version:
            answer |= definitions
    return answer


ALL_FEDERATION_DIRECTIVES = federation_directives((2, FEDERATION_MINORS_MAX))


@dataclass(frozen=True, slots=True)
class Composed:
    """How a federation directive appears in the supergraph.

    `types` are the feature's own scalars (`Scope` is printed `requiresScopes__Scope`).
    `strategies` say how arguments that differ are merged. `joined` directives are kept apart by
    subgraph, in `join__directive`.
    """

    feature: str
    version: str
    purpose: Purpose | None = None
    types: tuple[str, ...] = ()
    strategies: tuple[tuple[str, Strategy], ...] = ()
    joined: bool = False

    @property
    def identity(self) -> str:
        return f"https://specs.apollo.dev/{self.feature}"


COMPOSED: dict[str, Composed] = {
    "tag": Composed("tag", "v0.3"),
    "inaccessible": Composed("inaccessible", "v0.2", "SECURITY"),
    "authenticated": Composed("authenticated", "v0.1", "SECURITY"),
    "requiresScopes": Composed(
        "requiresScopes", "v0.1", "SECURITY", ("Scope",), (("scopes", "DNF_CONJUNCTION"),)
    ),
    "policy": Composed(
        "policy", "v0.1", "SECURITY", ("Policy",), (("policies", "DNF_CONJUNCTION"),)
    ),
    "context": Composed("context", "v0.1", "SECURITY", ("ContextFieldValue",)),
    "cost": Composed("cost", "v0.1", None, (), (("weight", "MAX"),)),
    "listSize": Composed(
        "cost",
        "v0.1",
        None,
        (),
        (
            ("assumedSize", "NULLABLE_MAX"),
            ("slicingArguments", "NULLABLE_UNION"),
            ("sizedFields", "NULLABLE_UNION"),
            ("requireOneSlicingArgument", "NULLABLE_AND"),
        ),
    ),
    "cacheTag": Composed("cacheTag", "v0.1", "EXECUTION", joined=True),
}
"""Federation directives that reach the supergraph, in the order of their features there."""

FEATURE_DIRECTIVES: dict[str, tuple[tuple[str, Version], ...]] = {
    "tag": (("tag", (2, 0)),),
    "inaccessible": (("inaccessible", (2, 0)),),
    "authenticated": (("authenticated", (2, 5)),),
    "requiresScopes": (("requiresScopes", (2, 5)),),
    "policy": (("policy", (2, 6)),),
    "context": (("context", (2, 8)), ("fromContext", (2, 8))),
    "cost": (("cost", (2, 9)), ("listSize", (2, 9))),
    "cacheTag": (("cacheTag", (2, 12)),),
}
"""Features that a subgraph may link directly, their directives, and the version that implies."""


def join_version(version: Version) -> str:
    """The join spec that a graph of this federation version needs."""
    return next(name for since, name in JOIN_VERSIONS if version >= since)
