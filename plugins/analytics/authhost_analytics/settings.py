"""What an operator may set under ``[plugins.analytics]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnalyticsSettings:
    """Events are kept, under pseudonyms, for ``keep_days``; figures by the hour for ``keep_hours_days``.

    Figures by the day are kept for ever: there is nobody in them. What leaves
    the host (files, pages, Prometheus) is rounded to multiples of
    ``smallest_count``, and says nothing of fewer; with 1 it is exact.
    """

    recording: bool = True
    keep_days: int = 30
    keep_hours_days: int = 90
    smallest_count: int = 5

    def __post_init__(self) -> None:
        if not 3 <= self.keep_days <= 60:
            raise ValueError("keep_days must be from 3 to 60: pseudonyms reach back one month")
        if not self.keep_days <= self.keep_hours_days <= 3660:
            raise ValueError("keep_hours_days must be from keep_days to 3660: days are made of their hours")
        if not 1 <= self.smallest_count <= 1000:
            raise ValueError("smallest_count must be from 1 to 1000")
