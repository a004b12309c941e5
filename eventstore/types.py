"""The registry of event types: what a payload may be, and how old ones become new ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from eventstore.canonical import NotCanonical, canonical
from eventstore.errors import MalformedEvent, UnknownEventType
from eventstore.event import ERASED, Event
from eventstore.privacy.erasure import SubjectErased
from eventstore.privacy.shape import PersonalShape, personal_shape

Declared = type[msgspec.Struct]


@dataclass(frozen=True, slots=True)
class Upcaster:
    """Turns the payload of `from_version` into that of the next version. `function` is pure: it
    takes the payload as JSON objects (a dict it may change) and returns the new one.

    `erased` has what stands for the personal members of that version in events of a person who was
    erased, by name: those that the newest version has no more.

    `was` declares the payload of `from_version`, or `sample` is one, for whoever reads old events
    as they were stored: neither is held against them.
    """

    type: str
    from_version: int
    function: Callable[[dict[str, Any]], dict[str, Any]]
    erased: Mapping[str, Any] = field(default_factory=dict)
    was: Declared | None = None
    sample: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Registered:
    cls: type[Event]
    decoder: msgspec.json.Decoder[Any]
    plain: bool  # sorted keys alone make its JSON canonical
    keyed: bool  # has objects whose member names are data
    counted: bool  # has integers
    personal: PersonalShape | None


class EventTypes:
    """Event classes by the name they are stored under, with the upcasters of their old versions.
    Every registry knows `subject.erased`.

    Raises ValueError for two classes of one name, a class without a name, a gap between upcasters,
    personal fields that cannot be sealed or told from erased ones.
    """

    def __init__(self, types: Iterable[type[Event]], upcasters: Iterable[Upcaster] = ()) -> None:
        self._by_name: dict[str, _Registered] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}
        self._sorted = msgspec.json.Encoder(order="sorted")
        for cls in types:
            self._register(cls)
        self._register(SubjectErased)
        for upcaster in upcasters:
            if upcaster.type not in self._by_name:
                raise ValueError(f"upcaster of {upcaster.type!r}: no such event type")
            self._upcasters[upcaster.type, upcaster.from_version] = upcaster
        self._check_chains()
        self.upcasters = tuple(self._upcasters.values())
        self.names = frozenset(self._by_name)
        self.public_names = frozenset(n for n, r in self._by_name.items() if r.cls.PUBLIC)
        self.personal_names = frozenset(n for n, r in self._by_name.items() if r.personal)

    def __iter__(self) -> Iterator[type[Event]]:
        return (registered.cls for registered in self._by_name.values())

    def _register(self, cls: type[Event]) -> None:
        if not cls.TYPE:
            raise ValueError(f"{cls.__name__} has no stored name: give it one with @event_type")
        if (other := self._by_name.get(cls.TYPE)) and other.cls is not cls:
            raise ValueError(f"{cls.__name__} and {other.cls.__name__} are both {cls.TYPE!r}")
        shapes = _Shapes()
        shapes.visit(msgspec.inspect.type_info(cls))
        self._by_name[cls.TYPE] = _Registered(
            cls,
            msgspec.json.Decoder(cls),
            not shapes.has_free,
            shapes.has_keyed,
            shapes.has_counted,
            personal_shape(cls),
        )

    def _check_chains(self) -> None:
        for name, version in self._upcasters:
            current = self._by_name[name].cls.TYPE_VERSION
            if version >= current:
                raise ValueError(f"upcaster of {name!r} from {version}: it is at {current} only")
            if version + 1 < current and (name, version + 1) not in self._upcasters:
                raise ValueError(f"upcaster of {name!r} from {version + 1} is missing")

    def current(self, name: str) -> type[Event]:
        """The class stored under `name`. Raises UnknownEventType."""
        try:
            return self._by_name[name].cls
        except KeyError:
            raise UnknownEventType(name, 0, sorted(self._by_name)) from None

    def personal(self, name: str) -> PersonalShape | None:
        """What of a type is personal; None if nothing is, or the type is not known."""
        registered = self._by_name.get(name)
        return registered.personal if registered is not None else None

    def stand_in(self, name: str, version: int, text: str = ERASED) -> bytes:
        """The JSON object in place of the personal members that an event of a version had: `text`
        for each text.
        """
        shape = self.personal(name)
        stand_ins = dict(shape.stand_ins) if shape is not None else {}
        if upcaster := self._upcasters.get((name, version)):
            stand_ins.update(upcaster.erased)
        return self._sorted.encode(with_text(stand_ins, text))

    def schema(self, name: str) -> dict[str, Any]:
        """JSON Schema of the newest payload of a type. Raises UnknownEventType."""
        return msgspec.json.schema(self.current(name))

    def described(self, name: str, version: int) -> dict[str, Any]:
        """What is known of the payload of a version: its JSON Schema as `schema`, or a `sample`, or
        neither where its Upcaster declares none. Raises UnknownEventType.
        """
        if version not in self.versions(name):
            raise UnknownEventType(name, version, self.versions(name))
        if version == self.current(name).TYPE_VERSION:
            return {"schema": self.schema(name)}
        upcaster = self._upcasters[name, version]
        if upcaster.was is not None:
            return {"schema": msgspec.json.schema(upcaster.was)}
        return {"sample": dict(upcaster.sample)} if upcaster.sample is not None else {}

    def encode(self, event: Event) -> bytes:
        """The payload as canonical JSON, checked against the shape its class declares.

        Raises UnknownEventType, or MalformedEvent for a field of another type, NaN, NUL, a lone
        surrogate, an integer beyond 2^53 - 1.
        """
        name, version = event.TYPE, event.TYPE_VERSION
        registered = self._by_name.get(name)
        if registered is None:
            raise UnknownEventType(name or type(event).__name__, version, sorted(self._by_name))
        if registered.cls is not type(event):
            found, known = type(event).__qualname__, registered.cls.__qualname__
            raise MalformedEvent(
                name, version, f"it is a {found}, the type is registered as {known}"
            )
        try:
            if registered.plain:
                payload = self._sorted.encode(event)
                if (registered.keyed and not payload.isascii()) or (
                    registered.counted and _maybe_beyond_doubles(payload)
                ):
                    payload = canonical(msgspec.json.decode(payload))
            else:
                payload = canonical(_finite(msgspec.to_builtins(event)))
            if b"\\u0000" in payload and _has_nul(msgspec.json.decode(payload)):
                raise MalformedEvent(name, version, "text has a NUL character")
            registered.decoder.decode(payload)
        except (msgspec.ValidationError, NotCanonical, TypeError) as error:
            raise MalformedEvent(name, version, str(error)) from error
        except UnicodeEncodeError as error:
            raise MalformedEvent(name, version, "text has a lone surrogate") from error
        return payload

    def decode(self, name: str, version: int, payload: bytes) -> Event:
        """The event of a stored payload, upcast to the newest version of its type.

        Raises UnknownEventType, or MalformedEvent when the payload is not what the type declares.
        """
        registered = self._by_name.get(name)
        if registered is None:
            raise UnknownEventType(name, version, sorted(self._by_name))
        try:
            if version == registered.cls.TYPE_VERSION:
                event: Event = registered.decoder.decode(payload)
                return event
            return msgspec.convert(self.upcast(name, version, payload), registered.cls)
        except msgspec.MsgspecError as error:
            raise MalformedEvent(name, version, str(error)) from error

    def decoders(self) -> dict[tuple[str, int], Callable[[bytes], Event]]:
        """How payloads of the newest versions are decoded, by type and version."""
        return {
            (name, registered.cls.TYPE_VERSION): registered.decoder.decode
            for name, registered in self._by_name.items()
        }

    def upcast(self, name: str, version: int, payload: bytes) -> Mapping[str, Any]:
        """The JSON payload of the newest version. Raises UnknownEventType where no way leads."""
        value = msgspec.json.decode(payload)
        for step in range(version, self.current(name).TYPE_VERSION):
            if (upcaster := self._upcasters.get((name, step))) is None:
                raise UnknownEventType(name, step, self.versions(name))
            value = upcaster.function(value)
        if version > self.current(name).TYPE_VERSION:
            raise UnknownEventType(name, version, self.versions(name))
        result: Mapping[str, Any] = value
        return result

    def versions(self, name: str) -> list[int]:
        """The versions of a type that can be read, the newest last. Raises UnknownEventType."""
        old = [version for known, version in self._upcasters if known == name]
        return [*sorted(old), self.current(name).TYPE_VERSION]


class _Shapes:
    """Looks for floats and untyped values (`has_free`), objects keyed by data, and integers."""

    def __init__(self) -> None:
        self.has_free = self.has_keyed = self.has_counted = False
        self._seen: set[type] = set()

    def visit(self, info: Any) -> None:
        match info:
            case msgspec.inspect.FloatType() | msgspec.inspect.AnyType():
                self.has_free = True
            case msgspec.inspect.CustomType() | msgspec.inspect.RawType():
                self.has_free = True
            case msgspec.inspect.IntType():
                self.has_counted = True
            case msgspec.inspect.DictType():
                self.has_keyed = True
                self.visit(info.value_type)
            case msgspec.inspect.UnionType():
                for variant in info.types:
                    self.visit(variant)
            case msgspec.inspect.TupleType():
                for item in info.item_types:
                    self.visit(item)
            case msgspec.inspect.StructType() | msgspec.inspect.DataclassType():
                if info.cls not in self._seen:
                    self._seen.add(info.cls)
                    for member in info.fields:
                        self.visit(member.type)
            case msgspec.inspect.TypedDictType() | msgspec.inspect.NamedTupleType():
                for member in info.fields:
                    self.visit(member.type)
            case _ if hasattr(info, "item_type"):
                self.visit(info.item_type)


def with_text(stand_in: Any, text: str) -> Any:
    """A stand-in for what was erased, with another text in it."""
    match stand_in:
        case str():
            return text if stand_in == ERASED else stand_in
        case list():
            return [with_text(each, text) for each in stand_in]
        case dict():
            return {name: with_text(each, text) for name, each in stand_in.items()}
        case _:
            return stand_in


def _finite(value: Any) -> Any:
    """`value` itself. Raises NotCanonical for NaN, which JSON encoders write as null."""
    match value:
        case float() if not math.isfinite(value):
            raise NotCanonical(f"{value} is not a number of JSON")
        case dict():
            for item in value.values():
                _finite(item)
        case list() | tuple():
            for item in value:
                _finite(item)
    return value


_maybe_beyond_doubles = re.compile(rb"[:,[]-?[0-9]{16}").search
"""Integers of 16 digits and more, or text that looks so."""


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\x00" in value
        case dict():
            return any(_has_nul(name) or _has_nul(item) for name, item in value.items())
        case list():
            return any(map(_has_nul, value))
        case _:
            return False
