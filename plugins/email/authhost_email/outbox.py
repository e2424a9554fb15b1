"""Delivery from the outbox, after the commit that put a message there.

Of one recipient the oldest comes first; what can never be sent is set aside at
once, so that it holds nothing up.
"""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from jinja2 import TemplateError
from sqlalchemy import and_, delete, func, select, update

from authhost_email.addresses import key
from authhost_email.devices import judge_candidates
from authhost_email.leases import WAITING, Lease, Leases, Row
from authhost_email.rendering import ON_REQUEST, compose, render
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table
from authhost_email.transports import Permanent, Transport, transport_of

log = logging.getLogger("authhost.email")

LONGEST_WAIT = 3600.0
HOUR = timedelta(hours=1)
OPEN = (*WAITING, "candidate")


class Outbox:
    """Claims due messages, sends each, and writes down what became of it."""

    def __init__(self, host: Host, settings: EmailSettings) -> None:
        self._host, self._settings = host, settings
        self._leases = Leases(host, settings.lease)

    def deliver_pending(self) -> int:
        """Try what is due, until nothing is; return how many were sent."""
        sent = 0
        transport = transport_of(self._settings)
        try:
            while True:
                judge_candidates(self._host)
                claimed = self._leases.claim()
                if not claimed:
                    return sent
                sent += sum(self._deliver(transport, lease) for lease in claimed)
        finally:
            transport.close()

    def _deliver(self, transport: Transport, lease: Lease) -> bool:
        try:
            row = self._leases.begin(lease)
        except ValueError as error:
            return self._dead(lease, error)
        if row is None:
            return False
        if row["attempts"] > self._settings.max_attempts:
            return self._dead(lease, Permanent("each worker that tried it has died"))
        try:
            message = self._written(row)
        except Exception as error:  # a template may do anything
            broken = isinstance(error, TemplateError) or not isinstance(error, OSError)
            return self._dead(lease, error) if broken else self._failed(lease, row, error)
        if message is None:
            return self._done(lease, "expired")
        unwanted = self._unwanted(row)
        if unwanted is not None:
            return self._done(lease, unwanted)
        try:
            transport.send(row["id"], row["recipient"], message)
        except Permanent as error:
            return self._dead(lease, error)
        except Exception as error:  # a library's own, which need be no OSError
            return self._failed(lease, row, error)
        self._done(lease, "sent")
        return True

    def _unwanted(self, row: Row) -> str | None:
        """Why it is not to be sent at all, as a status."""
        table, recipient = outbox_table.c, row["recipient"]
        listed = suppression_table.c.recipient
        with self._host.engine.connect() as connection:
            if connection.execute(select(listed).where(listed == key(recipient))).first() is not None:
                return "suppressed"
            if row["kind"] not in ON_REQUEST:
                return None
            recently = and_(
                table.recipient == recipient,
                table.status == "sent",
                table.kind.in_(ON_REQUEST),
                table.sent_at > self._host.now - HOUR,
            )
            count = connection.execute(select(func.count()).where(recently)).scalar_one()
        return "limited" if count >= self._settings.max_per_hour else None

    def _written(self, row: Row) -> EmailMessage | None:
        """The message; None where its link works no longer."""
        context, settings = row["context"], self._settings
        expires = context.get("expires")
        if expires and datetime.fromisoformat(expires) <= self._host.now:
            return None
        rendered = render(settings, row["kind"], row["recipient"], row["language"], context)
        return compose(settings, rendered, row["id"], row["recipient"], utc(row["created_at"]))

    # What became of it.

    def _failed(self, lease: Lease, row: Row, error: Exception) -> bool:
        if row["attempts"] >= self._settings.max_attempts:
            return self._dead(lease, error)
        self._leases.end(
            lease,
            status="pending",
            next_attempt_at=self._host.now + timedelta(seconds=backoff(row["attempts"])),
            last_error=in_short(error),
        )
        return False

    def _dead(self, lease: Lease, error: Exception) -> bool:
        log.error("message %s is given up: %s", lease.message, in_short(error))
        self._leases.end(lease, status="dead", last_error=in_short(error))
        return False

    def _done(self, lease: Lease, status: str) -> bool:
        """For good. What it said is not kept any longer: it may hold a key."""
        sent_at = self._host.now if status == "sent" else None
        self._leases.end(lease, status=status, sent_at=sent_at, last_error=None, context=None)
        return False


def in_short(error: Exception) -> str:
    """A transport's own words; of another error the name alone, since its words may quote the message."""
    said = str(error) if isinstance(error, (Permanent, OSError)) else ""
    return said[:255] or type(error).__name__


def backoff(attempts: int) -> float:
    """Seconds until the next try: 2, 4, 8 … an hour, give or take a quarter, so that not all come at once."""
    return min(LONGEST_WAIT, 2.0**attempts) * random.uniform(0.75, 1.25)  # noqa: S311


def utc(time: datetime) -> datetime:
    """What a database without time zones hands back, which was stored in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def clean(host: Host, settings: EmailSettings) -> int:
    """Delete what was done with long ago; return how many."""
    before = host.now - timedelta(days=settings.keep_sent_days)
    old = and_(outbox_table.c.status.not_in(OPEN), outbox_table.c.created_at < before)
    with host.engine.begin() as connection:
        count: int = connection.execute(delete(outbox_table).where(old)).rowcount
    return count


def change_status(host: Host, identifier: UUID, to: str, *, of: tuple[str, ...]) -> bool:
    """Retry or cancel one message by hand; False where it is not in one of the statuses ``of``."""
    values: dict[str, Any] = {"status": to}
    if to == "pending":
        values |= {"next_attempt_at": host.now, "attempts": 0, "last_error": None}
    else:
        values |= {"context": None}
    table = outbox_table.c
    here = and_(table.id == identifier, table.status.in_(of), table.context.is_not(None))
    with host.engine.begin() as connection:
        return bool(connection.execute(update(outbox_table).where(here).values(values)).rowcount)
