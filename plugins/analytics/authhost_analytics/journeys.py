"""From the signup to the first login: who took which step, and after how long."""

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
"""The steps after the signup, by the column that says when."""
MINUTE, DAY = 60, 24 * HOUR
ENDLESS = 2**31 - 1
WITHIN = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, ENDLESS)
"""Seconds: the classes of the time to confirm."""
CHUNK = 500
TIME = func.min(event_table.c.hour * HOUR + event_table.c.second)


class Steps(NamedTuple):
    """What was read of some hours of a day."""

    signups: Sequence[Any]
    taken: dict[str, Sequence[Any]]


def read(connection: Connection, day: int, within: ColumnElement[bool]) -> Steps:
    """Who signed up, and who took a step, in some hours of a day."""
    table = event_table.c
    here = and_(within, table.person.is_not(None))
    signups = select(table.person, table.method, TIME.label("time")).group_by(table.person, table.method)
    taken = {}
    for name, event in STEPS.items():
        of_step = [here, table.event == event]
        if name == "sent":
            of_step.append(table.flow == "signup")
        if name == "logged_in":
            # Only of those who signed up lately enough to be followed.
            of_step.append(table.cohort >= week_of(month_before(month_of(day))))
        step = select(table.person, table.person_before, TIME.label("time")).where(*of_step)
        taken[name] = connection.execute(step.group_by(table.person, table.person_before)).all()
    return Steps(connection.execute(signups.where(here, table.event == "user_signed_up")).all(), taken)


def write(connection: Connection, day: int, steps: Steps) -> None:
    """Follow them, and count anew what became of the signups of the days that it is about."""
    month = month_of(day)
    touched = set(_begin(connection, month, day, steps.signups))
    for name, rows in steps.taken.items():
        touched |= _take(connection, name, month, {row.person: row.time for row in rows})
        before = {row.person_before: row.time for row in rows}
        touched |= _take(connection, name, month_before(month), before)
    if touched:
        _count(connection, touched)


def _begin(connection: Connection, month: int, day: int, signups: Iterable[Row[Any]]) -> Iterator[int]:
    began = {row.person: row for row in signups}
    known = {row.person for row in _known(connection, month, began)}
    rows = [
        {"month": month, "person": row.person, "day": day, "began": row.time, "method": row.method}
        for row in began.values()
        if row.person not in known
    ]
    if rows:
        connection.execute(insert(journey_table), rows)
        yield day


def _take(connection: Connection, name: str, month: int, times: dict[int, int]) -> set[int]:
    """The first time counts, in whichever order they come."""
    table = journey_table.c
    earlier = [
        (row.day, {"of_person": row.person, "time": times[row.person]})
        for row in _known(connection, month, times)
        if (taken := row._mapping[name]) is None or times[row.person] < taken
    ]
    if earlier:
        here = and_(table.month == month, table.person == bindparam("of_person"))
        change = update(journey_table).where(here).values({name: bindparam("time")})
        connection.execute(change, [values for _, values in earlier])
    return {day for day, _ in earlier}


def _known(connection: Connection, month: int, persons: Iterable[int]) -> Iterator[Row[Any]]:
    table, wanted = journey_table.c, list(persons)
    for start in range(0, len(wanted), CHUNK):
        some = table.person.in_(wanted[start : start + CHUNK])
        yield from connection.execute(select(journey_table).where(table.month == month, some)).all()


def class_of(lasted: ColumnElement[Any]) -> ColumnElement[int]:
    """Within how many seconds it was."""
    return case(*((lasted <= limit, limit) for limit in WITHIN[:-1]), else_=ENDLESS)


def _count(connection: Connection, days: set[int]) -> None:
    table = journey_table.c
    funnel = select(
        table.day,
        table.method,
        func.count().label("signed_up"),
        *(func.count(table[name]).label(name) for name in STEPS),
    )
    classes = class_of(table.confirmed - table.began).label("seconds")
    each = select(table.day, classes).where(table.confirmed.is_not(None), table.day.in_(days)).subquery().c
    durations = select(each.day, each.seconds, func.count().label("count"))
    for target, rows in (
        (funnel_table, funnel.where(table.day.in_(days)).group_by(table.day, table.method)),
        (duration_table, durations.group_by(each.day, each.seconds)),
    ):
        found = [row._asdict() for row in connection.execute(rows)]
        connection.execute(delete(target).where(target.c.day.in_(days)))
        if found:
            connection.execute(insert(target), found)
