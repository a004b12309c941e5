"""Reading a supergraph: `Supergraph.from_sdl(sdl)`.

supergraph.subgraphs                  tuple of Subgraph(name, url, graph)  (graph: the enum value)
supergraph.api_schema                 graphql-core GraphQLSchema clients see: no join or link
                                      machinery, nothing @inaccessible
supergraph.inaccessible_enum_values   {enum type: frozenset of hidden values}
supergraph.override_labels            frozenset of the labels of progressive overrides
"""
