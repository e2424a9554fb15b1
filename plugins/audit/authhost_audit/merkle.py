"""Merkle trees as in RFC 6962, section 2.1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

Step = tuple[str, bytes]
"""One step up: on which side the other hash stands (``left`` or ``right``), and what it is."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of all; of none it is the hash of nothing."""
    if not leaves:
        return hashlib.sha256().digest()
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[Step]:
    """What it takes to come from the leaf at ``index`` to the root."""
    steps: list[Step] = []
    level = list(leaves)
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            steps.append(("left" if other < index else "right", level[other]))
        level, index = _above(level), index // 2
    return steps


def climb(leaf: bytes, steps: Sequence[Step]) -> bytes:
    """The root that the steps lead to."""
    for side, other in steps:
        leaf = node_hash(other, leaf) if side == "left" else node_hash(leaf, other)
    return leaf


def _above(level: list[bytes]) -> list[bytes]:
    """An odd one goes up as it is."""
    pairs = [node_hash(level[each], level[each + 1]) for each in range(0, len(level) - 1, 2)]
    return pairs if len(level) % 2 == 0 else [*pairs, level[-1]]
