"""Extension points that collect what is stored about a person."""

# Specifications have no bodies; their annotations say what implementations return.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Request, User


@hookspec
def export_user(request: Request, user: User) -> Mapping[str, Any]:
    """Return what the plugin stores about a user, for a copy that the person can get (GDPR, article 15).

    ``request.accounts.export`` calls it. The result consists of values for JSON:
    mappings with text keys, lists, text, numbers, booleans and None; write times as
    ``isoformat()`` and identifiers as ``str``. It contains no secrets, such as
    tokens, and nothing about other people. Return an empty mapping if nothing is stored.

    Stored: the account, unchanged.

    .. versionadded:: 1.1

    Example::

        from collections.abc import Mapping
        from typing import Any

        from authhost_hookspecs import Request, User, hookimpl
        from sqlalchemy import select

        from authhost_doorbell.tables import events


        class Copy:
            @hookimpl
            def export_user(self, request: Request, user: User) -> Mapping[str, Any]:
                rows = request.db.execute(select(events.c.what).where(events.c.user_id == user.id))
                return {"events": [row.what for row in rows]}
    """
