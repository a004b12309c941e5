"""The shipping service: methods and rates, shipments, tracking."""

__all__: list[str] = []
