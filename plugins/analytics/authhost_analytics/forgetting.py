"""Deleting a user's traces. In the figures there are none."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, bindparam, case, func, null, or_, select, update

from authhost_analytics.journeys import class_of
from authhost_analytics.periods import HOURS_A_DAY, day_of, month_before, month_of
from authhost_analytics.persons import pseudonym
from authhost_analytics.rolling import interrupt
from authhost_analytics.tables import event_table, journey_table


def forget(host: Host, user_id: UUID) -> int:
    """Take a user out of the events and journeys; return of how many events. They count on, as nobody's.

    What is left of a journey is which steps were taken, and in which class the time to confirm is.
    """
    with host.reader.connect() as connection:
        persons = {month: pseudonym(host.keyed_hash, month, user_id) for month in _months(host, connection)}
    table, journey = event_table.c, journey_table.c
    lasted = class_of(journey.confirmed - journey.began)
    theirs = or_(table.person.in_(persons.values()), table.person_before.in_(persons.values()))
    # The identifiers go up with the time: those of nobody are drawn, below all others.
    nobody = dict.fromkeys(("person", "person_before", "cohort"))
    taken_out = (
        update(event_table)
        .where(table.id == bindparam("of_id"))
        .values(id=bindparam("drawn"), second=0, **nobody)
    )
    with host.reader.connect() as connection:
        found = [
            {"of_id": each, "drawn": -1 - secrets.randbits(62)}
            for each in connection.execute(select(table.id).where(theirs)).scalars()
        ]
    # A roll-up that has read of them may not write it now.
    with host.engine.begin() as connection:
        interrupt(connection)
        if found:
            connection.execute(taken_out, found)
        for month, person in persons.items():
            here = update(journey_table).where(journey.month == month, journey.person == person)
            # In this order: on MariaDB a value that was set is seen by what follows.
            connection.execute(
                here.ordered_values(
                    (journey.sent, journey.sent - journey.sent),
                    (journey.confirmed, case((journey.confirmed.is_(None), null()), else_=lasted)),
                    (journey.logged_in, journey.logged_in - journey.logged_in),
                    (journey.began, 0),
                    (journey.person, secrets.randbits(63)),
                )
            )
    return len(found)


def _months(host: Host, connection: Connection) -> Iterator[int]:
    """The months of which an event or a journey may bear a pseudonym; the newest first."""
    month = month_of(day_of(host.now))
    first_hour = connection.execute(select(func.min(event_table.c.hour))).scalar()
    first_month = connection.execute(select(func.min(journey_table.c.month))).scalar()
    oldest = month if first_hour is None else month_of(first_hour // HOURS_A_DAY)
    oldest = min(oldest, month if first_month is None else first_month)
    while month >= oldest:
        yield month
        month = month_before(month)
