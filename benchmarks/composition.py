"""How long a large graph takes to compose, in CPU seconds, and how much memory at most.

python -m benchmarks.composition
"""

from __future__ import annotations

import json
import platform
import resource
import time

from router.composition import compose
from tests.router.composition.test_size import large_graph


def main() -> None:
    """Compose 100 subgraphs with 1,000 types once; print JSON."""
    subgraphs = large_graph(100, 1000)
    start = time.process_time()
    result = compose(subgraphs)
    print(
        json.dumps(
            {
                "python": platform.python_version(),
                "ok": result.ok,
                "cpu_seconds": round(time.process_time() - start, 2),
                "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()
