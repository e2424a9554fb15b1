"""Deletes rows that have expired, and finds the accounts that have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, delete

from authhost.store import statements
from authhost.store.tables import confirmations, pending_logins, resets, social_steps


def delete_expired(
    engine: Engine,
    now: datetime,
    on_table: Callable[[str, int], None] = lambda table, count: None,
) -> dict[str, int]:
    """Delete expired keys and pending logins; return their number by table.

    ``on_table`` gets each table and its number, before the commit.
    """
    too_old = {
        confirmations: confirmations.c.expires <= now,
        resets: resets.c.expires <= now,
        social_steps: social_steps.c.expires <= now,
        pending_logins: pending_logins.c.expires <= now,
    }
    deleted: dict[str, int] = {}
    with engine.begin() as connection:
        for table, old in too_old.items():
            deleted[table.name] = connection.execute(delete(table).where(old)).rowcount
            on_table(table.name, deleted[table.name])
    return deleted


def expired_sessions(
    engine: Engine, now: datetime, unused_since: datetime, *, after: UUID, limit: int
) -> list[UUID]:
    """Return sessions that have expired, in order, from the one that follows ``after``."""
    values = {"now": now, "unused_since": unused_since, "of_id": after, "page_size": limit}
    with engine.connect() as connection:
        return list(connection.execute(statements.EXPIRED_SESSIONS, values).scalars())


def expired_signups(engine: Engine, now: datetime, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return accounts that were not confirmed in time, in order, from the one that follows ``after``.

    An account with a confirmation that is still valid does not expire.
    """
    values = {"now": now, "page_size": limit}
    statement = statements.EXPIRED_SIGNUPS
    if after is not None:
        statement, values = statements.EXPIRED_SIGNUPS_AFTER, {**values, "of_id": after}
    with engine.connect() as connection:
        return list(connection.execute(statement, values).scalars())
