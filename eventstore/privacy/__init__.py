"""Personal data in the log: sealed with a key for each person, which can be destroyed.

`Personal[T]` marks the fields (eventstore/event.py), `Keyring` has the master key, and
`EventStore.persons.erase` makes a log forget somebody. docs/eventstore.md shows it.
"""
