"""A supergraph with all it takes to execute operations on it; replaced whole by another."""

from __future__ import annotations

from collections.abc import Mapping

from router.config import RouterConfig
from router.executor import Subgraphs
from router.http.operation import OperationPipeline
from router.planner import Planner, PlannerConfig
from router.supergraph import Supergraph
from router.telemetry import Metrics
from router.transport import HttpSubgraph, Subgraph


class ServedGraph:
    """`given` are transports by subgraph name; others are called at their URL by HTTP.

    Raises SupergraphError, SubgraphUrlError and other RouterErrors for settings that cannot work.
    """

    def __init__(
        self,
        supergraph_sdl: str,
        given: Mapping[str, Subgraph],
        config: RouterConfig,
        metrics: Metrics,
        *,
        kept: Mapping[str, Subgraph] | None = None,
    ) -> None:
        self._given, self._config, self._metrics = given, config, metrics
        supergraph = Supergraph.from_sdl(supergraph_sdl)
        self.transports: dict[str, Subgraph] = {}
        for subgraph in supergraph.subgraphs:
            name, settings = subgraph.name, config.subgraph(subgraph.name)
            self.transports[name] = given.get(name) or _by_http(
                HttpSubgraph(name, settings.url or subgraph.url, settings), (kept or {}).get(name)
            )
        subgraphs = Subgraphs(self.transports, config, observe=metrics.subgraph_called)
        planner = Planner(supergraph, PlannerConfig(strict_mutations=config.strict_mutations))
        self.pipeline = OperationPipeline(supergraph, config, subgraphs, planner)

    def replaced(self, supergraph_sdl: str) -> ServedGraph:
        """The same for another supergraph; connections to subgraphs that stay where they are too
        stay. Raises as the constructor does.
        """
        return ServedGraph(
            supergraph_sdl, self._given, self._config, self._metrics, kept=self.transports
        )

    async def close(self, *, successor: ServedGraph | None = None) -> None:
        """Close all that no successor goes on with."""
        self.pipeline.close()
        going_on = () if successor is None else tuple(successor.transports.values())
        for transport in self.transports.values():
            if not any(transport is other for other in going_on):
                await transport.close()


def _by_http(new: HttpSubgraph, old: Subgraph | None) -> Subgraph:
    """The old one, if it is called at the same URL. A new one has opened nothing yet."""
    return old if isinstance(old, HttpSubgraph) and old.url == new.url else new
