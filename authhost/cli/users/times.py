"""Times as operators write them: a date, a time, or a number of days, hours or minutes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click


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
        from authhost_hookspecs import parse_time

        try:
            return parse_time(value, future=self._future)
        except ValueError as error:
            self.fail(str(error))


TIME, FUTURE_TIME = Time(future=False), Time(future=True)
