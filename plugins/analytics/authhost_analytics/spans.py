"""The days of a report, and the periods into which they are divided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from authhost_analytics.periods import HOURS_A_DAY, as_date, as_time, month_of, number, week_of

Grain = Literal["hour", "day", "week", "month"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class Span:
    """The days from ``since`` through ``until``, both included, divided into periods of one ``grain``."""

    since: date
    until: date
    grain: Grain = "day"

    @property
    def days(self) -> tuple[int, int]:
        """The numbers of the first and the last day."""
        return number(self.since), number(self.until)

    @property
    def starts(self) -> list[int]:
        """The start of each period: the number of its hour or of its first day."""
        first, last = self.days
        if self.grain == "hour":
            return list(range(first * HOURS_A_DAY, (last + 1) * HOURS_A_DAY))
        return sorted({self.start(day) for day in range(first, last + 1)})

    def start(self, day: int) -> int:
        """Return the start of the period that contains ``day``."""
        return {"week": week_of, "month": month_of}.get(self.grain, int)(day)

    def label(self, start: int) -> str:
        """Return the name of a period for readers: its first day, its month, or its hour."""
        if self.grain == "hour":
            return as_time(start).strftime("%Y-%m-%d %H:00")
        return as_date(start).strftime("%Y-%m" if self.grain == "month" else "%Y-%m-%d")
