"""The users service: registration, sign-in, sessions, roles, addresses, erasure."""
