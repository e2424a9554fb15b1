"""The roll-up: aggregates stored events into counts, unique users and funnels.

An hour is counted again as a whole if the number of its events differs from the
number that was counted before. All later hours are counted again too, because
they may contain later steps of a signup in that hour. The result therefore does
not depend on when an event was committed, how often the roll-up runs, or where
it was stopped. A lease in the database makes sure that only one process runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import dropwhile, groupby

from authhost_hookspecs import Host
from sqlalchemy import Connection, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from authhost_analytics import funnels, unique_users
from authhost_analytics.dimensions import DIMENSIONS
from authhost_analytics.periods import HOURS_A_DAY, day_of, hour_of, month_before, month_of
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.tables import (
    count_table,
    event_table,
    hour_table,
    journey_table,
    roll_table,
)

NAME = "roll-up"
LEASE = 600
"""Seconds after which another process takes over from a process that died."""
LATE = 48
"""Hours by which the commit of an event may be late; ``everything`` has no such limit."""


class Busy(Exception):
    """Another process runs the roll-up, or took it over from this one. The next roll-up continues."""


def roll_up(host: Host, settings: AnalyticsSettings, *, everything: bool = False) -> Iterator[int]:
    """Aggregate new events, then delete expired rows; yield the number of counted events of each day.

    Reads the hours since the last roll-up and the 48 hours before it, or all
    stored hours if ``everything`` is true. Raises `Busy`.
    """
    oldest = hour_of(host.now) - settings.keep_days * HOURS_A_DAY
    with _lease(host) as (owner, done):
        since = min(oldest, done - LATE) if everything else done - LATE
        for day, hours in groupby(_changed_hours(host, since), key=lambda hour: hour // HOURS_A_DAY):
            yield _roll_up_day(host, owner, day, list(hours))
        _delete_expired(host, settings, oldest)


def _changed_hours(host: Host, since: int) -> list[int]:
    """Return the first hour whose number of events differs from the counted one, and all later hours."""
    stored = select(event_table.c.hour, func.count().label("events")).where(event_table.c.hour >= since)
    counted = select(hour_table.c.hour, hour_table.c.events).where(hour_table.c.hour >= since)
    with host.reader.connect() as connection:
        known = {row.hour: row.events for row in connection.execute(counted)}
        found = connection.execute(stored.group_by(event_table.c.hour).order_by(event_table.c.hour)).all()
    return [row.hour for row in dropwhile(lambda row: known.get(row.hour) == row.events, found)]


def _roll_up_day(host: Host, owner: str, day: int, hours: list[int]) -> int:
    """Read the events of a day, then write the results in one short transaction.

    On SQLite logins wait while another connection writes.
    """
    within = event_table.c.hour.in_(hours)
    dimensions = [event_table.c[name] for name in DIMENSIONS]
    count, rows = func.sum(event_table.c.repeated).label("count"), func.count().label("rows")
    grouped = select(event_table.c.hour, *dimensions, count, rows)
    with host.reader.connect() as connection:
        counts = connection.execute(grouped.where(within).group_by(event_table.c.hour, *dimensions)).all()
        users = unique_users.read(connection, day, within)
        steps = funnels.read(connection, day, within)
    totals = dict.fromkeys(hours, 0)
    for row in counts:
        totals[row.hour] += row.rows
    with host.engine.begin() as connection:
        _renew_lease(connection, host, owner)
        _write_counts(connection, day, hours, [row._asdict() for row in counts])
        connection.execute(delete(hour_table).where(hour_table.c.hour.in_(hours)))
        connection.execute(insert(hour_table), [{"hour": hour, "events": n} for hour, n in totals.items()])
        unique_users.write(connection, users)
        funnels.write(connection, day, steps)
    return sum(int(row.count) for row in counts)


def _write_counts(
    connection: Connection, day: int, hours: list[int], counts: list[dict[str, object]]
) -> None:
    """Replace the counts of the hours, and sum the counts of the day from its hours."""
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
    summed = (
        select(literal("day"), literal(day), *dimensions, func.sum(table.count))
        .where(table.grain == "hour", table.start.between(first, first + HOURS_A_DAY - 1))
        .group_by(*dimensions)
    )
    connection.execute(insert(count_table).from_select(["grain", "start", *DIMENSIONS, "count"], summed))


# Retention.


def _delete_expired(host: Host, settings: AnalyticsSettings, oldest: int) -> None:
    """Delete events before the hour ``oldest``, expired signups and hourly counts, and unneeded salts."""
    # Hourly counts are deleted by whole days: the counts of a day are summed from all its hours.
    first_day = day_of(host.now) - settings.keep_hours_days
    old_hours = (count_table.c.grain == "hour", count_table.c.start < first_day * HOURS_A_DAY)
    with host.reader.connect() as connection:
        first = connection.execute(select(func.min(event_table.c.hour))).scalar()
    while first is not None and first < oldest:
        first = min(first + HOURS_A_DAY, oldest)
        with host.engine.begin() as connection:
            connection.execute(delete(event_table).where(event_table.c.hour < first))
    # A stored event may belong to a signup of the month before it.
    followed = month_before(month_of(oldest // HOURS_A_DAY))
    with host.engine.begin() as connection:
        connection.execute(delete(journey_table).where(journey_table.c.month < followed))
        connection.execute(delete(count_table).where(*old_hours))
        connection.execute(delete(hour_table).where(hour_table.c.hour < oldest))
        unique_users.delete_salts(connection, oldest // HOURS_A_DAY)


# The lease.


@contextmanager
def _lease(host: Host) -> Iterator[tuple[str, int]]:
    """Take the lease; yield its owner and the hour of the last complete roll-up. Raises `Busy`.

    A block that ends without an error stores the current hour as that hour.
    """
    now, owner = host.now, str(host.new_id())
    table = roll_table.c
    same_row = update(roll_table).where(table.name == NAME)
    with suppress(IntegrityError), host.engine.begin() as connection:
        if connection.execute(select(table.name).where(table.name == NAME)).first() is None:
            connection.execute(insert(roll_table).values(name=NAME, until=0, hour=0))
    with host.engine.begin() as connection:
        free = same_row.where(or_(table.owner.is_(None), table.until < int(now.timestamp())))
        taken = {"owner": owner, "until": int(now.timestamp()) + LEASE}
        if not connection.execute(free.values(taken)).rowcount:
            raise Busy
        done: int = connection.execute(select(table.hour).where(table.name == NAME)).scalar_one()
    finished = False
    try:
        yield owner, done
        finished = True
    finally:
        hour = hour_of(now) if finished else done
        with host.engine.begin() as connection:
            connection.execute(same_row.where(table.owner == owner).values(owner=None, until=0, hour=hour))


def _renew_lease(connection: Connection, host: Host, owner: str) -> None:
    """Extend the lease. Raises `Busy` if this process no longer owns it.

    The update locks the row until the transaction ends, so that the next owner sees what it wrote.
    """
    table = roll_table.c
    owned = update(roll_table).where(table.name == NAME, table.owner == owner)
    if not connection.execute(owned.values(until=int(host.now.timestamp()) + LEASE)).rowcount:
        raise Busy


def interrupt_roll_up(connection: Connection) -> None:
    """End the lease of a running roll-up, so that it cannot write what it has read."""
    connection.execute(update(roll_table).where(roll_table.c.name == NAME).values(owner=None, until=0))


def roll_up_events(host: Host) -> str:
    """Run the roll-up for ``authhost maintain``, and say how many events were counted."""
    try:
        return f"{sum(roll_up(host, host.plugin_settings('analytics')))} events counted"
    except Busy:
        return "another process is running the roll-up"
