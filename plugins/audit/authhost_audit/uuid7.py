"""Times in identifiers: an identifier of a record is a UUID version 7 (RFC 9562), so it sorts by its time."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

SMALLEST = UUID(int=0)
"""Smaller than every identifier of a record."""
LATEST_MILLISECOND = 253_402_300_799_999
"""The last millisecond of the year 9999, the last one that a `datetime` can hold."""


def lower_bound(time: datetime) -> UUID:
    """Return the smallest UUID version 7 of the millisecond of ``time``."""
    return UUID(int=max(0, int(time.timestamp() * 1000)) << 80 | 7 << 76 | 2 << 62)


def time_of(identifier: UUID) -> datetime:
    """Return the time in an identifier, in UTC and with a resolution of a millisecond."""
    return datetime.fromtimestamp(min(identifier.int >> 80, LATEST_MILLISECOND) / 1000, UTC)
