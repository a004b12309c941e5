"""`lonja plan`: how the router would fetch an operation."""

from __future__ import annotations

import json
import sys

import click

from lonja.errors import LonjaError


class PlanRefused(LonjaError):
    """There is no plan; the message says why, the code is that of the cause."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@click.command()
@click.option(
    "--supergraph",
    required=True,
    metavar="FILE",
    help="Composed supergraph SDL.",
)
@click.option("--operation", metavar="NAME", help="Which operation, where there are several.")
@click.option(
    "--override-label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="A label of a progressive @override that is active; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="In Apollo's query plan format.")
@click.argument("query")
def plan(
    supergraph: str, operation: str | None, labels: tuple[str, ...], as_json: bool, query: str
) -> None:
    """Show the query plan of QUERY, an operation as text, or - for standard input."""
    from graphql import GraphQLError, parse, validate

    from router.errors import RouterError
    from router.planner import Planner
    from router.planner.display import display, to_json
    from router.sources import read_text
    from router.supergraph import Supergraph, SupergraphError

    text = sys.stdin.read() if query == "-" else query
    try:
        graph = Supergraph.from_sdl(read_text(supergraph))
        document = parse(text)
        if errors := validate(graph.api_schema, document):
            raise PlanRefused(
                "GRAPHQL_VALIDATION_FAILED", "\n\n".join(str(error) for error in errors)
            )
        planned = Planner(graph).plan(document, operation, frozenset(labels))
    except GraphQLError as error:
        raise PlanRefused("GRAPHQL_PARSE_FAILED", str(error)) from error
    except SupergraphError as error:
        raise PlanRefused(error.code, f"{supergraph}: {error}") from error
    except RouterError as error:
        raise PlanRefused(error.code, str(error)) from error
    click.echo(json.dumps(to_json(planned), indent=2) if as_json else display(planned))
