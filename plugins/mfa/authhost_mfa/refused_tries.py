"""Counts the tries that a limit refuses, so that the audit trail has all of them in few records.

As with the refusals of the host, the first 5 of a minute are recorded each, then one record follows per 5,
10, 20, … tries. What is in no record yet is part of the next one. The count is in the row of the account, so
it is exact over all processes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Refused, Request, utc
from sqlalchemy import Connection, select, update

from authhost_mfa.tables import account_table

WINDOW = timedelta(minutes=1)
STEP = 5


class TooManyTries(Refused):
    """A limit has refused a try. ``repeated`` is how many tries to record as one now; 0 records none."""

    def __init__(
        self, message: str, repeated: int, *, field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__("too_many_tries", message, field, retry_after=retry_after)
        self.repeated = repeated


def recorded(count: int) -> int:
    """Return how many of the ``count`` tries of a minute are in a record."""
    if count <= STEP:
        return count
    found = STEP
    while 2 * found <= count:
        found *= 2
    return found


def count_one(connection: Connection, user_id: UUID, row: Any, now: datetime) -> int | None:
    """Count a refused try; return how many to record as one now. None if another was counted since ``row``.

    ``row`` is that of the account, with ``refused`` and ``refused_since``.
    """
    table = account_table.c
    since = utc(row.refused_since) if row.refused_since is not None else None
    begins = since is None or not since <= now < since + WINDOW
    count = 1 if begins else row.refused + 1
    before = 0 if begins else recorded(row.refused)
    rest = row.refused - recorded(row.refused) if begins else 0
    unchanged = table.refused == row.refused, table.refused_since == row.refused_since
    values = {"refused": count, "refused_since": now if begins else row.refused_since}
    counted = update(account_table).where(table.user_id == user_id, *unchanged).values(values)
    return rest + recorded(count) - before if connection.execute(counted).rowcount else None


def count(request: Request, user_id: UUID) -> int:
    """Count a refused try in a transaction of its own; return how many to record as one now."""
    table = account_table.c
    columns = select(table.refused, table.refused_since).where(table.user_id == user_id)
    while True:
        with request.host.engine.begin() as connection:
            row = connection.execute(columns).first()
            if row is None:
                return 1
            repeated = count_one(connection, user_id, row, request.now)
        if repeated is not None:
            return repeated
