"""Cursors: which records a receiver has received, and which process currently sends to it."""

from __future__ import annotations

from datetime import timedelta

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from authhost_audit.tables import cursor_table


def read_cursor(connection: Connection, name: str) -> tuple[int, int]:
    """Return batch and position of the last record that a receiver has received, or (0, -1)."""
    table = cursor_table.c
    row = connection.execute(select(table.batch, table.position).where(table.name == name)).first()
    return (row.batch, row.position) if row else (0, -1)


def acquire_lease(host: Host, name: str, owner: str, lease: timedelta) -> bool:
    """Acquire or extend the lease of a receiver for this process. Returns whether it holds the lease now.

    Only the holder of the lease sends. ``owner`` identifies the process, ``lease`` is the duration.
    """
    table, now = cursor_table.c, host.now
    available = or_(table.owner.is_(None), table.owner == owner, table.until < now)
    mine = {"owner": owner, "until": now + lease, "updated_at": now}
    with host.engine.begin() as connection:
        if connection.execute(
            update(cursor_table).where(table.name == name, available).values(mine)
        ).rowcount:
            return True
        if connection.execute(select(table.name).where(table.name == name)).first() is not None:
            return False
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(cursor_table).values(name=name, batch=0, position=-1, **mine))
    except IntegrityError:
        return False
    return True


def move_cursor(host: Host, name: str, owner: str, to: tuple[int, int]) -> None:
    """Set the cursor of a receiver. Does nothing if this process does not hold the lease any more."""
    table = cursor_table.c
    values = {"batch": to[0], "position": to[1], "updated_at": host.now}
    with host.engine.begin() as connection:
        connection.execute(
            update(cursor_table).where(table.name == name, table.owner == owner).values(values)
        )


def release_lease(host: Host, name: str, owner: str) -> None:
    """Release the lease, so that another process can send."""
    table = cursor_table.c
    here = and_(table.name == name, table.owner == owner)
    with host.engine.begin() as connection:
        connection.execute(update(cursor_table).where(here).values(owner=None, until=None))


def advance_cursor(host: Host, name: str, batch: int) -> None:
    """Move a cursor forward that several processes may move without a lease. It never moves back."""
    table = cursor_table.c
    here = update(cursor_table).where(table.name == name)
    with host.engine.begin() as connection:
        later = here.where(table.batch < batch).values(batch=batch, updated_at=host.now)
        if connection.execute(later).rowcount:
            return
        if connection.execute(select(table.name).where(table.name == name)).first() is not None:
            return
    try:
        with host.engine.begin() as connection:
            first = {"name": name, "batch": batch, "position": -1, "updated_at": host.now}
            connection.execute(insert(cursor_table), first)
    except IntegrityError:
        advance_cursor(host, name, batch)  # another process has inserted the row
