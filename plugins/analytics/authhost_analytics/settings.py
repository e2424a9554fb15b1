"""Settings under ``[plugins.analytics]``."""

from __future__ import annotations

from dataclasses import dataclass

from authhost_analytics.languages import LANGUAGES, SOURCE_LANGUAGE


@dataclass(frozen=True, slots=True)
class AnalyticsSettings:
    """Retention in days, and the smallest count that is shown to others.

    ``recording``: whether events are stored.
    ``keep_days``: days for which events are kept, with pseudonyms.
    ``keep_hours_days``: days for which counts per hour are kept. Counts per day
    are kept forever; they contain no data about a single user.
    ``smallest_count``: counts in files, pages and metrics are rounded to
    multiples of it, and counts below it become 0. With 1 counts are exact.
    ``language``: the language of the HTML report, one of `LANGUAGES`.

    Raises `ValueError` for a value out of range.
    """

    recording: bool = True
    keep_days: int = 30
    keep_hours_days: int = 90
    smallest_count: int = 5
    language: str = SOURCE_LANGUAGE

    def __post_init__(self) -> None:
        if not 3 <= self.keep_days <= 60:
            raise ValueError(
                "keep_days must be from 3 to 60: an event is stored with the pseudonyms of two months"
            )
        if not self.keep_days <= self.keep_hours_days <= 3660:
            raise ValueError(
                "keep_hours_days must be from keep_days to 3660: the counts of a day are the sum of its hours"
            )
        if not 1 <= self.smallest_count <= 1000:
            raise ValueError("smallest_count must be from 1 to 1000")
        if self.language not in LANGUAGES:
            raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, not {self.language!r}")
