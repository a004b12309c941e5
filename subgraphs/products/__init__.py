"""The products service: catalogue, variants, categories, prices and their history, search."""
