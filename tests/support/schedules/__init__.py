"""Seeded schedules of the group committer: what happens between its writers and PostgreSQL, one
step at a time, in an order that a seed decides.
"""
