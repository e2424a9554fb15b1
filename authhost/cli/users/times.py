"""Times as operators write them: a date, a time, or a number of days, hours or minutes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Time(click.ParamType):  # type: ignore[type-arg]  # it has none in older versions
    """A date or time (ISO 8601; without a zone it is UTC), or a duration from now such as 7d, 12h, 30m.

    ``future`` says whether a duration is added to the time now, or taken from it.
    """

    name = "time"

    def __init__(self, *, future: bool) -> None:
        self._future = future

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        match = re.fullmatch(r"(\d{1,6})([mhdw])", value)
        try:
            if match is not None:
                length = timedelta(**{UNITS[match[2]]: int(match[1])})
                return datetime.now(UTC) + (length if self._future else -length)
            time = datetime.fromisoformat(value)
            return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail("write a date such as 2026-12-31, a time such as 2026-12-31T12:00Z, or 7d, 12h, 30m")


TIME, FUTURE_TIME = Time(future=False), Time(future=True)
