"""The signup funnel: which users took which step after the signup, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from authhost_analytics.periods import HOUR, month_before, month_of, week_of
from authhost_analytics.tables import duration_table, event_table, funnel_table, journey_table

STEPS = {"sent": "email_confirmation_sent", "confirmed": "email_confirmed", "logged_in": "user_logged_in"}
"""The event of each step after the signup, by the column that stores its time."""
MINUTE, DAY = 60, 24 * HOUR
LONGER = 2**31 - 1
"""Stands for more than a week."""
DURATION_LIMITS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, LONGER)
"""Upper limits, in seconds, of the intervals by which times to confirm are counted."""
CHUNK = 500
"""Values in one IN clause."""
TIME = func.min(event_table.c.hour * HOUR + event_table.c.second)


class Steps(NamedTuple):
    """Rows of signups, and rows of each later step by its column."""

    signups: Sequence[Any]
    taken: dict[str, Sequence[Any]]


def read(connection: Connection, day: int, within: ColumnElement[bool]) -> Steps:
    """Return the signups and the later steps on ``day``; ``within`` selects the hours."""
    table = event_table.c
    of_users = and_(within, table.person.is_not(None))
    signups = select(table.person, table.method, TIME.label("time")).group_by(table.person, table.method)
    taken = {}
    for name, event in STEPS.items():
        of_step = [of_users, table.event == event]
        if name == "sent":
            of_step.append(table.flow == "signup")
        if name == "logged_in":
            # A signup is followed until the end of the next month.
            of_step.append(table.cohort >= week_of(month_before(month_of(day))))
        step = select(table.person, table.person_before, TIME.label("time")).where(*of_step)
        taken[name] = connection.execute(step.group_by(table.person, table.person_before)).all()
    return Steps(connection.execute(signups.where(of_users, table.event == "user_signed_up")).all(), taken)


def write(connection: Connection, day: int, steps: Steps) -> None:
    """Store the steps, and count the funnels and durations of the affected signup days again."""
    month = month_of(day)
    affected = set(_store_signups(connection, month, day, steps.signups))
    for name, rows in steps.taken.items():
        affected |= _store_step(connection, name, month, {row.person: row.time for row in rows})
        before = {row.person_before: row.time for row in rows}
        affected |= _store_step(connection, name, month_before(month), before)
    if affected:
        _count(connection, affected)


def _store_signups(
    connection: Connection, month: int, day: int, signups: Iterable[Row[Any]]
) -> Iterator[int]:
    """Insert signups that are not stored yet; yield their day if there are any."""
    by_person = {row.person: row for row in signups}
    known = {row.person for row in _stored(connection, month, by_person)}
    rows = [
        {"month": month, "person": row.person, "day": day, "began": row.time, "method": row.method}
        for row in by_person.values()
        if row.person not in known
    ]
    if rows:
        connection.execute(insert(journey_table), rows)
        yield day


def _store_step(connection: Connection, name: str, month: int, times: dict[int, int]) -> set[int]:
    """Store the time of a step unless an earlier one is stored; return the affected signup days."""
    table = journey_table.c
    earlier = [
        (row.day, {"of_person": row.person, "time": times[row.person]})
        for row in _stored(connection, month, times)
        if (taken := row._mapping[name]) is None or times[row.person] < taken
    ]
    if earlier:
        same_row = and_(table.month == month, table.person == bindparam("of_person"))
        change = update(journey_table).where(same_row).values({name: bindparam("time")})
        connection.execute(change, [values for _, values in earlier])
    return {day for day, _ in earlier}


def _stored(connection: Connection, month: int, pseudonyms: Iterable[int]) -> Iterator[Row[Any]]:
    """Yield the stored signups of a month that have one of the given pseudonyms."""
    table, wanted = journey_table.c, list(pseudonyms)
    for start in range(0, len(wanted), CHUNK):
        chunk = table.person.in_(wanted[start : start + CHUNK])
        yield from connection.execute(select(journey_table).where(table.month == month, chunk)).all()


def duration_limit(seconds: ColumnElement[Any]) -> ColumnElement[int]:
    """Return an SQL expression for the smallest of `DURATION_LIMITS` that is not below ``seconds``."""
    return case(*((seconds <= limit, limit) for limit in DURATION_LIMITS[:-1]), else_=LONGER)


def _count(connection: Connection, days: set[int]) -> None:
    table = journey_table.c
    funnel = select(
        table.day,
        table.method,
        func.count().label("signed_up"),
        *(func.count(table[name]).label(name) for name in STEPS),
    )
    limits = duration_limit(table.confirmed - table.began).label("seconds")
    each = select(table.day, limits).where(table.confirmed.is_not(None), table.day.in_(days)).subquery().c
    durations = select(each.day, each.seconds, func.count().label("count"))
    for target, rows in (
        (funnel_table, funnel.where(table.day.in_(days)).group_by(table.day, table.method)),
        (duration_table, durations.group_by(each.day, each.seconds)),
    ):
        found = [row._asdict() for row in connection.execute(rows)]
        connection.execute(delete(target).where(target.c.day.in_(days)))
        if found:
            connection.execute(insert(target), found)
