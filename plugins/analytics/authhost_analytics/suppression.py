"""Rounding of counts that are handed to others, so that no user can be identified by a small count.

Counts are rounded to multiples of ``smallest_count``; counts below it become 0.
Leaving small counts out would not be enough: a reader could compute them as a
total minus the counts shown beside it, a day minus its hours, or a counter minus
its value a minute ago. Sorting by exact counts would also reveal them, so rows
are sorted by their rounded counts, and rows with equal counts by name.
"""

from __future__ import annotations

from dataclasses import replace

from authhost_analytics.report import (
    Cohort,
    EventCounts,
    Funnel,
    RefusalRate,
    Report,
    event_order,
    funnel_order,
    rate_order,
)


def round_count(count: int, smallest: int) -> int:
    """Return the nearest multiple of ``smallest``, or 0 for a count below it."""
    if smallest <= 1:
        return count
    return 0 if count < smallest else (count + smallest // 2) // smallest * smallest


def suppress_small_counts(report: Report, smallest: int) -> Report:
    """Return the report with rounded counts. Rows whose total is rounded to 0 are removed.

    Shares are computed from the rounded counts.
    """

    def rounded(count: int) -> int:
        return round_count(count, smallest)

    events = [
        EventCounts(each.labels, rounded(each.total), [rounded(count) for count in each.counts])
        for each in report.events
        if rounded(each.total)
    ]
    rates = [
        RefusalRate(
            each.flow,
            None if each.succeeded is None else rounded(each.succeeded),
            rounded(each.refused),
            rounded(each.limited),
        )
        for each in report.rates
    ]
    return replace(
        report,
        events=sorted(events, key=event_order),
        people={
            grain: {name: rounded(count) for name, count in counts.items()}
            for grain, counts in report.people.items()
        },
        signup=_suppress_funnels(report.signup, smallest),
        social=_suppress_funnels(report.social, smallest),
        confirmation={seconds: rounded(count) for seconds, count in report.confirmation.items()},
        cohorts=[
            Cohort(each.week, rounded(each.signed_up), [rounded(count) for count in each.active])
            for each in report.cohorts
            if rounded(each.signed_up)
        ],
        rates=sorted((each for each in rates if each.succeeded or each.refused), key=rate_order),
    )


def _suppress_funnels(funnels: list[Funnel], smallest: int) -> list[Funnel]:
    rounded = [
        Funnel(each.name, {step: round_count(count, smallest) for step, count in each.steps.items()})
        for each in funnels
    ]
    return sorted((each for each in rounded if any(each.steps.values())), key=funnel_order)
