"""Reads a report from the tables that the roll-up writes. The events are not read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from authhost_hookspecs import Host
from sqlalchemy import Connection, func, select

from authhost_analytics.dimensions import DIMENSIONS
from authhost_analytics.funnels import DURATION_LIMITS, STEPS
from authhost_analytics.periods import HOURS_A_DAY, as_date, week_of
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
from authhost_analytics.spans import Span
from authhost_analytics.tables import count_table, duration_table, funnel_table, people_table

REFUSED, LIMITED = "flow_refused", "rate_limited"
WEEKS = 12
"""Weeks for which a cohort is shown, the week of the signup included."""
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
"""The event by which the successes of a flow are counted."""


Totals = dict[tuple[str, ...], int]
"""Numbers of events by their values of `DIMENSIONS`."""


def read_report(host: Host, span: Span, by: Sequence[str] = ("event",)) -> Report:
    """Return the report of a span. ``by`` names the dimensions by which events are grouped."""
    with host.reader.connect() as connection:
        totals = event_totals(connection, span)
        return Report(
            span,
            event_counts(connection, span, *by),
            unique_users(connection, span),
            signup_funnels(connection, span),
            social_funnels(totals),
            confirmation_times(connection, span),
            cohorts(connection, span),
            refusal_rates(totals),
        )


def event_counts(connection: Connection, span: Span, *by: str) -> list[EventCounts]:
    """Return the number of events by the given dimensions and by period, highest totals first."""
    table = count_table.c
    dimensions = [table[name] for name in by]
    (first, last), stored = span.days, "hour" if span.grain == "hour" else "day"
    if stored == "hour":
        first, last = first * HOURS_A_DAY, (last + 1) * HOURS_A_DAY - 1
    query = (
        select(table.start, *dimensions, func.sum(table.count).label("count"))
        .where(table.grain == stored, table.start.between(first, last))
        .group_by(table.start, *dimensions)
    )
    positions = {start: index for index, start in enumerate(span.starts)}
    by_labels: dict[tuple[str, ...], list[int]] = {}
    for start, *labels, count in connection.execute(query):
        counts = by_labels.setdefault(tuple(labels), [0] * len(positions))
        counts[positions[span.start(start)]] += int(count)
    found = [
        EventCounts(dict(zip(by, labels, strict=True)), sum(counts), counts)
        for labels, counts in by_labels.items()
    ]
    return sorted(found, key=event_order)


def event_totals(connection: Connection, span: Span) -> Totals:
    """Return the number of events of the whole span by all dimensions."""
    table = count_table.c
    dimensions = [table[name] for name in DIMENSIONS]
    first, last = span.days
    query = select(*dimensions, func.sum(table.count)).where(
        table.grain == "day", table.start.between(first, last)
    )
    return {tuple(labels): int(count) for *labels, count in connection.execute(query.group_by(*dimensions))}


def unique_users(connection: Connection, span: Span) -> dict[str, dict[str, int]]:
    """Return the number of unique users by day, week and month; a period is named by its first day."""
    table, found = people_table.c, dict[str, dict[str, int]]()
    for grain in ("day", "week", "month"):
        starts = Span(span.since, span.until, grain).starts
        query = select(table.start, table.people).where(
            table.grain == grain, table.cohort == 0, table.start.between(starts[0], starts[-1])
        )
        counts = {row.start: row.people for row in connection.execute(query)}
        found[grain] = {as_date(start).isoformat(): counts.get(start, 0) for start in starts}
    return found


def signup_funnels(connection: Connection, span: Span) -> list[Funnel]:
    """Return, for each method, how many users signed up in the span and how many of them took each step."""
    table = funnel_table.c
    names = ("signed_up", *STEPS)
    query = select(table.method, *(func.sum(table[name]).label(name) for name in names))
    rows = connection.execute(query.where(table.day.between(*span.days)).group_by(table.method)).all()
    found = [Funnel(row.method, {name: int(row._mapping[name]) for name in names}) for row in rows]
    return sorted(found, key=funnel_order)


def social_funnels(totals: Totals) -> list[Funnel]:
    """Return, for each provider, how many logins began, came back from the provider, and were signups."""
    steps: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("begun", "came_back", "new"), 0)
    )
    step = {
        ("social_login_begun", "login"): "begun",
        ("pre_social_login", "login"): "came_back",
        ("user_signed_up", ""): "new",
    }
    for (event, flow, _, provider, _), count in totals.items():
        if provider and (event, flow) in step:
            steps[provider][step[event, flow]] += count
    return sorted((Funnel(name, counts) for name, counts in steps.items()), key=funnel_order)


def confirmation_times(connection: Connection, span: Span) -> dict[int, int]:
    """Return, for each of `DURATION_LIMITS`, how many signups of the span were confirmed within it.

    A signup is counted at the smallest limit that it meets.
    """
    table = duration_table.c
    query = select(table.seconds, func.sum(table.count)).where(table.day.between(*span.days))
    found = {seconds: int(count) for seconds, count in connection.execute(query.group_by(table.seconds))}
    return {seconds: found.get(seconds, 0) for seconds in DURATION_LIMITS}


def cohorts(connection: Connection, span: Span) -> list[Cohort]:
    """Return, for each week of signup, how many of its users were active in that and the following weeks."""
    table = people_table.c
    first, last = (week_of(day) for day in span.days)
    query = select(table.cohort, table.start, table.people).where(
        table.grain == "week",
        table.cohort.between(first, last),
        table.start.between(first, last),
        table.start >= table.cohort,
    )
    active: dict[int, dict[int, int]] = defaultdict(dict)
    for cohort, start, count in connection.execute(query):
        active[cohort][(start - cohort) // 7] = count
    signed_up: defaultdict[int, int] = defaultdict(int)
    of_day = select(funnel_table.c.day, funnel_table.c.signed_up)
    for day, count in connection.execute(of_day.where(funnel_table.c.day.between(first, last + 6))):
        signed_up[week_of(day)] += count
    return [
        Cohort(
            as_date(week),
            signed_up[week],
            [active[week].get(number, 0) for number in range(min(WEEKS, (last - week) // 7 + 1))],
        )
        for week in sorted(active)
    ]


def refusal_rates(totals: Totals) -> list[RefusalRate]:
    """Return, for each flow, its successes, its refusals, and its refusals by a rate limit."""
    events: defaultdict[str, int] = defaultdict(int)
    refused: defaultdict[str, int] = defaultdict(int)
    limited: defaultdict[str, int] = defaultdict(int)
    for (event, flow, outcome, _, method), count in totals.items():
        if event == REFUSED:
            refused[flow] += count
            limited[flow] += count if outcome == LIMITED else 0
        elif method in ("", "password"):
            # A login or signup by another method, such as a provider, is a success of another flow.
            events[event] += count
    found = [
        RefusalRate(
            flow, events[SUCCEEDED[flow]] if flow in SUCCEEDED else None, refused[flow], limited[flow]
        )
        for flow in refused.keys() | {flow for flow, event in SUCCEEDED.items() if events[event]}
    ]
    return sorted(found, key=rate_order)
