"""`@link`: which specifications a schema uses, and under what names their elements go there.

Source: the link specification v1.0. An imported element keeps its name or takes the one given by
`as`; the directive called like its feature goes by the feature's name; all others are prefixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from router.composition.federation_spec import FEDERATION, LINK, Version
from router.composition.model import Directive, Schema
from router.composition.values import EnumLiteral, Value

_VERSION: Final = re.compile(r"^v(\d+)\.(\d+)$")
_NAME: Final = re.compile(r"^[_A-Za-z][_0-9A-Za-z]*$")


@dataclass(frozen=True, slots=True)
class Link:
    """One linked feature.

    `identity` is the URL without its version; `alias` the prefix of its elements in this schema;
    `imports` goes from the name in the feature (`@key`, `FieldSet`) to the name here, same form.
    """

    identity: str
    name: str
    version: Version | None
    alias: str
    imports: dict[str, str]
    directive: Directive

    @property
    def url(self) -> str:
        if self.version is None:
            return self.identity
        return f"{self.identity}/v{self.version[0]}.{self.version[1]}"

    def local_directive(self, name: str) -> str:
        """The name here, without `@`, of the feature's directive `name`."""
        imported = self.imports.get(f"@{name}")
        if imported is not None:
            return imported[1:]
        return self.alias if name == self.name else f"{self.alias}__{name}"

    def local_type(self, name: str) -> str:
        """The name here of the feature's type `name`."""
        return self.imports.get(name, f"{self.alias}__{name}")

    def original_directive(self, local: str) -> str | None:
        """The feature's directive that goes by `local` here; None when it is none of its own."""
        for original, name in self.imports.items():
            if name == f"@{local}" and original.startswith("@"):
                return original[1:]
        if local == self.alias:
            return self.name
        prefix = f"{self.alias}__"
        return local[len(prefix) :] if local.startswith(prefix) else None


class LinkProblem(Exception):
    """An application of `@link` that cannot be understood: `code`, `reason`, `directive`."""

    def __init__(self, code: str, reason: str, directive: Directive) -> None:
        super().__init__(reason)
        self.code, self.reason, self.directive = code, reason, directive


def parse_url(url: str) -> tuple[str, str, Version | None]:
    """(identity, name, version) of a feature URL; version and name may be missing."""
    trimmed = url.strip().rstrip("/")
    head, _, last = trimmed.rpartition("/")
    match = _VERSION.match(last)
    if match and head:
        identity = head
        version: Version | None = (int(match.group(1)), int(match.group(2)))
    else:
        identity, version = trimmed, None
    name = identity.rpartition("/")[2]
    return identity, name if _NAME.match(name) else "", version


def links_of(schema: Schema) -> tuple[list[Link], list[LinkProblem]]:
    """The links of a schema in order, the one to `link` itself included, and what is wrong."""
    name = link_directive_name(schema)
    links: list[Link] = []
    problems: list[LinkProblem] = []
    for directive in schema.applied:
        if directive.name == name:
            try:
                links.append(_link(directive))
            except LinkProblem as problem:
                problems.append(problem)
    seen: dict[str, Link] = {}
    for link in links:
        if link.identity in seen:
            problems.append(
                LinkProblem(
                    "INVALID_LINK_DIRECTIVE_USAGE",
                    f"{link.identity} is linked twice; link it once, in one version",
                    link.directive,
                )
            )
        seen.setdefault(link.identity, link)
    problems += _clashes(list(seen.values()))
    return list(seen.values()), problems


def _clashes(links: list[Link]) -> Iterator[LinkProblem]:
    """Two features under one prefix, or two imports under one name."""
    aliases: dict[str, Link] = {}
    imported: dict[str, Link] = {}
    for link in links:
        first = aliases.setdefault(link.alias, link)
        if first is not link:
            yield LinkProblem(
                "INVALID_LINK_DIRECTIVE_USAGE",
                f'{link.identity} and {first.identity} both go by "{link.alias}": give one an `as`',
                link.directive,
            )
        for local in link.imports.values():
            first = imported.setdefault(local, link)
            if first is not link:
                yield LinkProblem(
                    "INVALID_LINK_DIRECTIVE_USAGE",
                    f'"{local}" is imported from {first.identity} and from {link.identity}: '
                    f"rename one of them with `as`",
                    link.directive,
                )


def link_directive_name(schema: Schema) -> str:
    """What `@link` is called: `link`, unless the link to the link spec itself renames it."""
    for directive in schema.applied:
        url = directive.string("url")
        if url is None or parse_url(url)[0] != LINK:
            continue
        for item in _import_list(directive):
            if isinstance(item, dict) and item.get("name") == "@link":
                renamed = item.get("as")
                if isinstance(renamed, str) and renamed[1:] == directive.name:
                    return directive.name
        if directive.string("as") == directive.name:
            return directive.name
    return "link"


def federation_link(links: list[Link]) -> Link | None:
    """The link to Federation 2, if there is one."""
    return next((link for link in links if link.identity == FEDERATION), None)


def _import_list(directive: Directive) -> list[Value]:
    value = directive.args.get("import")
    return value if isinstance(value, list) else [] if value is None else [value]


def _link(directive: Directive) -> Link:
    url = directive.args.get("url")
    if not isinstance(url, str) or not url.strip():
        raise LinkProblem(
            "INVALID_LINK_DIRECTIVE_USAGE", "@link needs `url`, a non-empty string", directive
        )
    identity, name, version = parse_url(url)
    if "://" not in url:
        raise LinkProblem("INVALID_LINK_IDENTIFIER", f'"{url}" is not a URL', directive)
    if version is None or not name:
        raise LinkProblem(
            "INVALID_LINK_IDENTIFIER",
            f'"{url}" must end in the name of a feature and a version, such as /feature/v1.0',
            directive,
        )
    alias = directive.args.get("as")
    if alias is not None and (
        not isinstance(alias, str) or not _NAME.match(alias) or "__" in alias
    ):
        raise LinkProblem(
            "INVALID_LINK_DIRECTIVE_USAGE",
            f"`as` must be a name without two underscores together, found {alias!r}",
            directive,
        )
    purpose = directive.args.get("for")
    if purpose is not None and not (
        isinstance(purpose, EnumLiteral) and purpose.name in ("SECURITY", "EXECUTION")
    ):
        raise LinkProblem(
            "INVALID_LINK_DIRECTIVE_USAGE", "`for` must be SECURITY or EXECUTION", directive
        )
    imports = dict(_import(item, directive) for item in _import_list(directive))
    return Link(identity, name, version, alias or name, imports, directive)


def _import(item: Value, directive: Directive) -> tuple[str, str]:
    match item:
        case str():
            name, local = item, item
        case {"name": str(name), **rest}:
            renamed = rest.pop("as", None)
            if rest:
                raise LinkProblem(
                    "INVALID_LINK_DIRECTIVE_USAGE",
                    f"an import takes `name` and `as` only, found {', '.join(map(str, rest))}",
                    directive,
                )
            if renamed is not None and not isinstance(renamed, str):
                raise LinkProblem(
                    "INVALID_LINK_DIRECTIVE_USAGE", f"`as` of {name} must be a string", directive
                )
            local = renamed or name
        case _:
            raise LinkProblem(
                "INVALID_LINK_DIRECTIVE_USAGE",
                "an import is a string or an object with `name` and `as`",
                directive,
            )
    if name.startswith("@") != local.startswith("@"):
        raise LinkProblem(
            "INVALID_LINK_DIRECTIVE_USAGE",
            f'"{name}" cannot be imported as "{local}": both or neither must start with "@"',
            directive,
        )
    if not _NAME.match(name.removeprefix("@")) or not _NAME.match(local.removeprefix("@")):
        raise LinkProblem(
            "INVALID_LINK_DIRECTIVE_USAGE", f'"{name}" is not a name to import', directive
        )
    return name, local
