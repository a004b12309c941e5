"""Which directives of the subgraphs reach the supergraph, and under what names.

Federation's own by their features (`COMPOSED`), others through `@composeDirective`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from router.composition.federation_spec import COMPOSED, CONNECT, FEDERATION, JOIN, LINK
from router.composition.links import Link
from router.composition.model import FEDERATED, Directive, DirectiveDef
from router.composition.names import COMPOSE_DIRECTIVE
from router.composition.subgraph import SubgraphSchema, all_applied


@dataclass(frozen=True, slots=True)
class CustomDirective:
    """A directive composed by name: `name` in the supergraph, `original` in its feature."""

    name: str
    original: str
    identity: str


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """One `@composeDirective` of a subgraph; what could be made of it is filled."""

    index: int
    directive: Directive
    name: str | None = None
    link: Link | None = None
    original: str | None = None
    definition: DirectiveDef | None = None


@dataclass(slots=True)
class ComposedDirectives:
    """`federated`: federation directive to its name in the supergraph, for those in use.

    `mismatched` are federation directives imported under different names. `custom` are composed by
    request, by name; `features` the newest link of each custom feature in use; `per_subgraph` the
    names that a subgraph composes.
    """

    federated: dict[str, str] = field(default_factory=dict)
    mismatched: dict[str, dict[int, str]] = field(default_factory=dict)
    requests: list[ComposeRequest] = field(default_factory=list)
    custom: dict[str, CustomDirective] = field(default_factory=dict)
    features: dict[str, Link] = field(default_factory=dict)
    per_subgraph: dict[int, set[str]] = field(default_factory=dict)
    major_mismatches: dict[str, dict[int, Link]] = field(default_factory=dict)
    joined_links: list[Link] = field(default_factory=list)

    def supergraph_name(self, index: int, name: str) -> str | None:
        """The name in the supergraph of a directive of one subgraph; None: it stays behind."""
        if name.startswith(FEDERATED):
            return self.federated.get(name[len(FEDERATED) :])
        if name == "deprecated" or name == "specifiedBy" or name == "oneOf":
            return name
        return name if name in self.per_subgraph.get(index, ()) else None


def composed_directives(subgraphs: list[SubgraphSchema]) -> ComposedDirectives:
    """Look through all subgraphs once."""
    answer = ComposedDirectives()
    _federated(subgraphs, answer)
    _custom(subgraphs, answer)
    answer.joined_links = [
        link for subgraph in subgraphs for link in subgraph.links if link.identity == CONNECT
    ]
    return answer


def _federated(subgraphs: list[SubgraphSchema], answer: ComposedDirectives) -> None:
    used: dict[str, dict[int, str]] = {}
    for index, subgraph in enumerate(subgraphs):
        present = {one.name for one in all_applied(subgraph.schema)}
        for name in COMPOSED:
            if FEDERATED + name in present:
                used.setdefault(name, {})[index] = subgraph.local[name][0]
    for name in COMPOSED:
        if name not in used:
            continue
        locals_ = used[name]
        if len(set(locals_.values())) > 1 and not COMPOSED[name].joined:
            answer.mismatched[name] = locals_
        answer.federated[name] = next(iter(locals_.values()))


def _requests(subgraphs: list[SubgraphSchema]) -> Iterator[ComposeRequest]:
    for index, subgraph in enumerate(subgraphs):
        for directive in subgraph.schema.applied:
            if directive.name != COMPOSE_DIRECTIVE:
                continue
            given = directive.string("name")
            if not given or not given.startswith("@"):
                yield ComposeRequest(index, directive)
                continue
            name = given[1:]
            link, original = _feature_of(subgraph, name)
            definition = subgraph.schema.directives.get(name)
            yield ComposeRequest(index, directive, name, link, original, definition)


def _feature_of(subgraph: SubgraphSchema, name: str) -> tuple[Link | None, str | None]:
    for link in subgraph.links:
        original = link.original_directive(name)
        if original is not None:
            return link, original
    return None, None


def is_specification(identity: str) -> bool:
    """Whether a feature is composed by its own rules, never by `@composeDirective`."""
    own = {FEDERATION, LINK, JOIN, *(one.identity for one in COMPOSED.values())}
    return identity in own


def _custom(subgraphs: list[SubgraphSchema], answer: ComposedDirectives) -> None:
    answer.requests = list(_requests(subgraphs))
    sound = [
        one
        for one in answer.requests
        if one.link and one.original and not is_specification(one.link.identity)
    ]
    links: dict[str, dict[int, Link]] = {}
    for index, subgraph in enumerate(subgraphs):
        for link in subgraph.links:
            links.setdefault(link.identity, {})[index] = link
    for identity, by_index in links.items():
        majors = {link.version[0] for link in by_index.values() if link.version}
        requested = [one.index for one in sound if one.link and one.link.identity == identity]
        if len(majors) > 1 and not is_specification(identity):
            answer.major_mismatches[identity] = by_index
            chosen = {by_index[i].version[0] for i in requested if by_index[i].version}  # type: ignore[index]
            if len(chosen) != 1:
                continue
        if requested:
            answer.features[identity] = max(
                (by_index[index] for index in requested), key=lambda link: link.version or (0, 0)
            )
    for one in sound:
        assert one.link
        assert one.original
        assert one.name
        if one.link.identity not in answer.features:
            continue
        answer.per_subgraph.setdefault(one.index, set()).add(one.name)
        answer.custom.setdefault(
            one.name, CustomDirective(one.name, one.original, one.link.identity)
        )
