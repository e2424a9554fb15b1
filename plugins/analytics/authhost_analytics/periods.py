"""Hours, days, weeks and months as numbers, all in UTC.

An hour is counted from 1970, and so is a day. A week begins on its Monday
(ISO 8601) and a month on its first: both are named by that day. Each event asks
for those of the same few days, so they are remembered.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

EPOCH = date(1970, 1, 1).toordinal()
HOUR, HOURS_A_DAY = 3600, 24


def hour_of(time: datetime) -> int:
    """The hour that ``time`` is in."""
    return int(time.timestamp()) // HOUR


def day_of(time: datetime) -> int:
    """The day that ``time`` is in."""
    return hour_of(time) // HOURS_A_DAY


def number(day: date) -> int:
    """A day as a number."""
    return day.toordinal() - EPOCH


def as_date(day: int) -> date:
    """A number as a day."""
    return date.fromordinal(EPOCH + day)


def as_time(hour: int) -> datetime:
    """When an hour begins."""
    return datetime.fromtimestamp(hour * HOUR, UTC)


@lru_cache(maxsize=512)
def week_of(day: int) -> int:
    """The Monday of a day's week."""
    return day - as_date(day).weekday()


@lru_cache(maxsize=512)
def month_of(day: int) -> int:
    """The first of a day's month."""
    return number(as_date(day).replace(day=1))


@lru_cache(maxsize=512)
def month_before(month: int) -> int:
    """The first of the month before."""
    return month_of(month - 1)


def month_after(month: int) -> int:
    """The first of the month after."""
    return month_of(month + 31)
