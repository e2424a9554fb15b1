"""Times that plugins read from their own tables, and from the arguments of their commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc(time: datetime) -> datetime:
    """Return an aware time in UTC. A naive time is one that a database without time zones returned.

    SQLite and MariaDB return naive times in UTC, PostgreSQL aware ones. Use it for every
    time that is read from a plugin's table and compared with ``request.now``, shown or
    exported. Since 1.1.
    """
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_time(value: str, *, future: bool = False) -> datetime:
    """Return a time that an operator has written, in the way of all commands of authhost.

    That is a date or time of ISO 8601, which is UTC without a zone, or a duration such as ``7d``, ``12h`` or
    ``30m``: so long ago, or with ``future`` from now on. Raises ``ValueError`` with a text for the operator.
    Since 1.1.
    """
    try:
        if (match := re.fullmatch(r"([0-9]{1,6})([mhdw])", value)) is not None:
            length = timedelta(**{UNITS[match[2]]: int(match[1])})
            return datetime.now(UTC) + (length if future else -length)
        return utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise ValueError(
            "write a date such as 2026-12-31, a time such as 2026-12-31T12:00Z, or 7d, 12h, 30m"
        ) from None
