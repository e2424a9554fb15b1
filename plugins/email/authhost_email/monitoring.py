"""The health and the metrics of the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from authhost_hookspecs import Health, Host, Metric, utc
from sqlalchemy import func, select

from authhost_email.leases import WAITING_STATUSES
from authhost_email.tables import outbox_table

DEGRADED_AFTER = timedelta(minutes=10)
"""How long a message may be due until the outbox is ``degraded``."""
FAILED_AFTER = timedelta(hours=1)
"""How long a message may be due until the outbox is ``failed``: no worker delivers."""
RECENTLY = timedelta(days=1)


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
