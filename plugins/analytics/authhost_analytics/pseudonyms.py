"""Pseudonyms of users. A user has another pseudonym in each month.

Each key of ``secret_key`` gives other pseudonyms. New events get those of the oldest key, so that nobody
is counted twice while the key is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

from authhost_analytics.periods import month_before

KeyedHashes = Callable[[str], tuple[str, ...]]
"""Returns a keyed hash under each key, that of the oldest key last; see `Host.keyed_hashes`."""


def all_pseudonyms(keyed_hashes: KeyedHashes, month: int, user_id: UUID) -> list[int]:
    """Return the user's pseudonyms of a month under each key of the host, that of new events last."""
    return [_of_month(key, month) for key in _keys(keyed_hashes, user_id)]


def pseudonym(keyed_hashes: KeyedHashes, month: int, user_id: UUID) -> int:
    """Return the user's pseudonym in new events of a month: a signed 64-bit number.

    Among a million users, two share a number with a probability of 3e-8.
    """
    return all_pseudonyms(keyed_hashes, month, user_id)[-1]


def pseudonym_pair(keyed_hashes: KeyedHashes, month: int, user_id: UUID) -> tuple[int, int]:
    """Return the pseudonyms of ``month`` and of the month before.

    The second one connects an event with a week or a signup that began in the month before.
    """
    key = _keys(keyed_hashes, user_id)[-1]
    return _of_month(key, month), _of_month(key, month_before(month))


def _keys(keyed_hashes: KeyedHashes, user_id: UUID) -> list[bytes]:
    """Return the user's keys. They are not stored, and cannot be computed without the secret key."""
    return [bytes.fromhex(each) for each in keyed_hashes(f"analytics {user_id}")]


def _of_month(key: bytes, month: int) -> int:
    digest = hashlib.blake2b(b"%d" % month, key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
