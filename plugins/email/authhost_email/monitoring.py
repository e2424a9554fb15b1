"""The state, the health and the metrics of the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from authhost_hookspecs import Health, Host, Metric, utc
from sqlalchemy import and_, case, func, select

from authhost_email.statuses import WAITING_STATUSES
from authhost_email.tables import outbox_table

DEGRADED_AFTER = timedelta(minutes=10)
"""How long a message may be due until the outbox is ``degraded``."""
FAILED_AFTER = timedelta(hours=1)
"""How long a message may be due until the outbox is ``failed``: no worker delivers."""
RECENTLY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """The state of the outbox, as numbers of messages."""

    due: int
    """Messages that a worker can claim now."""
    oldest_due_seconds: float
    """How long the oldest of them has been due, in seconds; 0.0 if none is due."""
    sending: int
    """Messages that a worker has claimed."""
    failed: int
    """Messages that wait after a failed attempt."""
    dead: int
    """Stored messages that were given up."""


def outbox_facts(host: Host) -> OutboxFacts:
    """Return the state of the outbox, with one query for waiting messages and one for those given up."""
    table, now = outbox_table.c, host.now
    is_due = table.next_attempt_at <= now
    claimed = and_(table.status == "sending", ~is_due)
    failed = and_(table.status == "pending", table.attempts > 0)
    waiting = select(
        func.count(case((is_due, 1))),
        func.min(case((is_due, table.next_attempt_at))),
        func.count(case((claimed, 1))),
        func.count(case((failed, 1))),
    ).where(table.status.in_(WAITING_STATUSES))
    given_up = select(func.count()).select_from(outbox_table).where(table.status == "dead")
    with host.reader.connect() as connection:
        due, oldest, sending, retried = connection.execute(waiting).one()
        dead: int = connection.execute(given_up).scalar_one()
    age = max(0.0, (now - utc(oldest)).total_seconds()) if oldest is not None else 0.0
    return OutboxFacts(due, age, sending, retried, dead)


def outbox_health(host: Host) -> Iterator[Health]:
    """Yield whether messages are delivered in time, and whether some were given up recently."""
    table = outbox_table.c
    due = select(func.count(), func.min(table.next_attempt_at)).where(
        table.status == "pending", table.next_attempt_at < host.now - DEGRADED_AFTER
    )
    given_up = (
        select(func.count())
        .select_from(outbox_table)
        .where(table.status == "dead", table.created_at > host.now - RECENTLY)
    )
    with host.reader.connect() as connection:
        late, oldest = connection.execute(due).one()
        dead: int = connection.execute(given_up).scalar_one()
    if late:
        waits = host.now - utc(oldest)
        detail = f"{late} messages are overdue, the oldest for {int(waits.total_seconds() // 60)} minutes"
        yield Health("outbox", "failed" if waits > FAILED_AFTER else "degraded", detail)
    else:
        yield Health("outbox", "ok", "no message is overdue")
    if dead:
        detail = f"{dead} messages of the last day were given up; see `authhost email outbox --status dead`"
        yield Health("delivery", "degraded", detail)
    else:
        yield Health("delivery", "ok", "no message of the last day was given up")


def outbox_metrics(host: Host) -> Iterator[Metric]:
    """Yield the numbers of waiting and failed messages, and the age of the oldest waiting one."""
    table = outbox_table.c
    waiting = select(func.count(), func.min(table.created_at)).where(table.status.in_(WAITING_STATUSES))
    dead = select(func.count()).select_from(outbox_table).where(table.status == "dead")
    with host.reader.connect() as connection:
        count, oldest = connection.execute(waiting).one()
        failed: int = connection.execute(dead).scalar_one()
    age = max(0.0, (host.now - utc(oldest)).total_seconds()) if oldest is not None else 0.0
    yield Metric("authhost_email_queued", count, "gauge", "Messages that wait for delivery.")
    yield Metric("authhost_email_failed", failed, "gauge", "Stored messages that were given up.")
    yield Metric("authhost_email_oldest_seconds", age, "gauge", "Age of the oldest waiting message.")
