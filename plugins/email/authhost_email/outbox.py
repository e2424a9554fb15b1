"""Delivery from the outbox, after the commit that put a message there.

A message is claimed by a lease: a worker that dies loses it to another. Of one
recipient the oldest comes first; what can never be sent is set aside at once,
so that it holds nothing up.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from jinja2 import TemplateError
from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from authhost_email.rendering import compose, render
from authhost_email.settings import EmailSettings
from authhost_email.tables import device_table, outbox_table, suppression_table
from authhost_email.transports import Permanent, Transport, transport_of

log = logging.getLogger("authhost.email")

CLAIM = 50
LONGEST_WAIT = 3600.0
IDLE = 5.0
HOUR = timedelta(hours=1)
OPEN = ("pending", "sending", "candidate")
NEW_DEVICE = "new_device_login"
Row = Mapping[str, Any]


class Outbox:
    """Claims due messages, sends each, and writes down what became of it."""

    def __init__(self, host: Host, settings: EmailSettings) -> None:
        self._host, self._settings = host, settings

    def deliver_pending(self) -> int:
        """Try what is due, until nothing is; return how many were sent."""
        sent = 0
        transport = transport_of(self._settings)
        try:
            self._judge_candidates()
            while claimed := self._claim():
                sent += sum(self._deliver(transport, row) for row in claimed)
        finally:
            transport.close()
        return sent

    # Claiming.

    def _claim(self) -> list[Row]:
        """Take what is due, the oldest of each recipient, for as long as the lease lasts."""
        table, now = outbox_table.c, self._host.now
        earlier = outbox_table.alias()
        first = (
            ~select(earlier.c.id)
            .where(
                earlier.c.recipient == table.recipient,
                earlier.c.status.in_(OPEN[:2]),
                earlier.c.id < table.id,
            )
            .exists()
        )
        due = (
            select(table.id)
            .where(table.status.in_(OPEN[:2]), table.next_attempt_at <= now, first)
            .order_by(table.id)
            .limit(CLAIM)
            .with_for_update(skip_locked=True)
        )
        with self._host.engine.begin() as connection:
            mine = [identifier for identifier in connection.execute(due).scalars() if identifier]
            if not mine:
                return []
            claim = (
                update(outbox_table)
                .where(table.id.in_(mine))
                .values(
                    status="sending",
                    attempts=table.attempts + 1,
                    next_attempt_at=now + timedelta(seconds=self._settings.lease),
                )
            )
            connection.execute(claim)
            rows = connection.execute(select(outbox_table).where(table.id.in_(mine)).order_by(table.id))
            return [row._asdict() for row in rows]

    # Delivering.

    def _deliver(self, transport: Transport, row: Row) -> bool:
        settings, now = self._settings, self._host.now
        if utc(row["next_attempt_at"]) <= now:
            return False  # the lease has run out: somebody else may have it
        later = self._not_now(row)
        if later is not None:
            return self._done(row, "suppressed") if later is NEVER else self._postpone(row, later)
        try:
            rendered = render(settings, row["kind"], row["recipient"], row["language"], row["context"])
            message = compose(settings, rendered, row["id"], row["recipient"], utc(row["created_at"]))
            transport.send(row["id"], row["recipient"], message)
        except Permanent as error:
            return self._done(row, "dead", str(error))
        except OSError as error:
            return self._failed(row, error)
        except (TemplateError, ValueError, LookupError) as error:
            return self._done(row, "dead", type(error).__name__)
        self._done(row, "sent")
        return True

    def _not_now(self, row: Row) -> datetime | None:
        """`NEVER` for an address that gets no mail; a time where it has had too many."""
        table, now = outbox_table.c, self._host.now
        recently = and_(
            table.recipient == row["recipient"], table.status == "sent", table.sent_at > now - HOUR
        )
        with self._host.engine.connect() as connection:
            suppressed = select(suppression_table.c.reason)
            suppressed = suppressed.where(suppression_table.c.recipient == row["recipient"])
            if connection.execute(suppressed).first() is not None:
                return NEVER
            count, oldest = connection.execute(
                select(func.count(), func.min(table.sent_at)).where(recently)
            ).one()
        return utc(oldest) + HOUR if count >= self._settings.max_per_hour else None

    def _postpone(self, row: Row, until: datetime) -> bool:
        self._write(row, status="pending", next_attempt_at=until, attempts=row["attempts"] - 1)
        return False

    def _failed(self, row: Row, error: Exception) -> bool:
        if row["attempts"] >= self._settings.max_attempts:
            return self._done(row, "dead", str(error))
        self._write(
            row,
            status="pending",
            next_attempt_at=self._host.now + timedelta(seconds=backoff(row["attempts"])),
            last_error=str(error)[:255],
        )
        return False

    def _done(self, row: Row, status: str, error: str | None = None) -> bool:
        """For good. What it said is not kept any longer, unless an operator may want to try it again."""
        values: dict[str, Any] = {"status": status, "last_error": error and error[:255]}
        if status == "sent":
            values["sent_at"] = self._host.now
        if status == "dead":
            log.error("message %s (%s) is given up: %s", row["id"], row["kind"], error)
        else:
            values["context"] = None
        self._write(row, **values)
        return False

    def _write(self, row: Row, **values: Any) -> None:
        """Unless the lease was lost, and somebody else has it."""
        table = outbox_table.c
        mine = and_(table.id == row["id"], table.status == "sending", table.attempts == row["attempts"])
        with self._host.engine.begin() as connection:
            connection.execute(update(outbox_table).where(mine).values(values))

    # Notices of a new device.

    def _judge_candidates(self) -> None:
        """A login with a device that was seen before is nobody's news; nor is the first login of all."""
        table = outbox_table.c
        found = select(outbox_table).where(table.status == "candidate").order_by(table.id).limit(CLAIM)
        while True:
            with self._host.engine.connect() as connection:
                rows = [row._asdict() for row in connection.execute(found)]
            for row in rows:
                with self._host.engine.begin() as connection:
                    self._judge(connection, row)
            if len(rows) < CLAIM:
                return

    def _judge(self, connection: Connection, row: Row) -> None:
        table, context = outbox_table.c, row["context"]
        user_id = UUID(context["user_id"])
        device = hashlib.sha256((context.get("user_agent") or "").encode()).digest()
        of_user = select(device_table.c.digest).where(device_table.c.user_id == user_id)
        known = set(connection.execute(of_user).scalars())
        if device not in known:
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(device_table).values(user_id=user_id, digest=device, seen_at=self._host.now)
                    )
            except IntegrityError:  # another worker judges the same login
                known.add(device)
        here = and_(table.id == row["id"], table.status == "candidate")
        if device in known or not known:
            connection.execute(delete(outbox_table).where(here))
        else:
            connection.execute(update(outbox_table).where(here).values(status="pending"))


NEVER = datetime.max.replace(tzinfo=UTC)


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
    here = and_(
        outbox_table.c.id == identifier,
        or_(*(outbox_table.c.status == each for each in of)),
        outbox_table.c.context.is_not(None),
    )
    with host.engine.begin() as connection:
        return bool(connection.execute(update(outbox_table).where(here).values(values)).rowcount)


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
                log.error("the outbox could not be delivered: %s", type(error).__name__)
            if last:
                return
            self._wake.wait(IDLE)
