"""The walk over all that clients can ask: at every field some subgraph must have an answer.

A state is a type of the supergraph and the positions one may be at; every field must be resolvable
from one of them. A state is left out when the type was visited from a part of these positions,
since that was the harder task; for an object, what counts is where one gets from there by key.
Fields of an interface are looked at on each implementation. Fields of the mutation root that
several subgraphs have are tried one subgraph at a time: a mutation must run once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from router.composition.merge.records import FieldMerge, Merge
from router.composition.model import ROOT_NAMES, FieldDef, RootKind, TypeDef, applied
from router.composition.problems import CompositionError, CompositionHint
from router.composition.satisfiability.contexts import Ancestors, Contexts
from router.composition.satisfiability.index import Index, Labels, Position
from router.composition.satisfiability.moves import Moves, Positions
from router.composition.satisfiability.reasons import advice, reasons
from router.composition.satisfiability.runtime_types import RuntimeTypes
from router.composition.satisfiability.witness import Path, witness
from router.composition.types import base_name

VALIDATION_PATHS_MAX = 1_000_000
"""Positions in states that wait to be visited."""
VISITS_MAX = 100_000
"""States visited in all: about one a type, many more where values are shared at random."""
ERRORS_MAX = 100
"""Unsatisfiable fields reported; more are of no more use."""


def check_satisfiability(
    merge: Merge, *, paths_max: int = VALIDATION_PATHS_MAX
) -> tuple[list[CompositionError], list[CompositionHint]]:
    """Every field that clients can reach but the subgraphs cannot answer, with a witness each."""
    walk = _Walk(merge, paths_max)
    for kind, name in ROOT_NAMES.items():
        if name in merge.schema.types and kind in merge.schema.roots:
            try:
                walk.root(kind, name)
            except RecursionError:
                walk.findings.errors.append(_too_much("keys and requirements lean on each other"))
    return walk.findings.errors, list(walk.runtime.hints.values())


def _too_much(why: str) -> CompositionError:
    return CompositionError(
        "MAX_VALIDATION_SUBGRAPH_PATHS_EXCEEDED",
        f"the subgraphs are too entangled to check all queries: {why}; share fewer types",
    )


@dataclass(frozen=True, slots=True)
class _State:
    kind: RootKind
    type: str
    positions: Positions
    labels: Labels
    path: Path
    ancestors: Ancestors = frozenset()


@dataclass(slots=True)
class _Findings:
    errors: list[CompositionError] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)
    visited: dict[str, list[tuple[Positions, Labels, Ancestors]]] = field(default_factory=dict)


class _Walk:
    def __init__(self, merge: Merge, paths_max: int) -> None:
        self.merge = merge
        self.paths_max = paths_max
        self.schema = merge.schema
        self.index = Index(merge)
        self.moves = Moves(self.index)
        self.runtime = RuntimeTypes(self.index)
        self.contexts = Contexts(self.index)
        self.hidden = merge.composed.federated.get("inaccessible")
        self.findings = _Findings()
        self.visits = 0
        self._last_key: tuple[Positions, str, Labels] | None = None
        self._last_around: Positions = frozenset()

    def root(self, kind: RootKind, name: str) -> None:
        """Walk everything below one root."""
        positions = frozenset(
            Position(subgraph, name)
            for subgraph, types in enumerate(self.index.types)
            if name in types
        )
        start = _State(kind, name, positions, frozenset(), None)
        if kind != "mutation":
            self._walk(start, self.findings)
            return
        for definition in self._shown_fields(self.schema.types[name]):
            self._mutation_field(start, definition)

    def _walk(self, start: _State, findings: _Findings) -> None:
        waiting = [start]
        load = len(start.positions)
        while waiting and len(findings.errors) < ERRORS_MAX:
            state = waiting.pop()
            load -= len(state.positions)
            if self._seen(state, findings):
                continue
            for following in self._following(state, findings):
                waiting.append(following)
                load += len(following.positions)
            if load > self.paths_max:
                findings.errors.append(
                    _too_much(f"more than {self.paths_max} ways through them are open at once")
                )
                return
            self.visits += 1
            if self.visits > VISITS_MAX:
                findings.errors.append(_too_much(f"more than {VISITS_MAX} states were visited"))
                return

    def _seen(self, state: _State, findings: _Findings) -> bool:
        """Whether this was visited before, from the same places or from fewer."""
        places = needed = state.positions
        if self.schema.types[state.type].kind == "object":
            places = self._around(state.positions, state.type, state.labels)
            needed = self._needed(places, state)
        visits = findings.visited.setdefault(state.type, [])
        for known, labels, ancestors in visits:
            if known <= places and labels <= state.labels and ancestors <= state.ancestors:
                return True
        visits.append((needed, state.labels, state.ancestors))
        return False

    def _needed(self, places: Positions, state: _State) -> Positions:
        """The places without those that add nothing: stubs whose few leaves others have too."""
        kept = set(places)
        for place in places:
            leaves = self.index.leaves_only(place)
            if leaves is None or len(kept) == 1:
                continue
            kept.discard(place)
            for name in leaves:
                if not any(self.moves.step(at, state.type, name, state.labels) for at in kept):
                    kept.add(place)
                    break
        return frozenset(kept)

    def _following(self, state: _State, findings: _Findings) -> Iterator[_State]:
        definition = self.schema.types[state.type]
        if definition.kind != "object":
            yield from self._narrowed(state)
            return
        for one in self._shown_fields(definition):
            yield from self._through(state, one, findings)

    def _shown_fields(self, definition: TypeDef) -> Iterator[FieldDef]:
        for one in definition.fields.values():
            target = self.schema.types.get(base_name(one.type))
            if not applied(one, self.hidden) and not (
                target is not None and applied(target, self.hidden)
            ):
                yield one

    def _narrowed(self, state: _State) -> Iterator[_State]:
        for name in self.index.super_possible(state.type):
            if name not in self.schema.types or applied(self.schema.types[name], self.hidden):
                continue
            narrowed = [self.moves.narrow(position, name) for position in state.positions]
            positions = frozenset(position for position in narrowed if position is not None)
            if len(positions) == len(narrowed) and positions:
                path: Path = (state.path, name)
                yield _State(state.kind, name, positions, state.labels, path, state.ancestors)

    def _through(self, state: _State, one: FieldDef, findings: _Findings) -> Iterator[_State]:
        for labels in self._branches(state, one):
            there = self._resolve(state, one.name, labels)
            path: Path = (state.path, one)
            if not there:
                self._report(state, one, labels, path, findings)
                continue
            yield from self._onward(state, one, there, labels, path, findings)

    def _onward(
        self,
        state: _State,
        one: FieldDef,
        there: Positions,
        labels: Labels,
        path: Path,
        findings: _Findings,
    ) -> Iterator[_State]:
        target = self.schema.types.get(base_name(one.type))
        if target is None or not target.composite:
            return
        if target.kind != "object" and self._shared(one):
            error = self.runtime.check(one, there, lambda: witness(self.schema, state.kind, path))
            if error is not None:
                if one.coordinate not in findings.fields:
                    findings.fields.add(one.coordinate)
                    findings.errors.append(error)
                return
        ancestors = self.contexts.below(state.ancestors, state.type)
        yield _State(state.kind, target.name, there, labels, path, ancestors)

    def _resolve(self, state: _State, name: str, labels: Labels) -> Positions:
        answer: set[Position] = set()
        for position in self._around(state.positions, state.type, labels):
            if self.contexts.met(position, name, state.ancestors):
                answer |= self.moves.step(position, state.type, name, labels)
        return frozenset(answer)

    def _around(self, positions: Positions, type_name: str, labels: Labels) -> Positions:
        """All that can be reached from any of the positions. The last answer is remembered."""
        key = (positions, type_name, labels)
        if key != self._last_key:
            around: set[Position] = set()
            for position in positions:
                around |= self.moves.reach(position, type_name, labels)
            self._last_key, self._last_around = key, frozenset(around)
        return self._last_around

    def _record(self, one: FieldDef) -> FieldMerge | None:
        merged = self.merge.types.get(one.parent)
        return merged.fields.get(one.name) if merged else None

    def _branches(self, state: _State, one: FieldDef) -> list[Labels]:
        """The settled labels, extended by each value of the field's own label."""
        record = self._record(one)
        labels = set(record.overrides.labels.values()) if record else set()
        answer = [state.labels]
        for label in sorted(labels):
            if not any(name == label for name, _ in state.labels):
                answer = [known | {(label, value)} for known in answer for value in (True, False)]
        return answer

    def _shared(self, one: FieldDef) -> bool:
        record = self._record(one)
        if record is None or record.kind != "object":
            return False
        gone = record.external | record.overrides.used | record.overrides.unused
        return len([index for index in record.present() if index not in gone]) > 1

    def _report(
        self, state: _State, one: FieldDef, labels: Labels, path: Path, findings: _Findings
    ) -> None:
        coordinate = f"{state.type}.{one.name}"
        if coordinate in findings.fields:
            return
        findings.fields.add(coordinate)
        why = reasons(self.moves, state.positions, state.type, one.name, labels)
        lines = [f"This query cannot be answered ({coordinate}):"]
        lines += witness(self.schema, state.kind, path).split("\n")
        lines.append("because")
        for subgraph, found in why.items():
            lines.append(f'- coming from "{subgraph}":')
            lines += [f"  - {reason}" for reason in found]
        lines.append(
            "To fix it, " + advice(self.moves, state.positions, state.type, one.name) + "."
        )
        findings.errors.append(
            CompositionError("SATISFIABILITY_ERROR", "\n".join(lines), tuple(why), (coordinate,))
        )

    def _mutation_field(self, root: _State, one: FieldDef) -> None:
        for labels in self._branches(root, one):
            path: Path = (None, one)
            starts: dict[str, Positions] = {}
            for position in sorted(root.positions, key=lambda at: at.subgraph):
                there = self.moves.step(position, root.type, one.name, labels)
                if there:
                    starts[self.index.names[position.subgraph]] = there
            if not starts:
                self._report(root, one, labels, path, self.findings)
                continue
            attempts: dict[str, list[CompositionError]] = {}
            for subgraph, there in starts.items():
                alone = self.findings if len(starts) == 1 else _Findings()
                before = len(alone.errors)
                for state in self._onward(root, one, there, labels, path, alone):
                    self._walk(state, alone)
                attempts[subgraph] = alone.errors[before:]
            if len(starts) > 1 and all(attempts.values()):
                self._report_mutation(one, attempts)

    def _report_mutation(self, one: FieldDef, attempts: dict[str, list[CompositionError]]) -> None:
        lines = [
            f"{one.coordinate} is @shareable, but a mutation runs in one subgraph, and none of "
            f"them can answer all that may be asked of the result:"
        ]
        for subgraph, errors in attempts.items():
            lines.append(f'- run in "{subgraph}":')
            lines += [f"  {line}" for error in errors for line in error.message.split("\n")]
        self.findings.errors.append(
            CompositionError(
                "SATISFIABILITY_ERROR", "\n".join(lines), tuple(attempts), (one.coordinate,)
            )
        )
