"""Pseudonyms: who did something, under a name that changes with the month."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

from authhost_analytics.periods import month_before

KeyedHash = Callable[[str], str]


def pseudonym(keyed_hash: KeyedHash, month: int, user_id: UUID) -> int:
    """64 bits of a hash under the secret key, another for each month: a number for a column.

    Of a million people two share a number with a chance of 3 in 10 to the 8th.
    """
    return _of_month(_key(keyed_hash, user_id), month)


def pseudonyms(keyed_hash: KeyedHash, month: int, user_id: UUID) -> tuple[int, int]:
    """That of the month, and that of the month before: it lets a week or a signup reach across the first."""
    key = _key(keyed_hash, user_id)
    return _of_month(key, month), _of_month(key, month_before(month))


def _key(keyed_hash: KeyedHash, user_id: UUID) -> bytes:
    """A key for each user, which is stored nowhere: who has no secret key cannot make it."""
    return bytes.fromhex(keyed_hash(f"analytics {user_id}"))


def _of_month(key: bytes, month: int) -> int:
    digest = hashlib.blake2b(b"%d" % month, key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
