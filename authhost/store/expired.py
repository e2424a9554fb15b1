"""Rows that serve nothing any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, or_

from authhost.store.tables import confirmations, resets, sessions, social_steps


def delete_expired(engine: Engine, now: datetime, session_idle: float) -> dict[str, int]:
    """Delete keys and sessions that have expired; return how many of each table, by its name."""
    unused_since = now - timedelta(seconds=session_idle)
    too_old = {
        confirmations: confirmations.c.expires <= now,
        resets: resets.c.expires <= now,
        social_steps: social_steps.c.expires <= now,
        sessions: or_(sessions.c.expires_at <= now, sessions.c.last_seen_at <= unused_since),
    }
    with engine.begin() as connection:
        return {
            table.name: connection.execute(delete(table).where(old)).rowcount
            for table, old in too_old.items()
        }
