"""Pseudonyms of users. A user has another pseudonym in each month."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

from authhost_analytics.periods import month_before

KeyedHash = Callable[[str], str]


def pseudonym(keyed_hash: KeyedHash, month: int, user_id: UUID) -> int:
    """Return a signed 64-bit number derived from the secret key, the user and the month.

    Among a million users, two share a number with a probability of 3e-8.
    """
    return _of_month(_key(keyed_hash, user_id), month)


def pseudonym_pair(keyed_hash: KeyedHash, month: int, user_id: UUID) -> tuple[int, int]:
    """Return the pseudonyms of ``month`` and of the month before.

    The second one connects an event with a week or a signup that began in the month before.
    """
    key = _key(keyed_hash, user_id)
    return _of_month(key, month), _of_month(key, month_before(month))


def _key(keyed_hash: KeyedHash, user_id: UUID) -> bytes:
    """Return the user's key. It is not stored, and cannot be computed without the secret key."""
    return bytes.fromhex(keyed_hash(f"analytics {user_id}"))


def _of_month(key: bytes, month: int) -> int:
    digest = hashlib.blake2b(b"%d" % month, key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
