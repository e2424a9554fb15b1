"""Rows that serve nothing any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, or_

from authhost.store.models import EmailConfirmation, PasswordReset, Session


def delete_expired(engine: Engine, now: datetime, session_idle: float) -> dict[str, int]:
    """Delete keys and sessions that have expired; return how many of each table, by its name."""
    too_old = {
        EmailConfirmation: EmailConfirmation.expires <= now,
        PasswordReset: PasswordReset.expires <= now,
        Session: or_(
            Session.expires_at <= now, Session.last_seen_at <= now - timedelta(seconds=session_idle)
        ),
    }
    with engine.begin() as connection:
        return {
            model.__tablename__: connection.execute(delete(model).where(old)).rowcount
            for model, old in too_old.items()
        }
