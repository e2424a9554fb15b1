"""Merkle trees as in RFC 6962, section 2.1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

Step = tuple[str, bytes]
"""One step of an audit path: the side of the sibling hash (``left`` or ``right``), and the hash."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node with two children."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root hash. The root of an empty tree is the SHA-256 of the empty string."""
    if not leaves:
        return hashlib.sha256().digest()
    level = list(leaves)
    while len(level) > 1:
        level = _parent_level(level)
    return level[0]


def audit_path(leaves: Sequence[bytes], index: int) -> list[Step]:
    """Return the audit path: the sibling hashes that lead from the leaf at ``index`` to the root."""
    steps: list[Step] = []
    level = list(leaves)
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            steps.append(("left" if other < index else "right", level[other]))
        level, index = _parent_level(level), index // 2
    return steps


def _parent_level(level: list[bytes]) -> list[bytes]:
    """Return the next higher level. A last node without a sibling moves up unchanged."""
    pairs = [node_hash(level[each], level[each + 1]) for each in range(0, len(level) - 1, 2)]
    return pairs if len(level) % 2 == 0 else [*pairs, level[-1]]
