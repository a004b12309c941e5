"""Rules on merged elements and their sources, each `check(merge)`."""
