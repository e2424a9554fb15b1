"""The roll-up: makes figures of events.

An hour whose events are more, or fewer, than those in its figures is counted
anew as a whole, and so are the hours after it, where the next steps of a signup
that came late may be. So it does not matter how late an event was committed,
how often the roll-up runs, or where it was stopped. One process does it at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import dropwhile, groupby

from authhost_hookspecs import Host
from sqlalchemy import Connection, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from authhost_analytics import crowds, journeys
from authhost_analytics.periods import HOURS_A_DAY, day_of, hour_of, month_before, month_of
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.tables import (
    DIMENSIONS,
    count_table,
    event_table,
    hour_table,
    journey_table,
    roll_table,
)

NAME = "roll-up"
LEASE = 600
"""Seconds after which another process takes over from one that has died."""
LATE = 48
"""Hours for which an event may come late without `everything`."""


class Busy(Exception):
    """Another process rolls up, or has ended this roll-up; the next one goes on where it was."""


def roll_up(host: Host, settings: AnalyticsSettings, *, everything: bool = False) -> Iterator[int]:
    """Bring the figures up to date; yield how many events of each day were counted. Raises `Busy`.

    Looks at the hours since the last time and the 48 before, or at all that are kept.
    """
    oldest = hour_of(host.now) - settings.keep_days * HOURS_A_DAY
    with _leased(host) as (owner, done):
        since = min(oldest, done - LATE) if everything else done - LATE
        for day, hours in groupby(_changed(host, since), key=lambda hour: hour // HOURS_A_DAY):
            yield _roll_day(host, owner, day, list(hours))
        _forget_old(host, settings, oldest)


def _changed(host: Host, since: int) -> list[int]:
    """The hours from the first one on that has other events than were counted."""
    there = select(event_table.c.hour, func.count().label("events")).where(event_table.c.hour >= since)
    counted = select(hour_table.c.hour, hour_table.c.events).where(hour_table.c.hour >= since)
    with host.reader.connect() as connection:
        known = {row.hour: row.events for row in connection.execute(counted)}
        found = connection.execute(there.group_by(event_table.c.hour).order_by(event_table.c.hour)).all()
    return [row.hour for row in dropwhile(lambda row: known.get(row.hour) == row.events, found)]


def _roll_day(host: Host, owner: str, day: int, hours: list[int]) -> int:
    """Read first, then write as a whole: on SQLite logins wait while somebody writes."""
    within = event_table.c.hour.in_(hours)
    dimensions = [event_table.c[name] for name in DIMENSIONS]
    count, rows = func.sum(event_table.c.repeated).label("count"), func.count().label("rows")
    grouped = select(event_table.c.hour, *dimensions, count, rows)
    with host.reader.connect() as connection:
        counts = connection.execute(grouped.where(within).group_by(event_table.c.hour, *dimensions)).all()
        crowd = crowds.read(connection, day, within)
        steps = journeys.read(connection, day, within)
    totals = dict.fromkeys(hours, 0)
    for row in counts:
        totals[row.hour] += row.rows
    with host.engine.begin() as connection:
        _hold(connection, host, owner)
        _write_counts(connection, day, hours, [row._asdict() for row in counts])
        connection.execute(delete(hour_table).where(hour_table.c.hour.in_(hours)))
        connection.execute(insert(hour_table), [{"hour": hour, "events": n} for hour, n in totals.items()])
        crowds.write(connection, crowd)
        journeys.write(connection, day, steps)
    return sum(int(row.count) for row in counts)


def _write_counts(
    connection: Connection, day: int, hours: list[int], counts: list[dict[str, object]]
) -> None:
    table = count_table.c
    connection.execute(delete(count_table).where(table.grain == "hour", table.start.in_(hours)))
    if counts:
        rows = [{**row, "grain": "hour", "start": row["hour"]} for row in counts]
        for row in rows:
            del row["hour"], row["rows"]
        connection.execute(insert(count_table), rows)
    connection.execute(delete(count_table).where(table.grain == "day", table.start == day))
    dimensions = [table[name] for name in DIMENSIONS]
    first = day * HOURS_A_DAY
    whole = (
        select(literal("day"), literal(day), *dimensions, func.sum(table.count))
        .where(table.grain == "hour", table.start.between(first, first + HOURS_A_DAY - 1))
        .group_by(*dimensions)
    )
    connection.execute(insert(count_table).from_select(["grain", "start", *DIMENSIONS, "count"], whole))


# What is too old.


def _forget_old(host: Host, settings: AnalyticsSettings, oldest: int) -> None:
    """Delete events, then the salts without which nobody can be looked for in the figures."""
    # Whole days: a day is counted anew from its hours.
    first_day = day_of(host.now) - settings.keep_hours_days
    old_hours = (count_table.c.grain == "hour", count_table.c.start < first_day * HOURS_A_DAY)
    with host.reader.connect() as connection:
        first = connection.execute(select(func.min(event_table.c.hour))).scalar()
    while first is not None and first < oldest:
        first = min(first + HOURS_A_DAY, oldest)
        with host.engine.begin() as connection:
            connection.execute(delete(event_table).where(event_table.c.hour < first))
    # Of an event that is kept, the signup may have been in the month before.
    followed = month_before(month_of(oldest // HOURS_A_DAY))
    with host.engine.begin() as connection:
        connection.execute(delete(journey_table).where(journey_table.c.month < followed))
        connection.execute(delete(count_table).where(*old_hours))
        connection.execute(delete(hour_table).where(hour_table.c.hour < oldest))
        crowds.close(connection, oldest // HOURS_A_DAY)


# One at a time.


@contextmanager
def _leased(host: Host) -> Iterator[tuple[str, int]]:
    """Who has it, and up to which hour it was done before; up to now it is done afterwards."""
    now, owner = host.now, str(host.new_id())
    table = roll_table.c
    here = update(roll_table).where(table.name == NAME)
    with suppress(IntegrityError), host.engine.begin() as connection:
        if connection.execute(select(table.name).where(table.name == NAME)).first() is None:
            connection.execute(insert(roll_table).values(name=NAME, until=0, hour=0))
    with host.engine.begin() as connection:
        free = here.where(or_(table.owner.is_(None), table.until < int(now.timestamp())))
        mine = {"owner": owner, "until": int(now.timestamp()) + LEASE}
        if not connection.execute(free.values(mine)).rowcount:
            raise Busy
        done: int = connection.execute(select(table.hour).where(table.name == NAME)).scalar_one()
    finished = False
    try:
        yield owner, done
        finished = True
    finally:
        hour = hour_of(now) if finished else done
        with host.engine.begin() as connection:
            connection.execute(here.where(table.owner == owner).values(owner=None, until=0, hour=hour))


def _hold(connection: Connection, host: Host, owner: str) -> None:
    """Go on only as the one who has it. Who waits for that row sees what is written here."""
    table = roll_table.c
    mine = update(roll_table).where(table.name == NAME, table.owner == owner)
    if not connection.execute(mine.values(until=int(host.now.timestamp()) + LEASE)).rowcount:
        raise Busy


def interrupt(connection: Connection) -> None:
    """End a roll-up that goes on: what it has read, it may not write any more."""
    connection.execute(update(roll_table).where(roll_table.c.name == NAME).values(owner=None, until=0))
