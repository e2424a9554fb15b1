"""How often somebody may try a PIN.

An attempt is counted before the PIN is checked, in a transaction of its own: that of a refused action is
rolled back. One UPDATE with the limit in its condition is exact over all threads, processes and servers. The
unit of work must not have written anything before: on SQLite it would wait for itself.
"""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Refused, Request
from sqlalchemy import update

from authhost_pin.tables import pin_table

LIMIT = 100
"""Consecutive wrong answers of an account (NIST SP 800-63B-4, 3.2.2)."""


def count_attempt(request: Request, user_id: UUID) -> None:
    """Count an attempt of an account; raises `Refused` if it has had too many."""
    may_try = (pin_table.c.user_id == user_id) & (pin_table.c.failures < LIMIT)
    counted = update(pin_table).where(may_try).values(failures=pin_table.c.failures + 1)
    with request.host.engine.begin() as connection:
        if connection.execute(counted).rowcount:
            return
    message = "There were too many wrong PINs. Please ask the operator of this site."
    raise Refused("too_many_tries", message, "pin")


def forget_attempts(request: Request, user_id: UUID) -> None:
    """Forget the wrong answers, in the transaction in which the right one is accepted."""
    request.db.execute(update(pin_table).where(pin_table.c.user_id == user_id).values(failures=0))
