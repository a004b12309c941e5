"""Type references (`[Product!]!`) as small immutable values, and which may stand for which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphql import ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode, parse_type


@dataclass(frozen=True, slots=True)
class Named:
    """A reference to a named type."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `inner`."""

    inner: TypeRef

    def __str__(self) -> str:
        return f"[{self.inner}]"


@dataclass(frozen=True, slots=True)
class NonNull:
    """`inner`, never null. `inner` is not itself NonNull."""

    inner: Named | ListOf

    def __str__(self) -> str:
        return f"{self.inner}!"


TypeRef = Named | ListOf | NonNull

IsSubtype = Callable[[str, str], bool]
"""(supertype, maybe subtype) of two named types: interface and implementer, or union and member."""


def base_name(ref: TypeRef) -> str:
    """The named type at the bottom."""
    while not isinstance(ref, Named):
        ref = ref.inner
    return ref.name


def nullable(ref: TypeRef) -> Named | ListOf:
    """The same reference without its outermost `!`."""
    return ref.inner if isinstance(ref, NonNull) else ref


def is_list(ref: TypeRef) -> bool:
    """A list, null or not."""
    return isinstance(nullable(ref), ListOf)


def from_node(node: TypeNode) -> TypeRef:
    """The reference that a syntax node spells."""
    if isinstance(node, NonNullTypeNode):
        inner = from_node(node.type)
        assert not isinstance(inner, NonNull)
        return NonNull(inner)
    if isinstance(node, ListTypeNode):
        return ListOf(from_node(node.type))
    assert isinstance(node, NamedTypeNode)
    return Named(node.name.value)


def parse(text: str) -> TypeRef:
    """Read `[Int!]!`. Raises GraphQLSyntaxError."""
    return from_node(parse_type(text, no_location=True))


def is_strict_subtype(supertype: TypeRef, subtype: TypeRef, named: IsSubtype) -> bool:
    """Whether `subtype` is narrower: non-null under nullable, item by item in lists, and by name.

    Equal references are not strict subtypes. `named` decides about two different named types.
    """
    if isinstance(subtype, NonNull):
        if isinstance(supertype, NonNull):
            return is_strict_subtype(supertype.inner, subtype.inner, named)
        return subtype.inner == supertype or is_strict_subtype(supertype, subtype.inner, named)
    if isinstance(supertype, NonNull):
        return False
    if isinstance(subtype, ListOf):
        return isinstance(supertype, ListOf) and is_strict_subtype(
            supertype.inner, subtype.inner, named
        )
    if isinstance(supertype, ListOf):
        return False
    return supertype != subtype and named(supertype.name, subtype.name)
