"""DIRECTIVE_COMPOSITION_ERROR: `@composeDirective` names a directive of a linked feature.

And all subgraphs that compose it mean the same directive, by the same name, of one major version.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.composed import ComposeRequest, is_specification
from router.composition.federation_spec import FEDERATION
from router.composition.merge.records import Merge
from router.composition.names import plain
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph, variants

CODE = "DIRECTIVE_COMPOSITION_ERROR"
COMPOSED_ANYWAY = frozenset(
    {"tag", "inaccessible", "authenticated", "requiresScopes", "policy", "context"}
)


def check(merge: Merge) -> Iterator[CompositionError]:
    for request in merge.composed.requests:
        fault = _fault(merge, request)
        if fault:
            given = request.directive.args.get("name")
            subgraph = merge.subgraphs[request.index]
            message = f"@composeDirective(name: {given!r}): {fault}"
            yield in_subgraph(subgraph, CODE, message, "", request.directive)
    yield from _major_versions(merge)
    yield from _disagreements(merge)
    for custom in merge.composed.custom.values():
        if custom.name not in merge.schema.directives:
            message = (
                f'@{custom.name} of "{custom.identity}" is composed, but no subgraph that links '
                f"the newest version defines it"
            )
            yield CompositionError(CODE, message, (), (f"@{custom.name}",))


def _fault(merge: Merge, request: ComposeRequest) -> str:
    if request.name is None:
        return 'it takes the name of a directive, with "@" in front'
    local = merge.subgraphs[request.index].local
    federated = {name: key for key, names in local.items() for name in names}
    if request.name in federated:
        if federated[request.name] in COMPOSED_ANYWAY:
            return ""
        return "directives of federation cannot be composed like this"
    if request.link is not None and is_specification(request.link.identity):
        return "directives of a specification cannot be composed like this"
    if request.definition is None:
        return "there is no such directive in this subgraph"
    if request.link is None or request.original is None:
        return "it belongs to no linked feature: @link the specification it comes from"
    for name in ("tag", "inaccessible"):
        if any(request.name in one.local.get(name, ()) for one in merge.subgraphs):
            return f"another subgraph gives federation's @{name} that name"
    return ""


def _major_versions(merge: Merge) -> Iterator[CompositionError]:
    for identity, links in merge.composed.major_mismatches.items():
        requested = {
            one.index
            for one in merge.composed.requests
            if one.link is not None and one.link.identity == identity
        }
        if requested and identity not in merge.composed.features:
            shown = {
                i: f"v{link.version[0]}.{link.version[1]}"
                for i, link in links.items()
                if i in requested and link.version
            }
            message = (
                f'"{identity}" is linked as {variants(merge, shown)}: compose directives of one '
                f"major version"
            )
            yield CompositionError(CODE, message, tuple(merge.names(shown)))


def _disagreements(merge: Merge) -> Iterator[CompositionError]:
    sound = [
        one
        for one in merge.composed.requests
        if one.link is not None and one.original and one.link.identity != FEDERATION
    ]
    by_name: dict[str, dict[int, str]] = {}
    by_original: dict[tuple[str, str], dict[int, str]] = {}
    for one in sound:
        assert one.link is not None
        original, name = one.original or "", one.name or ""
        by_name.setdefault(name, {})[one.index] = f'"@{original}" of "{one.link.identity}"'
        by_original.setdefault((one.link.identity, original), {})[one.index] = f"@{name}"
    for name, meanings in by_name.items():
        if len(set(meanings.values())) > 1:
            message = f"@{plain(name)} stands for {variants(merge, meanings)}: compose one of them"
            yield CompositionError(CODE, message, tuple(merge.names(meanings)), (f"@{name}",))
    for (_, original), names in by_original.items():
        if len(set(names.values())) > 1:
            message = f"@{original} is composed as {variants(merge, names)}: use one name"
            yield CompositionError(CODE, message, tuple(merge.names(names)), (f"@{original}",))
