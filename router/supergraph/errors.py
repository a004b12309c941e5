"""Refusals of supergraph SDL."""

from __future__ import annotations

from typing import ClassVar

from router.errors import RouterError


class SupergraphError(RouterError):
    """The text cannot be used as a supergraph."""

    code: ClassVar[str] = "INVALID_SUPERGRAPH"


class SupergraphSyntax(SupergraphError):
    """The text is not GraphQL SDL. `line` and `column` count from 1."""

    code: ClassVar[str] = "INVALID_GRAPHQL"

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"the supergraph is not valid GraphQL SDL at {line}:{column}: {message}")
        self.line, self.column = line, column


class NotASupergraph(SupergraphError):
    """SDL, but without the join specification."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"{found}: expected supergraph SDL, with `@link` to the join specification and an"
            " enum of subgraphs; compose the subgraphs first (`lonja compose`)"
        )
        self.found = found


class JoinSpecUnsupported(SupergraphError):
    """A version of the join specification that this router does not read."""

    code: ClassVar[str] = "UNSUPPORTED_FEATURE"

    def __init__(self, version: str, supported: str) -> None:
        super().__init__(
            f"the supergraph links join {version}; this router reads {supported}:"
            " compose again for one of these"
        )
        self.version, self.supported = version, supported


class FeatureUnsupported(SupergraphError):
    """A feature the supergraph says a router must know (`for: EXECUTION` or `SECURITY`)."""

    code: ClassVar[str] = "UNSUPPORTED_FEATURE"

    def __init__(self, url: str, purpose: str) -> None:
        super().__init__(
            f"the supergraph needs {url} for {purpose}, which this router does not know"
        )
        self.url, self.purpose = url, purpose


class UnknownGraph(SupergraphError):
    """A join directive names a subgraph that the enum of subgraphs does not have."""

    def __init__(self, coordinate: str, graph: str) -> None:
        super().__init__(f"{coordinate} is joined to graph {graph}, which join__Graph lacks")
        self.coordinate, self.graph = coordinate, graph


class SubgraphNameTwice(SupergraphError):
    """Two values of the enum of subgraphs have one name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'two subgraphs are named "{name}": give each a name of its own')
        self.name = name


class SupergraphSchemaInvalid(SupergraphError):
    """The types do not make a GraphQL schema."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the supergraph's types do not make a schema: {problem}")
        self.problem = problem


class BadFieldSet(SupergraphError):
    """A key, or what a field requires or provides, that is no selection on its type."""

    def __init__(self, where: str, subgraph: str, text: str, problem: str) -> None:
        super().__init__(f'{where} in subgraph "{subgraph}" is {text!r}: {problem}')
        self.where, self.subgraph, self.text, self.problem = where, subgraph, text, problem
