"""Deletes rows that have expired."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, or_

from authhost.store.tables import (
    addresses,
    confirmations,
    pending_logins,
    resets,
    sessions,
    social_steps,
    users,
)


def delete_expired(
    engine: Engine,
    now: datetime,
    session_idle: float,
    on_table: Callable[[str, int], None] = lambda table, count: None,
) -> dict[str, int]:
    """Delete expired keys, sessions, pending logins and accounts; return their number by table.

    ``on_table`` gets each table and its number, before the commit.
    An account expires if its address had to be confirmed, and was not confirmed in time.
    """
    unused_since = now - timedelta(seconds=session_idle)
    too_old = {
        confirmations: confirmations.c.expires <= now,
        resets: resets.c.expires <= now,
        social_steps: social_steps.c.expires <= now,
        pending_logins: pending_logins.c.expires <= now,
        users: and_(users.c.signup_expires <= now, ~_has_a_link(now)),
        sessions: or_(sessions.c.expires_at <= now, sessions.c.last_seen_at <= unused_since),
    }
    deleted: dict[str, int] = {}
    with engine.begin() as connection:
        for table, old in too_old.items():
            deleted[table.name] = connection.execute(delete(table).where(old)).rowcount
            on_table(table.name, deleted[table.name])
    return deleted


def _has_a_link(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the account has a confirmation that is still valid."""
    sent = confirmations.c.email_address_id == addresses.c.id
    return exists().where(addresses.c.user_id == users.c.id, sent, confirmations.c.expires > now)
