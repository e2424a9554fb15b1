"""Deletes sessions that have expired, and calls `session_ended` for them."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from authhost import records
from authhost.account.sessions import call_session_ended
from authhost.errors import AuthError, RequiredPluginFailed
from authhost.request import Request
from authhost.services import Services
from authhost.store import statements
from authhost.store.engine import is_deadlock
from authhost.store.expired import expired_sessions

log = logging.getLogger("authhost")

PAGE = 500
"""How many sessions one unit of work deletes."""
FIRST = UUID(int=0)


def delete_expired_sessions(services: Services) -> int:
    """Delete the sessions that have expired, page by page; return their number.

    A page that cannot be deleted is logged, and the next call tries again.
    """
    unused_since = services.clock() - timedelta(seconds=services.settings.session_idle)
    deleted, last, page = 0, FIRST, PAGE
    while page == PAGE:
        engine = services.database.engine
        found = expired_sessions(engine, services.clock(), unused_since, after=last, limit=PAGE)
        if not found:
            break
        values = {"of_id": last, "last_id": found[-1], "unused_since": unused_since}
        deleted += _delete_page(services, values)
        page, last = len(found), found[-1]
    return deleted


def _delete_page(services: Services, values: dict[str, object]) -> int:
    """Delete the expired sessions of a range of identifiers. One that was used meanwhile stays."""
    try:
        with Request(services) as request:
            values = {**values, "now": request.now}
            rows = request.write_returning(statements.DELETE_EXPIRED_SESSIONS, values)
            call_session_ended(request, [records.Session(*row) for row in rows], "expired")
            return len(rows)
    except (AuthError, RequiredPluginFailed) as error:
        log.error("expired sessions were not deleted: %s", error)
    except DBAPIError as error:
        if not is_deadlock(error):
            raise
        log.error("expired sessions were not deleted, because of a deadlock")
    return 0
