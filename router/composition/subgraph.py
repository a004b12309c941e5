"""One subgraph: its SDL parsed, its links understood, its federation directives given one name.

After `load`, every application of a federation directive bears its canonical name with a mark in
front (`~key`), root types have their default names, and what federation itself adds to a schema
(`_service`, `_Any`, the definitions of `@key` and so on) is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graphql import DocumentNode, GraphQLSyntaxError, parse

from router.composition import links as linking
from router.composition.build import build_schema
from router.composition.facts import Facts
from router.composition.federation_spec import (
    COMPOSED,
    CONNECT,
    FEATURE_DIRECTIVES,
    FED1_DIRECTIVES,
    FED1_IMPORTS,
    FED1_UPGRADE_VERSION,
    FEDERATION,
    FEDERATION_MINORS_MAX,
    FEDERATION_TYPES,
    LINK,
    Version,
    federation_directives,
)
from router.composition.links import Link, LinkProblem, federation_link, links_of
from router.composition.model import FEDERATED, ROOT_NAMES, Directive, Schema, TypeDef
from router.composition.problems import CompositionError, Place, place
from router.composition.types import ListOf, Named, NonNull, TypeRef, base_name

SDL_TOKENS_MAX = 5_000_000
"""A longer document is refused while it is being read."""

SERVICE_FIELDS = ("_service", "_entities")
SERVICE_TYPES = ("_Any", "_Entity", "_Service")


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A service to compose: a name, its schema as SDL, and where it is served ("" if nowhere)."""

    name: str
    sdl: str
    url: str = ""


@dataclass(slots=True)
class SubgraphSchema:
    """A loaded subgraph.

    `local` goes from a federation directive (`key`) to its names here, without `@`; `version` is
    the federation version in force; `graph` its value of `join__Graph`. `facts` must be made anew
    (`refresh`) whenever `schema` changes.
    """

    name: str
    url: str
    schema: Schema
    links: list[Link]
    federation2: bool
    version: Version
    implied_version: Version
    local: dict[str, tuple[str, ...]]
    document: DocumentNode | None
    graph: str = ""
    facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Compute `facts` for the schema as it is now."""
        self.facts = Facts(self.schema, federation2=self.federation2)


def load(subgraph: Subgraph) -> tuple[SubgraphSchema | None, list[CompositionError]]:
    """Read one subgraph. What cannot be read at all has no schema, only errors."""
    try:
        document = parse(subgraph.sdl, max_tokens=SDL_TOKENS_MAX)
    except GraphQLSyntaxError as error:
        return None, [_syntax_error(subgraph.name, error)]
    except RecursionError:
        message = f"[{subgraph.name}] the SDL is nested too deeply to be read"
        return None, [CompositionError("INVALID_GRAPHQL", message, (subgraph.name,))]
    schema = build_schema(document)
    links, problems = links_of(schema)
    errors = [_link_error(subgraph.name, problem) for problem in problems]
    link = federation_link(links)
    errors += _version_errors(subgraph.name, link)
    if errors:
        return None, errors
    version = FED1_UPGRADE_VERSION if link is None or link.version is None else link.version
    local = local_names(links, link, version)
    loaded = _loaded(subgraph, document, schema, links, link, version, local)
    return loaded, []


def _loaded(
    subgraph: Subgraph,
    document: DocumentNode,
    schema: Schema,
    links: list[Link],
    link: Link | None,
    version: Version,
    local: dict[str, tuple[str, ...]],
) -> SubgraphSchema:
    canonical = {name: key for key, names in local.items() for name in names}
    for directives in _applied_lists(schema):
        for one in directives:
            if one.name in canonical:
                one.name = FEDERATED + canonical[one.name]
    _drop_machinery(schema, links, local, federation2=link is not None)
    implied = max([version, *(since for since, _ in _implied(links))])
    return SubgraphSchema(
        subgraph.name,
        subgraph.url,
        schema,
        links,
        link is not None,
        version,
        implied if link is not None else version,
        local,
        document,
    )


def local_names(
    links: list[Link], link: Link | None, version: Version
) -> dict[str, tuple[str, ...]]:
    """Federation directive to its names in this schema, by the federation link and by others."""
    names: dict[str, list[str]] = {}
    if link is None:
        for name in FED1_IMPORTS:
            names[name] = [name]
    else:
        for name in federation_directives(version):
            names[name] = [link.local_directive(name)]
    for other in links:
        feature = other.identity.removeprefix("https://specs.apollo.dev/")
        for name, _ in FEATURE_DIRECTIVES.get(feature, ()):
            local = other.local_directive(name)
            if link is None and name in FED1_IMPORTS and local != name:
                names[name] = [local]
            elif local not in names.setdefault(name, []):
                names[name].append(local)
    return {name: tuple(found) for name, found in names.items()}


def local_type(subgraph: SubgraphSchema, name: str) -> str:
    """The name in a schema of one of federation's own types (`FieldSet`)."""
    link = federation_link(subgraph.links)
    return link.local_type(name) if link else f"_{name}"


def _implied(links: list[Link]) -> Iterator[tuple[Version, Link]]:
    for link in links:
        feature = link.identity.removeprefix("https://specs.apollo.dev/")
        for _, since in FEATURE_DIRECTIVES.get(feature, ()):
            yield since, link
        if link.identity == CONNECT:
            yield ((2, 10) if link.version in ((0, 1), None) else (2, 11)), link


def _drop_machinery(
    schema: Schema, links: list[Link], local: dict[str, tuple[str, ...]], *, federation2: bool
) -> None:
    """Take out what belongs to federation and the link spec rather than to the service.

    A query root stays even with nothing in it: every subgraph has one, if only for `_service`.
    """
    gone = {*SERVICE_TYPES}
    if not federation2:
        gone |= {"_FieldSet", "FieldSet"} if _is_scalar(schema, "FieldSet") else {"_FieldSet"}
    for link in links:
        if link.identity == FEDERATION:
            gone |= {link.local_type(name) for name in FEDERATION_TYPES}
        elif link.identity == LINK:
            gone |= {link.local_type(name) for name in ("Import", "Purpose")}
        elif link.identity.startswith("https://specs.apollo.dev/"):
            feature = link.identity.removeprefix("https://specs.apollo.dev/")
            for composed in COMPOSED.values():
                if composed.feature == feature:
                    gone |= {link.local_type(name) for name in composed.types}
    gone |= {"link__Import", "link__Purpose", "core__Purpose"}
    for name in gone:
        schema.types.pop(name, None)
    federated = {name for names in local.values() for name in names}
    federated.add(linking.link_directive_name(schema))
    for name in federated:
        schema.directives.pop(name, None)
    query = schema.types.setdefault(
        schema.roots.setdefault("query", "Query"),
        TypeDef("object", schema.roots["query"]),
    )
    for name in SERVICE_FIELDS:
        query.fields.pop(name, None)


def _is_scalar(schema: Schema, name: str) -> bool:
    return name in schema.types and schema.types[name].kind == "scalar"


def rename_roots(subgraph: SubgraphSchema) -> list[CompositionError]:
    """Give root types their default names everywhere; an error where such a name is taken."""
    errors: list[CompositionError] = []
    renames: dict[str, str] = {}
    for kind, name in list(subgraph.schema.roots.items()):
        default = ROOT_NAMES[kind]
        if name not in subgraph.schema.types or name == default:
            continue
        existing = subgraph.schema.types.get(default)
        if existing is not None:
            message = (
                f'[{subgraph.name}] the {kind} root is "{name}", yet there is another type called '
                f'"{default}": rename that type, or make it the root'
            )
            errors.append(
                CompositionError(
                    f"ROOT_{kind.upper()}_USED",
                    message,
                    (subgraph.name,),
                    (default, name),
                    place(subgraph.name, existing.location),
                )
            )
            continue
        renames[name] = default
        subgraph.schema.roots[kind] = default
    if renames:
        _rename_types(subgraph.schema, renames)
    return errors


def _rename_types(schema: Schema, renames: dict[str, str]) -> None:
    def renamed(ref: TypeRef) -> TypeRef:
        if base_name(ref) not in renames:
            return ref
        if isinstance(ref, Named):
            return Named(renames[ref.name])
        if isinstance(ref, ListOf):
            return ListOf(renamed(ref.inner))
        inner = renamed(ref.inner)
        assert not isinstance(inner, NonNull)
        return NonNull(inner)

    schema.types = {renames.get(name, name): item for name, item in schema.types.items()}
    for definition in schema.types.values():
        definition.name = renames.get(definition.name, definition.name)
        definition.members = [renames.get(name, name) for name in definition.members]
        for item in definition.fields.values():
            item.parent = definition.name
            item.type = renamed(item.type)


def _applied_lists(schema: Schema) -> Iterator[list[Directive]]:
    """Every list of applications in a schema."""
    yield schema.applied
    for definition in schema.types.values():
        yield definition.directives
        for item in definition.fields.values():
            yield item.directives
            yield from (argument.directives for argument in item.args.values())
        yield from (item.directives for item in definition.input_fields.values())
        yield from (value.directives for value in definition.values.values())
    for directive in schema.directives.values():
        yield from (argument.directives for argument in directive.args.values())


def all_applied(schema: Schema) -> Iterable[Directive]:
    """Every application in a schema."""
    for directives in _applied_lists(schema):
        yield from directives


def _syntax_error(name: str, error: GraphQLSyntaxError) -> CompositionError:
    locations = error.locations or []
    where = tuple(Place(name, location.line, location.column) for location in locations)
    position = f" at line {where[0].line}, column {where[0].column}" if where else ""
    message = f"[{name}] {error.message}{position}"
    return CompositionError("INVALID_GRAPHQL", message, (name,), (), where)


def _link_error(name: str, problem: LinkProblem) -> CompositionError:
    where = place(name, problem.directive.location)
    return CompositionError(problem.code, f"[{name}] {problem.reason}", (name,), (), where)


def _version_errors(name: str, link: Link | None) -> Iterator[CompositionError]:
    if link is None:
        return
    version = link.version
    if version is None or version[0] != 2 or version[1] > FEDERATION_MINORS_MAX:
        found = "no version" if version is None else f"v{version[0]}.{version[1]}"
        message = (
            f"[{name}] @link to federation has {found}; "
            f"known are v2.0 to v2.{FEDERATION_MINORS_MAX}"
        )
        where = place(name, link.directive.location)
        yield CompositionError("UNKNOWN_FEDERATION_LINK_VERSION", message, (name,), (), where)


__all__ = [
    "FED1_DIRECTIVES",
    "Subgraph",
    "SubgraphSchema",
    "all_applied",
    "load",
    "local_names",
    "local_type",
    "rename_roots",
]
