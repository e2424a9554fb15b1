"""What may leave the host: numbers in which nobody can be made out.

Numbers are rounded to multiples of ``smallest_count``, and what there were
fewer of is none. To leave small numbers out would not do: a total less what is
shown beside it, the day less its hours, or a counter less what it was a minute
ago would give them away. So would an order by the true numbers: what is shown
alike stands by its name.
"""

from __future__ import annotations

from dataclasses import replace

from authhost_analytics.figures import (
    Cohort,
    Figures,
    Funnel,
    Line,
    Rate,
    funnel_order,
    line_order,
    rate_order,
)


def rounded(count: int, smallest: int) -> int:
    """The nearest multiple of ``smallest``; 0 for any fewer than that."""
    if smallest <= 1:
        return count
    return 0 if count < smallest else (count + smallest // 2) // smallest * smallest


def discreet(found: Figures, smallest: int) -> Figures:
    """The same figures, rounded; shares and orders are made of these. Lines of nobody are left out."""

    def few(count: int) -> int:
        return rounded(count, smallest)

    lines = [
        Line(line.labels, few(line.total), [few(count) for count in line.counts])
        for line in found.events
        if few(line.total)
    ]
    rates = [
        Rate(
            each.flow,
            None if each.succeeded is None else few(each.succeeded),
            few(each.refused),
            few(each.limited),
        )
        for each in found.rates
    ]
    return replace(
        found,
        events=sorted(lines, key=line_order),
        people={
            grain: {name: few(count) for name, count in counts.items()}
            for grain, counts in found.people.items()
        },
        signup=_funnels(found.signup, smallest),
        social=_funnels(found.social, smallest),
        confirmation={seconds: few(count) for seconds, count in found.confirmation.items()},
        cohorts=[
            Cohort(each.week, few(each.signed_up), [few(count) for count in each.came])
            for each in found.cohorts
            if few(each.signed_up)
        ],
        rates=sorted((each for each in rates if each.succeeded or each.refused), key=rate_order),
    )


def _funnels(funnels: list[Funnel], smallest: int) -> list[Funnel]:
    made = [
        Funnel(each.name, {step: rounded(count, smallest) for step, count in each.steps.items()})
        for each in funnels
    ]
    return sorted((each for each in made if any(each.steps.values())), key=funnel_order)
