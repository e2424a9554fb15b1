"""The values of a report, and their form as a JSON document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any

from authhost_analytics.funnels import LONGER
from authhost_analytics.spans import Span


@dataclass(frozen=True, slots=True)
class EventCounts:
    """The number of events with the same labels: in total, and in each period of the span."""

    labels: dict[str, str]
    total: int
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many users took each step. ``name`` is the method of the signup, or the provider."""

    name: str
    steps: dict[str, int]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Users who signed up in one week, and how many of them were active in that and the following weeks."""

    week: date
    signed_up: int
    active: list[int]


@dataclass(frozen=True, slots=True)
class RefusalRate:
    """How often a flow was refused. ``succeeded`` is None for a flow whose success has no signal."""

    flow: str
    succeeded: int | None
    refused: int
    limited: int

    @property
    def attempts(self) -> int | None:
        """The number of successes and refusals."""
        return None if self.succeeded is None else self.succeeded + self.refused

    @property
    def share(self) -> float | None:
        """Refusals divided by attempts, from 0 to 1."""
        return None if self.attempts is None else self.refused / max(1, self.attempts)

    @property
    def limited_share(self) -> float | None:
        """Refusals by a rate limit divided by attempts, from 0 to 1."""
        return None if self.attempts is None else self.limited / max(1, self.attempts)


@dataclass(frozen=True, slots=True)
class Report:
    """All values of a report.

    ``people`` maps day, week and month to the unique users of each period, by its
    first day. ``confirmation`` maps limits in seconds to the number of signups
    that were confirmed within that limit, but not within the one before.
    """

    span: Span
    events: list[EventCounts]
    people: dict[str, dict[str, int]]
    signup: list[Funnel]
    social: list[Funnel]
    confirmation: dict[int, int]
    cohorts: list[Cohort]
    rates: list[RefusalRate]


# Sort keys: highest counts first, then by name.


def event_order(events: EventCounts) -> tuple[Any, ...]:
    """Sort key of event counts: by total."""
    return -events.total, *events.labels.values()


def funnel_order(funnel: Funnel) -> tuple[Any, ...]:
    """Sort key of funnels: by the count of the first step."""
    return -next(iter(funnel.steps.values())), funnel.name


def rate_order(rate: RefusalRate) -> tuple[Any, ...]:
    """Sort key of refusal rates: by refusals, then by successes."""
    return -rate.refused, -(rate.succeeded or 0), rate.flow


def cumulative(counts: dict[int, int]) -> dict[int, int]:
    """Return, for each limit in seconds, how many signups were confirmed within it."""
    return dict(zip(counts, accumulate(counts.values()), strict=True))


def median_limit(within: dict[int, int]) -> int | None:
    """Return the limit in seconds within which at least half of the signups were confirmed.

    ``within`` is the result of `cumulative`. Returns None if no signup was confirmed, and
    `LONGER` if half of them took longer than a week.
    """
    total = max(within.values(), default=0)
    return next((seconds for seconds, count in within.items() if total and 2 * count >= total), None)


def format_duration(seconds: int) -> str:
    """Return a limit in seconds as text, such as ``15 min``, or ``any time`` for `LONGER`."""
    if seconds == LONGER:
        return "any time"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def as_document(report: Report) -> dict[str, Any]:
    """Return the report as a value that ``json.dumps`` accepts."""
    span = report.span
    return {
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "grain": span.grain,
        "periods": [span.label(start) for start in span.starts],
        "events": [{**each.labels, "total": each.total, "counts": each.counts} for each in report.events],
        "people": report.people,
        "signup": {funnel.name: funnel.steps for funnel in report.signup},
        "social": {funnel.name: funnel.steps for funnel in report.social},
        "time_to_confirm": [
            {"within_seconds": None if seconds == LONGER else seconds, "count": count}
            for seconds, count in report.confirmation.items()
        ],
        "cohorts": [
            {"week": each.week.isoformat(), "signed_up": each.signed_up, "came": each.active}
            for each in report.cohorts
        ],
        "rates": [
            {
                "flow": rate.flow,
                "succeeded": rate.succeeded,
                "refused": rate.refused,
                "rate_limited": rate.limited,
                "share": None if rate.share is None else round(rate.share, 4),
            }
            for rate in report.rates
        ],
    }
