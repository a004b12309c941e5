"""The router over HTTP: `create_app` makes an ASGI application of a supergraph."""

from router.http.app import RouterApp, create_app

__all__ = ["RouterApp", "create_app"]
