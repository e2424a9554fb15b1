"""Delivery from the outbox: the oldest event first, and none before it is taken."""

from __future__ import annotations

import hmac
import logging
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from authhost_hookspecs import Host
from sqlalchemy import delete, func, select, update

from authhost_webhook.settings import WebhookSettings
from authhost_webhook.tables import event_table

log = logging.getLogger("authhost.webhook")

FIRST_WAIT, LONGEST_WAIT = 60, 3600
"""Seconds until the next attempt. The first covers the time that connect, send and receive may take."""


def deliver_due(host: Host, settings: WebhookSettings) -> int:
    """Deliver the events that are due; return how many the receiver accepted."""
    table, taken = event_table.c, 0
    while True:
        with host.reader.connect() as connection:
            head = connection.execute(select(event_table).order_by(table.id).limit(1)).first()
        if head is None or utc(head.next_attempt_at) > host.now:
            return taken
        # Set the time of the next attempt before this one: another process leaves the event alone
        # meanwhile, and if this process dies, the event is tried again.
        later = host.now + timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(head.attempts, 10)))
        mine = (table.id == head.id, table.attempts == head.attempts)
        claim = update(event_table).where(*mine).values(attempts=head.attempts + 1, next_attempt_at=later)
        with host.engine.begin() as connection:
            if not connection.execute(claim).rowcount:
                return taken
        if not _post(settings, head.body.encode(), int(host.now.timestamp())):
            return taken
        with host.engine.begin() as connection:
            connection.execute(delete(event_table).where(table.id == head.id))
        taken += 1


def waiting(host: Host) -> int:
    """How many events are in the outbox."""
    with host.reader.connect() as connection:
        count: int = connection.execute(select(func.count()).select_from(event_table)).scalar_one()
    return count


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The signature header ``t=TIME,v1=HMAC-SHA256`` over time and body, in the format of Stripe."""
    digest = hmac.digest(secret.encode(), b"%d." % timestamp + body, "sha256").hex()
    return f"t={timestamp},v1={digest}"


def _post(settings: WebhookSettings, body: bytes, timestamp: int) -> bool:
    """Post one event. Returns whether the receiver accepted it. Redirects are not followed."""
    parts = urlsplit(settings.url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=settings.timeout)
    headers = {
        "Content-Type": "application/json",
        "Authhost-Signature": signature(settings.secret, timestamp, body),
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        log.warning("the webhook did not answer: %s", type(error).__name__)
        return False
    finally:
        connection.close()
    if not 200 <= status < 300:
        log.warning("the webhook answered with status %d", status)
        return False
    return True


def utc(time: datetime) -> datetime:
    """A time with its zone. SQLite and MariaDB return times without one."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
