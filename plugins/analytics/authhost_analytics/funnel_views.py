"""Funnels, and the retention over all cohorts, as the HTML report draws them, from rounded counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from authhost_analytics.periods import number
from authhost_analytics.report import Cohort, Funnel
from authhost_analytics.spans import Span

MIN_USERS, MIN_MULTIPLE = 20, 4
"""A mean over cohorts of fewer users, or of less than this multiple of ``smallest_count``, is not shown."""
MAX_UNKNOWN_SHARE = 0.2
"""A mean over cohorts is not shown if the unknown counts belong to more of the users than this share."""
CONFIRMATION_STEPS = ("sent", "confirmed")


class Step(NamedTuple):
    """A step of a funnel. A share, from 0 to 1, is None if a count is unknown or the share misleads."""

    name: str
    users: int | None
    of_first: float | None
    of_previous: float | None


class FunnelView(NamedTuple):
    """A funnel. ``confirmation`` is false if few or none of its signups needed a confirmation."""

    name: str
    steps: list[Step]
    confirmation: bool


def funnel_view(funnel: Funnel, smallest: int) -> FunnelView:
    """Return a funnel with the conversion from step to step."""
    unconfirmed = "sent" in funnel.steps and not funnel.steps["sent"]
    counts = {
        name: None if count == 0 and smallest > 1 else count
        for name, count in funnel.steps.items()
        if not (unconfirmed and name in CONFIRMATION_STEPS)
    }
    values = list(counts.values())
    steps = [
        Step(name, count, _share(count, values[0]), _share(count, values[index - 1]) if index else None)
        for index, (name, count) in enumerate(counts.items())
    ]
    return FunnelView(funnel.name, steps, not unconfirmed)


def _share(count: int | None, of: int | None) -> float | None:
    # A later step can have more users than an earlier one: not every user takes every step.
    return count / of if count is not None and of and count <= of else None


def mean_retention(cohorts: Sequence[Cohort], span: Span, today: int, smallest: int) -> list[float | None]:
    """Return the share of users who were active in each week after their signup, over all cohorts.

    Only complete weeks count. ``today`` is the number of the day.
    """
    last = min(span.days[1], today - 1)
    shares: list[float | None] = []
    for week in range(max((len(each.active) for each in cohorts), default=0)):
        found = [
            (each.signed_up, each.active[week])
            for each in cohorts
            if week < len(each.active) and number(each.week) + 7 * week + 6 <= last
        ]
        users = sum(signed_up for signed_up, _ in found)
        unknown = sum(signed_up for signed_up, active in found if active == 0 and smallest > 1)
        known = users >= max(MIN_USERS, MIN_MULTIPLE * smallest) and unknown <= MAX_UNKNOWN_SHARE * users
        shares.append(min(1.0, sum(active for _, active in found) / users) if known else None)
    while shares and shares[-1] is None:
        shares.pop()
    return shares
