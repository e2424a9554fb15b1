"""How many different people there were on a day, in a week, in a month; and how many came back."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from authhost_analytics.periods import month_after, month_of, week_of
from authhost_analytics.sketches import COHORT_SIZE, SALT, SIZE, merged
from authhost_analytics.tables import event_table, people_table

Crowd = dict[tuple[str, int, int], set[int]]
"""Pseudonyms by where they are counted: ``(grain, start, cohort)``."""


def read(connection: Connection, day: int, within: ColumnElement[bool]) -> Crowd:
    """Who did something in some hours of a day."""
    table, month, week = event_table.c, month_of(day), week_of(day)
    # A week that began in the month before goes on under the pseudonyms of that month.
    of_week = table.person if week >= month else table.person_before
    found = select(table.person, of_week.label("of_week"), table.cohort).distinct()
    crowd: defaultdict[tuple[str, int, int], set[int]] = defaultdict(set)
    for row in connection.execute(found.where(within, table.person.is_not(None))):
        crowd["day", day, 0].add(row.person)
        crowd["month", month, 0].add(row.person)
        crowd["week", week, 0].add(row.of_week)
        if row.cohort is not None:
            crowd["week", week, row.cohort].add(row.of_week)
    return dict(crowd)


def write(connection: Connection, crowd: Crowd) -> None:
    """Add them to the sketches. What is closed stays as it is."""
    table, known = people_table.c, dict[tuple[str, int, int], Any]()
    for grain, start in {(grain, start) for grain, start, _ in crowd}:
        of_period = select(people_table).where(table.grain == grain, table.start == start)
        known |= {(grain, start, row.cohort): row for row in connection.execute(of_period)}
    new, grown = list[dict[str, Any]](), list[dict[str, Any]]()
    for (grain, start, cohort), persons in crowd.items():
        found = known.get((grain, start, cohort))
        if found is not None and found.salt is None:
            continue
        salt = found.salt if found is not None else os.urandom(SALT)
        size = COHORT_SIZE if cohort else SIZE
        sketch, people = merged(found.sketch if found is not None else None, size, salt, persons)
        where = {"of_grain": grain, "of_start": start, "of_cohort": cohort}
        if found is not None:
            grown.append({**where, "sketch": sketch, "people": people})
        else:
            key = {"grain": grain, "start": start, "cohort": cohort}
            new.append({**key, "salt": salt, "sketch": sketch, "people": people})
    if new:
        connection.execute(insert(people_table), new)
    if grown:
        here = (
            table.grain == bindparam("of_grain"),
            table.start == bindparam("of_start"),
            table.cohort == bindparam("of_cohort"),
        )
        connection.execute(update(people_table).where(*here), grown)


def close(connection: Connection, oldest_day: int) -> None:
    """Throw away the salts of what is over, once no event of it is kept."""
    table = people_table.c
    unsalted = select(table.grain, table.start).distinct().where(table.salt.is_not(None))
    for grain, start in connection.execute(unsalted).all():
        end = {"day": start + 1, "week": start + 7, "month": month_after(start)}[grain]
        if end <= oldest_day:
            here = (table.grain == grain, table.start == start)
            connection.execute(update(people_table).where(*here).values(salt=None))
