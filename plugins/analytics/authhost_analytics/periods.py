"""Hours, days, weeks and months as numbers, all in UTC.

Hours and days are counted from 1970-01-01. A week begins on Monday (ISO 8601).
A week is represented by the number of its Monday, a month by the number of its
first day. The conversions are cached because each event needs them for the same
few days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

EPOCH = date(1970, 1, 1).toordinal()
HOUR, HOURS_A_DAY = 3600, 24


def hour_of(time: datetime) -> int:
    """Return the number of the hour that contains ``time``."""
    return int(time.timestamp()) // HOUR


def day_of(time: datetime) -> int:
    """Return the number of the day that contains ``time``."""
    return hour_of(time) // HOURS_A_DAY


def number(day: date) -> int:
    """Convert a date to the number of its day."""
    return day.toordinal() - EPOCH


def as_date(day: int) -> date:
    """Convert the number of a day to its date."""
    return date.fromordinal(EPOCH + day)


def as_time(hour: int) -> datetime:
    """Return the time at which an hour begins."""
    return datetime.fromtimestamp(hour * HOUR, UTC)


@lru_cache(maxsize=512)
def week_of(day: int) -> int:
    """Return the Monday of the week that contains ``day``."""
    return day - as_date(day).weekday()


@lru_cache(maxsize=512)
def month_of(day: int) -> int:
    """Return the first day of the month that contains ``day``."""
    return number(as_date(day).replace(day=1))


@lru_cache(maxsize=512)
def month_before(month: int) -> int:
    """Return the first day of the previous month."""
    return month_of(month - 1)


def month_after(month: int) -> int:
    """Return the first day of the next month."""
    return month_of(month + 31)
