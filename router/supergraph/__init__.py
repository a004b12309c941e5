"""Reading a supergraph: `Supergraph.from_sdl(sdl)`.

supergraph.subgraphs                  tuple of Subgraph(name, url, graph)  (graph: the enum value)
supergraph.schema                     graphql-core schema of the whole graph, hidden parts too
supergraph.api_schema                 the one clients see: no join or link machinery, nothing
                                      @inaccessible
supergraph.inaccessible_enum_values   {enum type: frozenset of hidden values}
supergraph.override_labels            frozenset of the labels of progressive overrides
supergraph.views                      what each subgraph knows, by graph
supergraph.subgraph_schema(name)      a subgraph's schema, rebuilt
"""

from router.supergraph.errors import SupergraphError
from router.supergraph.supergraph import Supergraph
from router.supergraph.views import Subgraph

__all__ = ["Subgraph", "Supergraph", "SupergraphError"]
