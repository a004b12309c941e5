"""Executing plans: `CompiledOperation` runs one operation, `Subgraphs` reaches the services."""

from router.executor.caller import Subgraphs
from router.executor.execute import CompiledOperation, ExecutionResult
from router.executor.subscription import StreamFailed
from router.executor.variables import BadVariables

__all__ = ["BadVariables", "CompiledOperation", "ExecutionResult", "StreamFailed", "Subgraphs"]
