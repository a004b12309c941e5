"""Merging the parts that all elements have: types, defaults, descriptions, applied directives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from router.composition.composed import ComposedDirectives
from router.composition.federation_spec import COMPOSED, Strategy
from router.composition.merge.records import (
    DescriptionConflict,
    DirectiveConflict,
    Merge,
    MergedDefault,
    MergedRef,
)
from router.composition.merge.strategies import merge_argument
from router.composition.model import Directive, InputDef
from router.composition.names import CONTEXT, plain
from router.composition.types import IsSubtype, TypeRef, is_strict_subtype
from router.composition.values import ABSENT, Absent, Value, equal

SUPERGRAPH_REPEATABLE = frozenset({"tag", "context", "cacheTag"})


def merge_refs(refs: Sequence[TypeRef], named: IsSubtype, *, input_position: bool) -> MergedRef:
    """The least restrictive of output types, the most restrictive of input types."""
    chosen = refs[0]
    same, incompatible = True, False
    for ref in refs[1:]:
        if ref == chosen:
            continue
        same = False
        if is_strict_subtype(chosen, ref, named):
            chosen = ref if input_position else chosen
        elif is_strict_subtype(ref, chosen, named):
            chosen = chosen if input_position else ref
        else:
            incompatible = True
    return MergedRef(chosen, same, incompatible)


def merge_defaults(sources: Sequence[InputDef]) -> MergedDefault:
    """The default that all sources have; two different ones cannot be merged."""
    found: Value | Absent = ABSENT
    inconsistent = incompatible = False
    for position, source in enumerate(sources):
        if found is ABSENT:
            inconsistent |= position > 0 and source.default is not ABSENT
            found = source.default
        elif not equal(found, source.default):
            inconsistent = True
            incompatible |= source.default is not ABSENT
    keep = found if not inconsistent or incompatible else ABSENT
    return MergedDefault(keep, inconsistent, incompatible)


def merge_descriptions(
    merge: Merge, coordinate: str, sources: Mapping[int, str | None]
) -> str | None:
    """The most frequent description that is not empty; the first among equals."""
    counts: dict[str, int] = {}
    for text in sources.values():
        if text is not None:
            counts[text] = counts.get(text, 0) + 1
    if not counts:
        return None
    filled = {text: count for text, count in counts.items() if text}
    if not filled:
        return ""
    chosen = max(filled, key=lambda text: filled[text])
    if len(filled) > 1:
        options = {index: text for index, text in sources.items() if text}
        merge.descriptions.append(DescriptionConflict(coordinate, options, chosen))
    return chosen


def merge_applied(
    merge: Merge,
    coordinate: str,
    sources: Mapping[int, Sequence[Directive]],
    extra: Mapping[str, Sequence[Directive]] | None = None,
) -> list[Directive]:
    """The applications that reach the supergraph, under their names there, each once.

    `extra` brings applications of federation directives from elsewhere (access control that an
    interface takes from its implementations), by marked name.
    """
    by_name: dict[str, dict[int, list[Directive]]] = {}
    for index, directives in sources.items():
        for one in directives:
            if merge.composed.supergraph_name(index, one.name) is None:
                continue
            if one.name[:1] == "~" and COMPOSED[plain(one.name)].joined:
                continue
            by_name.setdefault(one.name, {}).setdefault(index, []).append(one)
    for name, directives in (extra or {}).items():
        if merge.composed.supergraph_name(0, name) is not None:
            group = by_name.setdefault(name, {})
            for offset, one in enumerate(directives):
                group[len(merge.subgraphs) + offset] = [one]
    answer: list[Directive] = []
    for name, group in by_name.items():
        answer += _merge_one(merge, coordinate, name, group)
    return answer


def _merge_one(
    merge: Merge, coordinate: str, name: str, group: dict[int, list[Directive]]
) -> list[Directive]:
    composed: ComposedDirectives = merge.composed
    target = composed.federated.get(plain(name), name) if name[:1] == "~" else name
    if _repeatable(merge, name):
        kept: list[Directive] = []
        for index, directives in group.items():
            for one in directives:
                args = one.args
                if name == CONTEXT:
                    args = {"name": f"{merge.name(index)}__{one.string('name')}"}
                if not any(_same(merge, name, args, other.args) for other in kept):
                    kept.append(Directive(target, dict(args)))
        return kept
    options: list[tuple[int, Directive, int]] = []
    for index, directives in group.items():
        one = directives[0]
        for position, (first, known, count) in enumerate(options):
            if _same(merge, name, known.args, one.args):
                options[position] = (first, known, count + 1)
                break
        else:
            options.append((index, one, 1))
    if len(options) == 1:
        return [Directive(target, dict(options[0][1].args))]
    strategies = COMPOSED[plain(name)].strategies if name[:1] == "~" else ()
    candidates = {index: one[0] for index, one in group.items() if index < len(merge.subgraphs)}
    if strategies:
        merged = Directive(target, _merge_args(strategies, [one.args for _, one, _ in options]))
    else:
        best = max(options, key=lambda option: option[2])
        merged = Directive(target, dict(best[1].args))
    merge.directive_conflicts.append(
        DirectiveConflict(coordinate, target, candidates, merged, strategies)
    )
    return [merged]


def _merge_args(
    strategies: tuple[tuple[str, Strategy], ...], options: list[dict[str, Value]]
) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for argument, strategy in strategies:
        value = merge_argument(strategy, [args.get(argument, ABSENT) for args in options], argument)
        if value is not ABSENT:
            assert not isinstance(value, Absent)
            merged[argument] = value
    return merged


def _repeatable(merge: Merge, name: str) -> bool:
    if name[:1] == "~":
        return plain(name) in SUPERGRAPH_REPEATABLE
    definition = merge.schema.directives.get(name)
    return definition is not None and definition.repeatable


def _same(merge: Merge, name: str, left: dict[str, Value], right: dict[str, Value]) -> bool:
    """Equal arguments, a default being the same as the value it stands for."""
    defaults: dict[str, Value] = {}
    if name == "deprecated":
        defaults = {"reason": "No longer supported"}
    elif name == "~listSize":
        defaults = {"requireOneSlicingArgument": True}
    elif name in merge.schema.directives:
        for argument in merge.schema.directives[name].args.values():
            if not isinstance(argument.default, Absent):
                defaults[argument.name] = argument.default
    return equal({**defaults, **left}, {**defaults, **right})
