"""Times that plugins read from their own tables, and from the arguments of their commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
"""What ``datetime.fromisoformat`` gets, which accepts more in some versions of Python than in others."""
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

    That is a date or time of ISO 8601, which is UTC without a zone, or a duration such as ``30m``, ``12h``,
    ``7d`` or ``2w``: so long ago, or with ``future`` from now on. Since 1.1. Raises ``ValueError`` with a
    text for the operator.
    """
    try:
        if (match := re.fullmatch(r"([0-9]{1,6})([mhdw])", value)) is not None:
            length = timedelta(**{UNITS[match[2]]: int(match[1])})
            return datetime.now(UTC) + (length if future else -length)
        if TIME.fullmatch(value) is None:
            raise ValueError
        return utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise ValueError(
            "write a date such as 2026-12-31, a time such as 2026-12-31T12:00Z, or 30m, 12h, 7d, 2w"
        ) from None
