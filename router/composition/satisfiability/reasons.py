"""Why a field cannot be had from where one stands, subgraph by subgraph, and what would help."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import listing
from router.composition.satisfiability.index import EntityTarget, Labels, Position, settled
from router.composition.satisfiability.moves import Moves, Positions

TARGETS_EXPLAINED_MAX = 12
"""Subgraphs that are explained for one position."""


def reasons(
    moves: Moves, positions: Positions, type_name: str, name: str, labels: Labels
) -> dict[str, list[str]]:
    """Subgraph to the reasons from there, each once."""
    answer: dict[str, list[str]] = {}
    for position in sorted(positions, key=lambda one: (one.subgraph, one.type)):
        found = answer.setdefault(moves.index.names[position.subgraph], [])
        for reason in _from(moves, position, type_name, name, labels):
            if reason not in found:
                found.append(reason)
    return answer


def _from(
    moves: Moves, start: Position, type_name: str, name: str, labels: Labels
) -> Iterator[str]:
    reached = moves.reach(start, type_name, labels)
    yield _here(moves, start, type_name, name, labels)
    for position in sorted(reached - {start}, key=lambda one: one.subgraph):
        if moves.index.local_field(position.subgraph, position.type, name) is not None:
            there = moves.index.names[position.subgraph]
            yield f'in "{there}", {_here(moves, position, type_name, name, labels)}'
    entered = {position.subgraph for position in reached}
    for subgraph in _resolvers(moves, type_name, name)[:TARGETS_EXPLAINED_MAX]:
        if subgraph not in entered:
            yield from _no_way(moves, reached, type_name, subgraph, labels)


def _here(moves: Moves, at: Position, type_name: str, name: str, labels: Labels) -> str:
    index = moves.index
    coordinate = f"{at.type}.{name}"
    local = index.local_field(at.subgraph, at.type, name)
    definition = index.types[at.subgraph].get(at.type)
    if definition is not None and definition.kind == "interface":
        stuck = [
            one
            for one in index.possible(at.subgraph, at.type)
            if one in index.super_possible(type_name)
            and not moves.resolve(Position(at.subgraph, one, at.provided), one, name, labels)
        ]
        if stuck:
            return f"field {name} cannot be had of {listing(stuck)}, which implement {at.type}"
    if local is None:
        return f"there is no field {coordinate}"
    if local.external:
        return f"{coordinate} is @external and not provided on this way"
    if local.gone or not settled(labels, local.label):
        return f"{coordinate} is overridden"
    if moves.resolve(at, type_name, name, labels):
        return f"a context that {coordinate} takes is not set on this way"
    if local.requires and not index.can_reenter(at.subgraph, at.type):
        return (
            f'{coordinate} requires "{local.requires_text}" from elsewhere, but {at.type} has no '
            f"@key of its own here to come back by"
        )
    return f'what {coordinate} requires ("{local.requires_text}") cannot be had'


def _resolvers(moves: Moves, type_name: str, name: str) -> list[int]:
    """Subgraphs that resolve the field for one who is there."""
    definition = moves.index.merge.schema.types[type_name]
    answer = []
    for subgraph in range(len(moves.index.types)):
        for local_type in (type_name, *definition.interfaces):
            if local_type != type_name and (
                local_type not in moves.index.interface_objects[subgraph]
            ):
                continue
            local = moves.index.local_field(subgraph, local_type, name)
            if local is not None and not local.external and not local.gone:
                answer.append(subgraph)
                break
    return answer


def _no_way(
    moves: Moves, reached: Positions, type_name: str, subgraph: int, labels: Labels
) -> Iterator[str]:
    name = moves.index.names[subgraph]
    targets = [one for one in moves.index.targets(type_name) if one.subgraph == subgraph]
    if not targets:
        yield f'no way to "{name}": {type_name} has no resolvable @key there'
    for target in targets:
        yield f'no way to "{name}" by @key(fields: "{target.text}") of {target.type}: ' + (
            _key_fault(moves, reached, type_name, target, labels)
        )


def _key_fault(
    moves: Moves, reached: Positions, type_name: str, target: EntityTarget, labels: Labels
) -> str:
    if not moves.typename_known(reached, type_name, target):
        return "the concrete type is not known on this way"
    missing = [
        getattr(item, "name", None) or f"... on {getattr(item, 'on', '')}"
        for item in target.key
        if not moves.can_have(reached, type_name, (item,), labels)
    ]
    return f"{listing(missing)} cannot be had" if missing else "it cannot be entered"


def advice(moves: Moves, positions: Positions, type_name: str, name: str) -> str:
    """What would make the field available."""
    index = moves.index
    resolvers = _resolvers(moves, type_name, name)
    here = {position.subgraph for position in positions}
    field = f"{type_name}.{name}"
    if not resolvers:
        return f"resolve {field} in some subgraph"
    requiring = [
        one for one in resolvers if one in here and index.local_field(one, type_name, name)
    ]
    if requiring:
        names = listing([index.names[one] for one in requiring])
        return (
            f"make what {field} requires in {names} reachable from there by a @key, or stop "
            f"requiring it"
        )
    there = listing([index.names[one] for one in resolvers], "or")
    start = listing(sorted(index.names[one] for one in here))
    keys = sorted({target.text for target in index.targets(type_name)})
    share = f"define {field} in {start} too and mark it @shareable in all"
    if keys:
        return (
            f"give {type_name} in {there} a resolvable @key of fields that {start} can give "
            f"(other keys: {listing(keys)}), or {share}"
        )
    return f"give {type_name} the same resolvable @key in {start} and in {there}, or {share}"
