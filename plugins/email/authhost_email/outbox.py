"""Delivery from the outbox, after the commit that put a message there."""

from __future__ import annotations

import logging
import smtplib
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import TemplateError
from sqlalchemy import and_, or_, select, update

from authhost_email.rendering import render
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table
from authhost_email.transports import send

log = logging.getLogger("authhost.email")

LEASE = timedelta(minutes=5)
IDLE = 5.0


class Outbox:
    """Takes due messages one by one; what it has taken is due again when its lease runs out."""

    def __init__(self, engine: Any, settings: EmailSettings) -> None:
        self._engine = engine
        self._settings = settings

    def deliver_pending(self) -> int:
        """Try every due message once; return how many were sent."""
        sent = 0
        for identifier in self._due():
            sent += self._deliver(identifier)
        return sent

    def _due(self) -> list[Any]:
        table = outbox_table.c
        with self._engine.connect() as connection:
            return list(
                connection.execute(
                    select(table.id)
                    .where(
                        table.status.in_(("pending", "sending")), table.next_attempt_at <= datetime.now(UTC)
                    )
                    .order_by(table.id)
                ).scalars()
            )

    def _deliver(self, identifier: Any) -> bool:
        table, now = outbox_table.c, datetime.now(UTC)
        mine = table.id == identifier
        due = and_(or_(table.status == "pending", table.status == "sending"), table.next_attempt_at <= now)
        with self._engine.begin() as connection:
            claim = update(outbox_table).where(mine, due)
            claim = claim.values(status="sending", attempts=table.attempts + 1, next_attempt_at=now + LEASE)
            if not connection.execute(claim).rowcount:
                return False
            row = connection.execute(select(outbox_table).where(mine)).one()
        try:
            message = render(
                row.kind,
                row.id,
                self._settings.from_address,
                row.recipient,
                utc(row.created_at),
                **row.context,
            )
            send(self._settings, row.id, row.recipient, message)
        except (OSError, smtplib.SMTPException, TemplateError) as error:
            self._failed(row, error)
            return False
        with self._engine.begin() as connection:
            done = update(outbox_table).where(mine)
            connection.execute(
                done.values(status="sent", context=None, sent_at=datetime.now(UTC), last_error=None)
            )
        return True

    def _failed(self, row: Any, error: Exception) -> None:
        over = row.attempts >= self._settings.max_attempts
        code = getattr(error, "smtp_code", "")
        wait = timedelta(seconds=min(3600, 2**row.attempts))
        with self._engine.begin() as connection:
            connection.execute(
                update(outbox_table)
                .where(outbox_table.c.id == row.id)
                .values(
                    status="failed" if over else "pending",
                    next_attempt_at=datetime.now(UTC) + wait,
                    last_error=f"{type(error).__name__} {code}".strip(),
                )
            )


def utc(time: datetime) -> datetime:
    """What a database without time zones hands back, which was stored in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


class Worker:
    """A thread that delivers, woken by each commit that put a message into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="authhost-email", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Deliver what is due, then end."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            last = self._stop
            self._wake.clear()
            try:
                self._outbox.deliver_pending()
            except Exception as error:
                log.error("the outbox could not be read: %s", type(error).__name__)
            if last:
                return
            self._wake.wait(IDLE)
