"""Counting of unique users with HyperLogLog sketches, by the library Apache DataSketches.

A sketch contains no pseudonyms, only some bits of their salted hashes. It takes
at most 8 KiB (2 KiB for a cohort) for any number of users. The standard error is
0.65 % (1.3 % for a cohort); a few hundred users are counted exactly. Sketches of
the same size and salt can be merged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

LOG2_REGISTERS, COHORT_LOG2_REGISTERS = 14, 12
"""The binary logarithm of the number of registers."""
STANDARD_ERROR, COHORT_STANDARD_ERROR = 0.0065, 0.013
SALT_LENGTH = 16
"""Bytes."""


def add_to_sketch(
    sketch: bytes | None, log2_registers: int, salt: bytes, pseudonyms: Iterable[int]
) -> tuple[bytes, int]:
    """Return the sketch with the given users added, and its estimated number of users.

    ``None`` stands for an empty sketch. Adding a user twice changes nothing.
    """
    # The package `datasketches` imports numpy for features that are not used here; its extension module
    # does not. The import is inside the function because reports read counts only.
    from _datasketches import hll_sketch, tgt_hll_type  # type: ignore[import-not-found]

    new = hll_sketch(log2_registers, tgt_hll_type.HLL_4) if sketch is None else hll_sketch.deserialize(sketch)
    for pseudonym in pseudonyms:
        new.update(_salted(salt, pseudonym))
    return new.serialize_compact(), round(new.get_estimate())


def _salted(salt: bytes, pseudonym: int) -> int:
    digest = hashlib.blake2b(pseudonym.to_bytes(8, "big", signed=True), key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
