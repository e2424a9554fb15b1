"""Reads the figures that the roll-up has made; no event is looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from authhost_hookspecs import Host
from sqlalchemy import Connection, func, select

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
from authhost_analytics.journeys import STEPS, WITHIN
from authhost_analytics.periods import HOURS_A_DAY, as_date, week_of
from authhost_analytics.spans import Span
from authhost_analytics.tables import DIMENSIONS, count_table, duration_table, funnel_table, people_table

REFUSED, LIMITED = "flow_refused", "rate_limited"
WEEKS = 12
"""How far a cohort is followed."""
SUCCEEDED = {
    "login": "user_logged_in",
    "signup": "user_signed_up",
    "confirm_email": "email_confirmed",
    "change_password": "password_changed",
    "set_password": "password_set",
    "reset_password": "password_reset",
    "add_email": "email_added",
    "remove_email": "email_removed",
    "make_primary": "email_changed",
    "social_begin": "social_login_begun",
    "social_complete": "pre_social_login",
    "social_disconnect": "social_account_removed",
}
"""The event that tells of a flow's success."""


Totals = dict[tuple[str, ...], int]


def figures(host: Host, span: Span, by: Sequence[str] = ("event",)) -> Figures:
    """All of a span; ``by`` are the dimensions that events are told apart by."""
    with host.reader.connect() as connection:
        summed = totals(connection, span)
        return Figures(
            span,
            lines(connection, span, *by),
            people(connection, span),
            signup_funnels(connection, span),
            social_funnels(summed),
            confirmation(connection, span),
            cohorts(connection, span),
            rates(summed),
        )


def lines(connection: Connection, span: Span, *by: str) -> list[Line]:
    """How many events there were, by some dimensions and by period; the most frequent first."""
    table = count_table.c
    dimensions = [table[name] for name in by]
    (first, last), stored = span.days, "hour" if span.grain == "hour" else "day"
    if stored == "hour":
        first, last = first * HOURS_A_DAY, (last + 1) * HOURS_A_DAY - 1
    counted = (
        select(table.start, *dimensions, func.sum(table.count).label("count"))
        .where(table.grain == stored, table.start.between(first, last))
        .group_by(table.start, *dimensions)
    )
    places = {start: index for index, start in enumerate(span.starts)}
    found: dict[tuple[str, ...], list[int]] = {}
    for start, *labels, count in connection.execute(counted):
        counts = found.setdefault(tuple(labels), [0] * len(places))
        counts[places[span.start(start)]] += int(count)
    made = [Line(dict(zip(by, labels, strict=True)), sum(counts), counts) for labels, counts in found.items()]
    return sorted(made, key=line_order)


def totals(connection: Connection, span: Span) -> Totals:
    """How many events there were, by all dimensions."""
    table = count_table.c
    dimensions = [table[name] for name in DIMENSIONS]
    first, last = span.days
    summed = select(*dimensions, func.sum(table.count)).where(
        table.grain == "day", table.start.between(first, last)
    )
    return {tuple(labels): int(count) for *labels, count in connection.execute(summed.group_by(*dimensions))}


def people(connection: Connection, span: Span) -> dict[str, dict[str, int]]:
    """How many different people, by day, week and month, each named by its first day."""
    table, found = people_table.c, dict[str, dict[str, int]]()
    for grain in ("day", "week", "month"):
        starts = Span(span.since, span.until, grain).starts
        counted = select(table.start, table.people).where(
            table.grain == grain, table.cohort == 0, table.start.between(starts[0], starts[-1])
        )
        counts = {row.start: row.people for row in connection.execute(counted)}
        found[grain] = {as_date(start).isoformat(): counts.get(start, 0) for start in starts}
    return found


def signup_funnels(connection: Connection, span: Span) -> list[Funnel]:
    """Of those who signed up in the span, by method: who got a confirmation, confirmed, logged in."""
    table = funnel_table.c
    names = ("signed_up", *STEPS)
    summed = select(table.method, *(func.sum(table[name]).label(name) for name in names))
    rows = connection.execute(summed.where(table.day.between(*span.days)).group_by(table.method)).all()
    made = [Funnel(row.method, {name: int(row._mapping[name]) for name in names}) for row in rows]
    return sorted(made, key=funnel_order)


def social_funnels(summed: Totals) -> list[Funnel]:
    """Of each provider: who was sent there to log in, who came back, who was new."""
    found: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("begun", "came_back", "new"), 0)
    )
    step = {
        ("social_login_begun", "login"): "begun",
        ("pre_social_login", "login"): "came_back",
        ("user_signed_up", ""): "new",
    }
    for (event, flow, _, provider, _), count in summed.items():
        if provider and (event, flow) in step:
            found[provider][step[event, flow]] += count
    return sorted((Funnel(name, steps) for name, steps in found.items()), key=funnel_order)


def confirmation(connection: Connection, span: Span) -> dict[int, int]:
    """How many of those who signed up in the span confirmed within so many seconds; `ENDLESS` is the rest."""
    table = duration_table.c
    summed = select(table.seconds, func.sum(table.count)).where(table.day.between(*span.days))
    found = {seconds: int(count) for seconds, count in connection.execute(summed.group_by(table.seconds))}
    return {seconds: found.get(seconds, 0) for seconds in WITHIN}


def cohorts(connection: Connection, span: Span) -> list[Cohort]:
    """Retention: of those who signed up in a week, how many came in that week and in those that followed."""
    table = people_table.c
    first, last = (week_of(day) for day in span.days)
    counted = select(table.cohort, table.start, table.people).where(
        table.grain == "week",
        table.cohort.between(first, last),
        table.start.between(first, last),
        table.start >= table.cohort,
    )
    came: dict[int, dict[int, int]] = defaultdict(dict)
    for cohort, start, count in connection.execute(counted):
        came[cohort][(start - cohort) // 7] = count
    signed_up: defaultdict[int, int] = defaultdict(int)
    of_day = select(funnel_table.c.day, funnel_table.c.signed_up)
    for day, count in connection.execute(of_day.where(funnel_table.c.day.between(first, last + 6))):
        signed_up[week_of(day)] += count
    return [
        Cohort(
            as_date(week),
            signed_up[week],
            [came[week].get(number, 0) for number in range(min(WEEKS, (last - week) // 7 + 1))],
        )
        for week in sorted(came)
    ]


def rates(summed: Totals) -> list[Rate]:
    """Of each flow: how many succeeded, how many were refused, and how many of those by a rate limit."""
    events: defaultdict[str, int] = defaultdict(int)
    refused: defaultdict[str, int] = defaultdict(int)
    limited: defaultdict[str, int] = defaultdict(int)
    for (event, flow, outcome, _, method), count in summed.items():
        if event == REFUSED:
            refused[flow] += count
            limited[flow] += count if outcome == LIMITED else 0
        elif method in ("", "password"):
            # A login or a signup in any other way was another flow: of that other one it is no success.
            events[event] += count
    found = [
        Rate(flow, events[SUCCEEDED[flow]] if flow in SUCCEEDED else None, refused[flow], limited[flow])
        for flow in refused.keys() | {flow for flow, event in SUCCEEDED.items() if events[event]}
    ]
    return sorted(found, key=rate_order)
