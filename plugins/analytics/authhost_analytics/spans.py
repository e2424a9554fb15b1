"""Days of a report, and what they are divided into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from authhost_analytics.periods import HOURS_A_DAY, as_date, as_time, month_of, number, week_of

Grain = Literal["hour", "day", "week", "month"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``since`` through ``until``, both included, and what they are divided into."""

    since: date
    until: date
    grain: Grain = "day"

    @property
    def days(self) -> tuple[int, int]:
        """The first and the last day as numbers."""
        return number(self.since), number(self.until)

    @property
    def starts(self) -> list[int]:
        """The numbers of the hours, or of the first days of the periods."""
        first, last = self.days
        if self.grain == "hour":
            return list(range(first * HOURS_A_DAY, (last + 1) * HOURS_A_DAY))
        return sorted({self.start(day) for day in range(first, last + 1)})

    def start(self, day: int) -> int:
        """The period that a day is in."""
        return {"week": week_of, "month": month_of}.get(self.grain, int)(day)

    def named(self, start: int) -> str:
        """A period as people write it: by its first day, or hour."""
        if self.grain == "hour":
            return as_time(start).strftime("%Y-%m-%d %H:00")
        return as_date(start).strftime("%Y-%m" if self.grain == "month" else "%Y-%m-%d")
