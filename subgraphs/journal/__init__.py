"""The journal service: the audit view over all services, and the one place that knows every id."""
