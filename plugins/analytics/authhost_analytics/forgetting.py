"""Deleting a user's traces. In the figures there are none."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import Connection, func, or_, select, update

from authhost_analytics.periods import HOURS_A_DAY, day_of, month_before, month_of
from authhost_analytics.persons import pseudonym
from authhost_analytics.rolling import interrupt
from authhost_analytics.tables import event_table, journey_table

CHUNK = 500


def forget(host: Host, user_id: UUID) -> int:
    """Take a user out of the events and journeys; return of how many events. They count on, as nobody's.

    What is left of a journey is how long its steps took.
    """
    with host.reader.connect() as connection:
        persons = {month: pseudonym(host.keyed_hash, month, user_id) for month in _months(host, connection)}
    table, journey, count = event_table.c, journey_table.c, 0
    theirs = or_(table.person.in_(persons.values()), table.person_before.in_(persons.values()))
    nobody = {"person": None, "person_before": None, "cohort": None, "second": 0}
    with host.reader.connect() as connection:
        found = list(connection.execute(select(table.id).where(theirs)).scalars())
    # A roll-up that has read of them may not write it now.
    with host.engine.begin() as connection:
        interrupt(connection)
        for start in range(0, len(found), CHUNK):
            some = update(event_table).where(table.id.in_(found[start : start + CHUNK]))
            count += connection.execute(some.values(nobody)).rowcount
        for month, person in persons.items():
            here = update(journey_table).where(journey.month == month, journey.person == person)
            # In this order: on MariaDB a value that was set is seen by what follows.
            steps = (journey.sent, journey.confirmed, journey.logged_in)
            lasted = [(step, step - journey.began) for step in steps]
            connection.execute(
                here.ordered_values(*lasted, (journey.began, 0), (journey.person, secrets.randbits(63)))
            )
    return count


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
