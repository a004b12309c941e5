"""The payments service: authorise, capture, void and refund through a provider port."""

__all__: list[str] = []
