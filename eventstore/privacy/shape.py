"""Which fields of an event type are personal, whose they are, and what stands in once forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from eventstore.event import ERASED, Event

MEMBER = "$personal"
"""The member of a stored payload that holds the personal ones, sealed. It sorts before them all."""


@dataclass(frozen=True, slots=True)
class PersonalShape:
    """`subject` is the member that names the person, `stand_ins` has a value for each personal one:
    text reads "erased", a list has one stand-in, an object its members', what may be null is null.
    `fields` are the names of the personal ones in the class.
    """

    subject: str
    stand_ins: dict[str, Any]
    fields: tuple[str, ...]

    def told_by(self, event: Event) -> bool:
        """Whether an event tells anything of the person: all personal fields null is nothing, and
        is stored of somebody who was erased, too.
        """
        return any(getattr(event, name) is not None for name in self.fields)


class NoStandIn(ValueError):
    """A personal field whose type has no value that says "erased"."""


def personal_shape(cls: type[Event]) -> PersonalShape | None:
    """The shape of a class; None if nothing in it is personal.

    Raises ValueError for a subject that is missing, unknown or no text, for a personal field that
    has no stand-in, and for one inside another object, which would not be sealed.
    """
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    personal, fields = {}, []
    for member in info.fields:
        if is_personal(member.type):
            personal[member.encode_name] = member.type
            fields.append(member.name)
        elif any(is_personal(inner) for inner in _inside(member.type)):
            raise ValueError(
                f"{cls.__name__}.{member.name} has personal fields: mark it as a whole"
            )
    if cls.SUBJECT is None and not personal:
        return None
    if cls.SUBJECT is None or not personal:
        raise ValueError(
            f"{cls.__name__} has personal fields {sorted(personal)} and the subject {cls.SUBJECT}: "
            "expected both, as in @event_type(..., subject='user_id')"
        )
    for name in cls.__struct_encode_fields__:
        if name <= MEMBER:
            raise ValueError(f"{cls.__name__} stores a field as {name!r}: start it with a letter")
    subject = _subject(cls, info)
    stand_ins: dict[str, Any] = {}
    for name, kind in personal.items():
        try:
            stand_ins[name] = stand_in(kind)
        except NoStandIn as error:
            raise ValueError(f"{cls.__name__}: the personal field {name} {error}") from None
    _check(cls, info, stand_ins)
    return PersonalShape(subject, stand_ins, tuple(fields))


def _subject(cls: type[Event], info: inspect.StructType) -> str:
    for member in info.fields:
        if member.name == cls.SUBJECT:
            kinds = list(_variants(member.type))
            if is_personal(member.type) or not any(isinstance(k, inspect.StrType) for k in kinds):
                raise ValueError(f"{cls.__name__}.{cls.SUBJECT} names the subject: expected an id")
            return member.encode_name
    raise ValueError(f"{cls.__name__} has no field {cls.SUBJECT!r}, which is to name its subject")


def _check(cls: type[Event], info: inspect.StructType, stand_ins: dict[str, Any]) -> None:
    """A constraint of a field (a pattern, a length) may refuse its stand-in."""
    hints = {field.encode_name: field.type for field in msgspec.structs.fields(cls)}
    for name, value in stand_ins.items():
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            raise ValueError(
                f"{cls.__name__}: the personal field {name} cannot read {value!r} ({error}): "
                "loosen it, or let it be null"
            ) from None


def is_personal(kind: inspect.Type) -> bool:
    """Whether a field is marked, by itself or in one variant: `Personal[str] | None`."""
    match kind:
        case inspect.Metadata(extra=extra) if extra and extra.get("personal"):
            return True
        case inspect.Metadata(type=inner):
            return is_personal(inner)
        case inspect.UnionType(types=variants):
            return any(map(is_personal, variants))
        case _:
            return False


def stand_in(kind: inspect.Type) -> Any:
    """The JSON value in place of a forgotten one. Raises NoStandIn."""
    variants = list(_variants(kind))
    for variant in variants:
        if isinstance(variant, inspect.StrType):
            return ERASED
    if any(isinstance(v, (inspect.NoneType, inspect.AnyType)) for v in variants):
        return None
    match variants[0]:
        case inspect.VarTupleType() | inspect.CollectionType() as several:
            return [stand_in(several.item_type)]
        case inspect.DictType():
            return {}
        case inspect.StructType(array_like=False) as struct:
            found = {m.encode_name: stand_in(m.type) for m in struct.fields if _needs(m)}
            return {struct.tag_field: struct.tag, **found} if struct.tag_field else found
        case inspect.DataclassType() | inspect.TypedDictType() as other:
            return {m.encode_name: stand_in(m.type) for m in other.fields if _needs(m)}
        case found:
            raise NoStandIn(
                f"is {type(found).__name__.removesuffix('Type').lower()}: what was forgotten could "
                "not be told from what is true. Let it be null, or text"
            )


def _needs(member: inspect.Field) -> bool:
    """Text is always replaced; what has a default and no stand-in reads as its default."""
    try:
        stand_in(member.type)
    except NoStandIn:
        return member.required
    return True


def _variants(kind: inspect.Type) -> Iterator[inspect.Type]:
    match kind:
        case inspect.Metadata(type=inner):
            yield from _variants(inner)
        case inspect.UnionType(types=several):
            for each in several:
                yield from _variants(each)
        case _:
            yield kind


def _inside(kind: inspect.Type, seen: frozenset[type] = frozenset()) -> Iterator[inspect.Type]:
    """All types within a type."""
    for variant in _variants(kind):
        match variant:
            case inspect.StructType() | inspect.DataclassType() if variant.cls not in seen:
                inner = [member.type for member in variant.fields]
            case inspect.TypedDictType() | inspect.NamedTupleType():
                inner = [member.type for member in variant.fields]
            case inspect.DictType():
                inner = [variant.value_type]
            case inspect.TupleType():
                inner = list(variant.item_types)
            case inspect.VarTupleType() | inspect.CollectionType():
                inner = [variant.item_type]
            case _:
                inner = []
        known = seen | {variant.cls} if hasattr(variant, "cls") else seen
        for each in inner:
            yield each
            yield from _inside(each, known)
