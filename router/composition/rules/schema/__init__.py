"""Rules of one subgraph, each `check(subgraph)`."""
