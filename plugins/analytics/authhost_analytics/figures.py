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
    """How often a flow ended in a refusal; ``succeeded`` is None where no signal tells of a success."""

    flow: str
    succeeded: int | None
    refused: int
    limited: int

    @property
    def all(self) -> int | None:
        """How often it was tried."""
        return None if self.succeeded is None else self.succeeded + self.refused

    @property
    def share(self) -> float | None:
        """Refused among all, from 0 to 1."""
        return None if self.all is None else self.refused / max(1, self.all)

    @property
    def limited_share(self) -> float | None:
        """Refused by a rate limit among all, from 0 to 1."""
        return None if self.all is None else self.limited / max(1, self.all)


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


# The most frequent come first, and then by name.


def line_order(line: Line) -> tuple[Any, ...]:
    """How lines of events are sorted."""
    return -line.total, *line.labels.values()


def funnel_order(funnel: Funnel) -> tuple[Any, ...]:
    """How funnels are sorted: by their first step."""
    return -next(iter(funnel.steps.values())), funnel.name


def rate_order(rate: Rate) -> tuple[Any, ...]:
    """How rates are sorted: where most is refused comes first."""
    return -rate.refused, -(rate.succeeded or 0), rate.flow


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
                "share": None if rate.share is None else round(rate.share, 4),
            }
            for rate in found.rates
        ],
    }
