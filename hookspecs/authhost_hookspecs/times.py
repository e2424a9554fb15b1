"""Times that plugins read from their own tables."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(time: datetime) -> datetime:
    """Return an aware time in UTC. A naive time is one that a database without time zones returned.

    SQLite and MariaDB return naive times in UTC, PostgreSQL aware ones. Use it for every
    time that is read from a plugin's table and compared with ``request.now``, shown or
    exported. Since 1.1.
    """
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
