"""How often somebody may try a code of six digits.

An attempt is counted before the code is checked, in a transaction of its own: that of a refused
action is rolled back. So the number is exact over all threads, processes and servers. A unit of work that
checks a code must not have written anything before: on SQLite it would wait for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from authhost_hookspecs import Request, utc
from sqlalchemy import Connection, Row, select, update

from authhost_mfa import refused_tries
from authhost_mfa.languages import Gettext
from authhost_mfa.refused_tries import TooManyTries
from authhost_mfa.tables import account_table

LIMIT = 100
"""Consecutive wrong codes of an account (NIST SP 800-63B-4, 3.2.2)."""
BEFORE_PAUSE = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
"""The pause after 5 wrong codes. It doubles with every further 5."""


def pause_after(failures: int) -> timedelta | None:
    """Return how long the next attempt must wait after this many wrong codes, or None."""
    if not failures or failures % BEFORE_PAUSE:
        return None
    doubled = min(failures // BEFORE_PAUSE - 1, 10)
    longer: timedelta = FIRST_PAUSE * 2**doubled
    return min(longer, LONGEST_PAUSE)


def count(request: Request, user_id: UUID, gettext: Gettext) -> None:
    """Count an attempt of an account; raises `TooManyTries` if it has had too many."""
    table, now = account_table.c, request.now
    columns = table.failures, table.next_try_at, table.refused, table.refused_since
    while True:
        with request.host.engine.begin() as connection:
            row = connection.execute(select(*columns).where(table.user_id == user_id)).first()
            if row is None:
                return  # without an account row there is no code that could be right
            if row.failures < LIMIT and (row.next_try_at is None or utc(row.next_try_at) <= now):
                if _count_failure(connection, user_id, row.failures, now):
                    return
                continue  # another attempt was counted meanwhile
            repeated = refused_tries.count_one(connection, user_id, row, now)
        if repeated is not None:
            raise _refusal(row, repeated, now, gettext)


def _count_failure(connection: Connection, user_id: UUID, failures: int, now: datetime) -> bool:
    """Count an attempt as wrong; return False if there are more than these ``failures`` by now."""
    table, pause = account_table.c, pause_after(failures + 1)
    values = {"failures": failures + 1, "next_try_at": now + pause if pause is not None else None}
    unchanged = table.user_id == user_id, table.failures == failures
    return bool(connection.execute(update(account_table).where(*unchanged).values(values)).rowcount)


def _refusal(row: Row[Any], repeated: int, now: datetime, gettext: Gettext) -> TooManyTries:
    if row.failures >= LIMIT:
        return TooManyTries(_used_up(gettext), repeated, field="code")
    seconds = ceil((utc(row.next_try_at) - now).total_seconds())
    return TooManyTries(_wait(gettext, seconds), repeated, field="code", retry_after=seconds)


def reset(request: Request, user_id: UUID, kind: str | None) -> None:
    """Forget the wrong codes of an account after a right one, and remember ``kind``, to offer it first."""
    values = {"failures": 0, "next_try_at": None, **({"last_kind": kind} if kind is not None else {})}
    request.db.execute(update(account_table).where(account_table.c.user_id == user_id).values(values))


def _used_up(gettext: Gettext) -> str:
    return gettext(
        "There were too many wrong codes. Use another method, such as a recovery code, "
        "or ask the operator of this site for help."
    )


def _wait(gettext: Gettext, seconds: int) -> str:
    if seconds <= 90:
        return gettext(
            "There were too many wrong codes. Seconds until the next attempt: %(count)s", count=seconds
        )
    minutes = ceil(seconds / 60)
    return gettext(
        "There were too many wrong codes. Minutes until the next attempt: %(count)s", count=minutes
    )
