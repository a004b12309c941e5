"""Carts, orders, and the process that places them. `app.build` makes the service."""
