"""How many different people: HyperLogLog, by the library Apache DataSketches.

A sketch holds no pseudonyms, only bits of their salted hashes, and takes 8 KiB
however many there are. Its standard error is 0.65 % (1.3 % for a cohort's, which
is a quarter as large); a few hundred people are counted exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from datasketches import hll_sketch, tgt_hll_type

SIZE, COHORT_SIZE = 14, 12
"""The binary logarithm of how many registers there are."""
STANDARD_ERROR, COHORT_STANDARD_ERROR = 0.0065, 0.013
SALT = 16


def merged(sketch: bytes | None, size: int, salt: bytes, persons: Iterable[int]) -> tuple[bytes, int]:
    """A sketch with more people in it, and how many there are then. To add one twice changes nothing."""
    grown = hll_sketch.deserialize(sketch) if sketch is not None else hll_sketch(size, tgt_hll_type.HLL_4)
    for person in persons:
        grown.update(_salted(salt, person))
    return grown.serialize_compact(), round(grown.get_estimate())


def _salted(salt: bytes, person: int) -> int:
    digest = hashlib.blake2b(person.to_bytes(8, "big", signed=True), key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
