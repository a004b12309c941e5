"""What services tell each other: each consumer's struct reads what the producer really writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from eventstore import SubjectErased
from eventstore.event import Event
from projections import Reactor
from subgraphs.shared.service import SERVICE_EVENTS
from tests.support.services import SERVICES, built

AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def heard() -> Iterator[tuple[str, Reactor, str]]:
    """Consumer, reactor and event type, for everything that one service hears of another."""
    for name, service in built().items():
        for reactor in service.reactors:
            if reactor.source not in ("", name):
                for type_ in reactor.reads:
                    yield name, reactor, type_


HEARD = list(heard())


def samples(cls: type[Event]) -> list[Event]:
    """The event with everything filled in, and with nothing that may be left out."""
    return [
        cls(**{field.name: sample(field.type, full=full) for field in info_of(cls).fields})
        for full in (True, False)
    ]


def info_of(cls: type) -> Any:
    return msgspec.inspect.type_info(cls)


def sample(info: Any, *, full: bool) -> Any:
    """A value of a type, as `msgspec.inspect` describes it."""
    types = msgspec.inspect
    match info:
        case types.Metadata():
            return sample(info.type, full=full)
        case types.NoneType():
            return None
        case types.UnionType():
            if not full and info.includes_none:
                return None
            members = [each for each in info.types if not isinstance(each, types.NoneType)]
            return sample(members[0], full=full)
        case types.StrType():
            return "text"
        case types.BoolType():
            return True
        case types.IntType():
            return 7
        case types.DateTimeType():
            return AT
        case types.EnumType():
            return next(iter(info.cls))
        case types.LiteralType():
            return info.values[0]
        case types.ListType():
            return [sample(info.item_type, full=full)] if full else []
        case types.VarTupleType():
            return (sample(info.item_type, full=full),) if full else ()
        case types.TupleType():
            return tuple(sample(item, full=full) for item in info.item_types)
        case types.DictType():
            return {"key": sample(info.value_type, full=full)} if full else {}
        case types.StructType() | types.DataclassType():
            return info.cls(**{f.name: sample(f.type, full=full) for f in info.fields})
        case _:
            raise NotImplementedError(f"no sample of {info}: say how to make one")


def test_services_do_hear_each_other() -> None:
    assert len(HEARD) >= 15


@pytest.mark.parametrize(
    ("consumer", "reactor", "type_"),
    HEARD,
    ids=[f"{consumer}-{type_}" for consumer, _, type_ in HEARD],
)
def test_a_consumer_reads_what_its_producer_writes(
    consumer: str, reactor: Reactor, type_: str
) -> None:
    assert reactor.source in built(), f"{consumer} hears {reactor.source!r}: no such service"
    types = built()[reactor.source].store.types
    assert type_ in types.names, f"{reactor.source} has no {type_!r}, which {consumer} waits for"
    assert type_ in types.public_names, f"{type_} is private to {reactor.source}"
    for event in samples(types.current(type_)):
        told = msgspec.json.decode(types.encode(event), type=reactor.reads[type_])
        for field in msgspec.structs.fields(type(told)):
            value = getattr(told, field.name)
            if type(value) in (str, int, bool):
                assert value == getattr(event, field.name), f"{type_}.{field.name} is lost"


def test_an_event_type_belongs_to_one_service() -> None:
    owners: dict[str, list[str]] = {}
    for name in SERVICES:
        everywhere = {each.TYPE for each in (*SERVICE_EVENTS, SubjectErased)}
        for type_ in built()[name].store.types.names - everywhere:
            owners.setdefault(type_, []).append(name)
    assert {type_: names for type_, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_every_event_survives_the_log(service: str) -> None:
    types = built()[service].store.types
    for cls in types:
        for event in samples(cls):
            assert types.decode(cls.TYPE, cls.TYPE_VERSION, types.encode(event)) == event
