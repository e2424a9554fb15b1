"""Unique users per day, week and month, and how many users of a signup week came back."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from authhost_analytics.periods import month_after, month_of, week_of
from authhost_analytics.sketches import COHORT_LOG2_REGISTERS, LOG2_REGISTERS, SALT_LENGTH, add_to_sketch
from authhost_analytics.tables import event_table, people_table

ActiveUsers = dict[tuple[str, int, int], set[int]]
"""Pseudonyms of the users who were active, by the key of their row: ``(grain, start, cohort)``."""


def read(connection: Connection, day: int, within: ColumnElement[bool]) -> ActiveUsers:
    """Return the users with an event on ``day``; ``within`` selects the hours."""
    table, month, week = event_table.c, month_of(day), week_of(day)
    # A week that began in the previous month is counted by the pseudonyms of that month.
    of_week = table.person if week >= month else table.person_before
    query = select(table.person, of_week.label("of_week"), table.cohort).distinct()
    users: defaultdict[tuple[str, int, int], set[int]] = defaultdict(set)
    for row in connection.execute(query.where(within, table.person.is_not(None))):
        users["day", day, 0].add(row.person)
        users["month", month, 0].add(row.person)
        users["week", week, 0].add(row.of_week)
        if row.cohort is not None:
            users["week", week, row.cohort].add(row.of_week)
    return dict(users)


def write(connection: Connection, users: ActiveUsers) -> None:
    """Add users to the sketches. A period whose salt was deleted is not changed."""
    table, stored = people_table.c, dict[tuple[str, int, int], Any]()
    for grain, start in {(grain, start) for grain, start, _ in users}:
        of_period = select(people_table).where(table.grain == grain, table.start == start)
        stored |= {(grain, start, row.cohort): row for row in connection.execute(of_period)}
    inserts, updates = list[dict[str, Any]](), list[dict[str, Any]]()
    for (grain, start, cohort), pseudonyms in users.items():
        row = stored.get((grain, start, cohort))
        if row is not None and row.salt is None:
            continue
        salt = row.salt if row is not None else os.urandom(SALT_LENGTH)
        log2_registers = COHORT_LOG2_REGISTERS if cohort else LOG2_REGISTERS
        old = row.sketch if row is not None else None
        sketch, count = add_to_sketch(old, log2_registers, salt, pseudonyms)
        if row is not None:
            key = {"of_grain": grain, "of_start": start, "of_cohort": cohort}
            updates.append({**key, "sketch": sketch, "people": count})
        else:
            key = {"grain": grain, "start": start, "cohort": cohort}
            inserts.append({**key, "salt": salt, "sketch": sketch, "people": count})
    if inserts:
        connection.execute(insert(people_table), inserts)
    if updates:
        same_row = (
            table.grain == bindparam("of_grain"),
            table.start == bindparam("of_start"),
            table.cohort == bindparam("of_cohort"),
        )
        connection.execute(update(people_table).where(*same_row), updates)


def delete_salts(connection: Connection, oldest_day: int) -> None:
    """Delete the salt of each period that ended before ``oldest_day``, the first day with stored events.

    Without the salt nobody can test whether a user is in a sketch.
    """
    table = people_table.c
    salted = select(table.grain, table.start).distinct().where(table.salt.is_not(None))
    for grain, start in connection.execute(salted).all():
        end = {"day": start + 1, "week": start + 7, "month": month_after(start)}[grain]
        if end <= oldest_day:
            same_period = (table.grain == grain, table.start == start)
            connection.execute(update(people_table).where(*same_period).values(salt=None))
