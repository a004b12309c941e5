"""Rules on the merged schema, each `check(merge)`: what only shows when all is put together."""
