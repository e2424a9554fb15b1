"""How far each receiver has got, and which process sends to it."""

from __future__ import annotations

from datetime import timedelta

from authhost_hookspecs import Host
from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from authhost_audit.tables import cursor_table


def cursor(connection: Connection, name: str) -> tuple[int, int]:
    """Up to where a receiver has taken the records."""
    table = cursor_table.c
    row = connection.execute(select(table.batch, table.position).where(table.name == name)).first()
    return (row.batch, row.position) if row else (0, -1)


def leased(host: Host, name: str, owner: str, lease: timedelta) -> bool:
    """Whether this process is the one that sends, for as long as the lease lasts."""
    table, now = cursor_table.c, host.now
    free = or_(table.owner.is_(None), table.owner == owner, table.until < now)
    mine = {"owner": owner, "until": now + lease, "updated_at": now}
    with host.engine.begin() as connection:
        if connection.execute(update(cursor_table).where(table.name == name, free).values(mine)).rowcount:
            return True
        if connection.execute(select(table.name).where(table.name == name)).first() is not None:
            return False
    try:
        with host.engine.begin() as connection:
            connection.execute(insert(cursor_table).values(name=name, batch=0, position=-1, **mine))
    except IntegrityError:
        return False
    return True


def move(host: Host, name: str, owner: str, to: tuple[int, int]) -> None:
    """Say how far a receiver has got; only while the lease is this process's."""
    table = cursor_table.c
    values = {"batch": to[0], "position": to[1], "updated_at": host.now}
    with host.engine.begin() as connection:
        connection.execute(
            update(cursor_table).where(table.name == name, table.owner == owner).values(values)
        )


def release(host: Host, name: str, owner: str) -> None:
    """Let another process send."""
    table = cursor_table.c
    here = and_(table.name == name, table.owner == owner)
    with host.engine.begin() as connection:
        connection.execute(update(cursor_table).where(here).values(owner=None, until=None))


def advance(host: Host, name: str, batch: int) -> None:
    """Say how far a receiver has got that several processes may send to; never backwards."""
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
        advance(host, name, batch)  # another process was the first
