"""Merkle trees as RFC 6962 § 2.1 (and RFC 9162 § 2.1) define them: roots, and paths of inclusion.

Leaves are hashed after a zero byte, nodes after a one byte, so no node can pass for a leaf. A tree
of n leaves splits at the largest power of two below n.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The leaf of an entry."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves that are hashed already."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def _next_level(level: list[bytes]) -> list[bytes]:
    """Pairs joined; an odd one at the end goes up as it is, which is where the split puts it."""
    above = [
        sha256(b"\x01" + level[place] + level[place + 1]).digest()
        for place in range(0, len(level) - 1, 2)
    ]
    if len(level) % 2:
        above.append(level[-1])
    return above


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """What must be hashed with leaf `index` (from 0), nearest first, to come to the root."""
    found: list[bytes] = []
    level, place = list(leaves), index
    while len(level) > 1:
        other = place ^ 1
        if other < len(level):
            found.append(level[other])
        level, place = _next_level(level), place // 2
    return found


def root_of_path(leaf: bytes, index: int, size: int, nodes: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to (RFC 9162 § 2.1.3.2); None if it does not fit the tree."""
    if not 0 <= index < size:
        return None
    place, last, current = index, size - 1, leaf
    for node in nodes:
        if last == 0:
            return None
        if place & 1 or place == last:
            current = node_hash(node, current)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            current = node_hash(current, node)
        place, last = place >> 1, last >> 1
    return current if last == 0 else None
