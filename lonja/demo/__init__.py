"""Real supermarket baskets replayed through the shop, and an account that must reconcile."""

__all__: list[str] = []
