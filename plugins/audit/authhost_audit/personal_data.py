"""What the trail contains about one user, for a copy that the person can get."""

from __future__ import annotations

import json
from typing import Any

from authhost_hookspecs import Request, User
from sqlalchemy import select

from authhost_audit.tables import event_table

NAMES = ("event", "outcome", "reason", "flow", "method", "provider", "plugin")
"""The columns of every record that are exported."""
OWN_NAMES = ("ip_address", "user_agent", "uid")
"""The columns that are exported only if the user was logged in: otherwise they may be another person's."""


def events_of_user(request: Request, user: User) -> list[dict[str, Any]]:
    """Return the records about a user, oldest first, as values for JSON."""
    table = event_table.c
    rows = request.db.execute(select(event_table).where(table.user_id == user.id).order_by(table.id))
    return [_exported(row._mapping, own=row.actor_id == user.id) for row in rows]


def _exported(row: Any, *, own: bool) -> dict[str, Any]:
    names = (*NAMES, *OWN_NAMES) if own else NAMES
    changes = json.loads(row["changes"]) if row["changes"] is not None else None
    return {
        "time": row["time"].isoformat(),
        **{name: row[name] for name in names},
        "data": json.loads(row["data"]),
        "changes": changes,
    }
