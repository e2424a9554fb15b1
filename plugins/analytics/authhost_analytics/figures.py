"""What a report says: values, and the same as a document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from authhost_analytics.journeys import ENDLESS
from authhost_analytics.spans import Span


@dataclass(frozen=True, slots=True)
class Line:
    """Events of one kind: all of them, and how many there were in each period."""

    labels: dict[str, str]
    total: int
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the signups of one kind, or how far people came at a provider."""

    name: str
    steps: dict[str, int]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Who signed up in a week, and how many of them came in that week and in the following ones."""

    week: date
    signed_up: int
    came: list[int]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a flow ended in a refusal."""

    flow: str
    succeeded: int
    refused: int
    limited: int

    @property
    def all(self) -> int:
        """How often it was tried."""
        return self.succeeded + self.refused

    @property
    def share(self) -> float:
        """Refused among all, from 0 to 1."""
        return self.refused / max(1, self.all)

    @property
    def limited_share(self) -> float:
        """Refused by a rate limit among all, from 0 to 1."""
        return self.limited / max(1, self.all)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a report shows of a span."""

    span: Span
    events: list[Line]
    people: dict[str, dict[str, int]]
    signup: list[Funnel]
    social: list[Funnel]
    confirmation: dict[int, int]
    cohorts: list[Cohort]
    rates: list[Rate]


def median(classes: dict[int, int]) -> int | None:
    """Within how many seconds half of them were done; None for none, `ENDLESS` for longer than a week."""
    half, reached = sum(classes.values()) / 2, 0
    for seconds, count in classes.items():
        reached += count
        if count and reached >= half:
            return seconds
    return None


def spoken(seconds: int) -> str:
    """A class of durations in words."""
    if seconds == ENDLESS:
        return "longer"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def as_document(found: Figures) -> dict[str, Any]:
    """The same as values of JSON."""
    span = found.span
    return {
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "grain": span.grain,
        "periods": [span.named(start) for start in span.starts],
        "events": [{**line.labels, "total": line.total, "counts": line.counts} for line in found.events],
        "people": found.people,
        "signup": {funnel.name: funnel.steps for funnel in found.signup},
        "social": {funnel.name: funnel.steps for funnel in found.social},
        "time_to_confirm": [
            {"within_seconds": None if seconds == ENDLESS else seconds, "count": count}
            for seconds, count in found.confirmation.items()
        ],
        "cohorts": [
            {"week": each.week.isoformat(), "signed_up": each.signed_up, "came": each.came}
            for each in found.cohorts
        ],
        "rates": [
            {
                "flow": rate.flow,
                "succeeded": rate.succeeded,
                "refused": rate.refused,
                "rate_limited": rate.limited,
                "share": round(rate.share, 4),
            }
            for rate in found.rates
        ],
    }
