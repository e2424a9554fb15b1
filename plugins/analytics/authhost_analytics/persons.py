"""Pseudonyms: who did something, under a name that changes with the month."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from authhost_analytics.periods import month_before

KeyedHash = Callable[[str], str]


def pseudonym(keyed_hash: KeyedHash, month: int, user_id: UUID) -> int:
    """64 bits of an HMAC under the secret key, another for each month: a number for a column.

    Of a million people two share a number with a chance of 3 in 10 to the 8th.
    """
    digest = keyed_hash(f"analytics {month} {user_id}")
    return int(digest[:16], 16) - 2**63


def pseudonyms(keyed_hash: KeyedHash, month: int, user_id: UUID) -> tuple[int, int]:
    """That of the month, and that of the month before: it lets a week or a signup reach across the first."""
    before = pseudonym(keyed_hash, month_before(month), user_id)
    return pseudonym(keyed_hash, month, user_id), before
