"""Delivers messages from the outbox, after the transaction that wrote them is committed.

A message that can never be sent is given up at once, so that it does not delay
other messages.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from authhost_hookspecs import CannotOpen, Host, utc
from jinja2 import TemplateError
from sqlalchemy import and_, delete, or_, select, update

from authhost_email.addresses import comparison_key
from authhost_email.devices import process_candidates
from authhost_email.failures import (
    describe_compose_failure,
    describe_decryption_failure,
    describe_failure,
    describe_invalid_row,
)
from authhost_email.hooks import email_delivery_failed
from authhost_email.leases import Lease, Leases, Row
from authhost_email.rendering import (
    UNAUTHENTICATED_KINDS,
    compose,
    is_plugin_kind,
    render,
    unpack_content,
)
from authhost_email.settings import EmailSettings
from authhost_email.statuses import OPEN_STATUSES
from authhost_email.tables import ERASED_CONTENT, link_purpose, outbox_table, suppression_table
from authhost_email.throttling import HOUR, has_precedence, next_send_time, supersede_older
from authhost_email.transports import Permanent, Transport, create_transport

log = logging.getLogger("authhost.email")

MAX_RETRY_DELAY = 3600.0
HOOK = email_delivery_failed.__name__


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The results of one delivery, as numbers of messages."""

    sent: int = 0
    failed: int = 0
    """Attempts that failed. The messages are tried again later, or were given up."""
    deferred: int = 0
    """Messages that wait for their turn, because ``max_per_hour`` is reached."""
    dropped: int = 0
    """Messages that must not be sent: the address is suppressed, or the link has expired."""


class Outbox:
    """Claims messages that are due, sends them, and stores the results."""

    def __init__(self, host: Host, settings: EmailSettings) -> None:
        self._host, self._settings = host, settings
        self._leases = Leases(host, settings.lease)

    def deliver_pending(self) -> int:
        """Deliver all messages that are due. Returns the number of sent messages."""
        return self.deliver().sent

    def deliver(self, on_message: Callable[[], object] = lambda: None) -> DeliveryResult:
        """Deliver all messages that are due. Raises `UnknownTransport`, and errors of the database.

        ``on_message`` is called after each message.
        """
        outcomes: Counter[str] = Counter()
        transport = create_transport(self._settings)
        try:
            erase_expired(self._host)
            while True:
                process_candidates(self._host)
                supersede_older(self._host)
                claimed = self._leases.claim()
                if not claimed:
                    return DeliveryResult(**outcomes)
                for lease in claimed:
                    outcomes.update(filter(None, [self._deliver(transport, lease)]))
                    on_message()
        finally:
            transport.close()

    def _deliver(self, transport: Transport, lease: Lease) -> str | None:
        """Deliver one message. Returns the name of the counter in `DeliveryResult`.

        Returns None if another worker has claimed the message.
        """
        try:
            row = self._leases.begin(lease)
        except ValueError as error:
            return self._give_up(lease, describe_invalid_row(error), "cannot_compose")
        if row is None:
            return None
        if row["attempts"] > self._settings.max_attempts:
            return self._give_up(lease, "all workers died while they were sending it", "interrupted")
        if isinstance(row["context"], dict) and row["context"].get("link"):  # a row of version 0.1
            row = self._encrypt_link(lease, row)
        try:
            message = self._build_message(row)
        except CannotOpen as error:
            return self._give_up(lease, describe_decryption_failure(error), "cannot_decrypt")
        except Exception as error:  # a template may raise any error
            summary = describe_compose_failure(row["kind"], row["language"], error)
            if isinstance(error, TemplateError) or not isinstance(error, OSError):
                return self._give_up(lease, summary, "cannot_compose")
            return self._retry_later(lease, row, summary)
        if message is None:
            return self._finish(lease, "expired")
        final_status = self._status_if_unwanted(row)
        if final_status is not None:
            return self._finish(lease, final_status)
        turn = self._send_time(row)
        if turn > self._host.now:
            return self._defer(lease, row, turn)
        try:
            transport.send(row["id"], row["recipient"], message)
        except Permanent as error:
            return self._give_up(lease, describe_failure(self._settings.transport, error), "rejected")
        except Exception as error:  # errors of libraries are not always an OSError
            return self._retry_later(lease, row, describe_failure(self._settings.transport, error))
        return self._finish(lease, "sent")

    def _encrypt_link(self, lease: Lease, row: Row) -> Row:
        """Encrypt the link of a row of version 0.1 and store it. Returns the changed row."""
        context = dict(row["context"])
        purpose = link_purpose(row["id"], row["recipient"])
        values = {"sealed_link": self._host.seal(context.pop("link"), purpose), "context": context}
        self._leases.end(lease, **values)
        return {**row, **values}

    def _status_if_unwanted(self, row: Row) -> str | None:
        """Return the final status of a message that must not be sent; None for all others.

        An address that nobody has confirmed may belong to a stranger, so it gets at most
        ``max_per_hour`` notices.
        """
        listed = suppression_table.c.recipient
        with self._host.engine.connect() as connection:
            found = connection.execute(select(listed).where(listed == comparison_key(row["recipient"])))
            if found.first() is not None:
                return "suppressed"
        if row["kind"] in UNAUTHENTICATED_KINDS or row["context"].get("verified"):
            return None
        return (
            "limited"
            if len(self._sent_in_last_hour(row, unauthenticated=False)) >= self._settings.max_per_hour
            else None
        )

    def _send_time(self, row: Row) -> datetime:
        """Return when the message may be sent. Only messages of `UNAUTHENTICATED_KINDS` have to wait."""
        now, kind = self._host.now, row["kind"]
        if kind not in UNAUTHENTICATED_KINDS:
            return now
        sent, per_hour = self._sent_in_last_hour(row, unauthenticated=True), self._settings.max_per_hour
        turn = next_send_time(now, kind, sent, per_hour)
        if turn > now or kind != "email_confirmation" or has_precedence(self._host, row):
            return turn
        return next_send_time(now, kind, [(kind, now), *sent], per_hour)

    def _sent_in_last_hour(self, row: Row, *, unauthenticated: bool) -> list[tuple[str, datetime]]:
        """Return kinds and times of the messages that the recipient got in the last hour, newest first."""
        table = outbox_table.c
        requested = table.kind.in_(UNAUTHENTICATED_KINDS)
        recently = and_(
            table.recipient == row["recipient"],
            table.status == "sent",
            requested if unauthenticated else ~requested,
            table.sent_at > self._host.now - HOUR,
        )
        newest = select(table.kind, table.sent_at).where(recently).order_by(table.sent_at.desc())
        with self._host.engine.connect() as connection:
            return [
                (kind, utc(time))
                for kind, time in connection.execute(newest.limit(self._settings.max_per_hour))
            ]

    def _build_message(self, row: Row) -> EmailMessage | None:
        """Return the message, or None if its link has expired. Raises `CannotOpen`."""
        context, settings = row["context"], self._settings
        expires = context.get("expires")
        if expires and datetime.fromisoformat(expires) <= self._host.now:
            return None
        secret = None
        if row["sealed_link"] is not None:
            secret = self._host.open(row["sealed_link"], link_purpose(row["id"], row["recipient"]))
        if is_plugin_kind(row["kind"]) and secret is not None:
            rendered = unpack_content(secret)
        else:
            context = {**context, "link": secret} if secret is not None else context
            rendered = render(settings, row["kind"], row["recipient"], row["language"], context)
        return compose(settings, rendered, row["id"], row["recipient"], utc(row["created_at"]))

    # The results of an attempt.

    def _defer(self, lease: Lease, row: Row, turn: datetime) -> str:
        """Let the message wait for its turn. This does not count as an attempt."""
        reason = f"waits until {turn:%Y-%m-%dT%H:%M:%SZ}, because the address has reached max_per_hour"
        self._leases.end(
            lease,
            status="pending",
            next_attempt_at=turn,
            attempts=row["attempts"] - 1,
            last_error=reason,
        )
        return "deferred"

    def _retry_later(self, lease: Lease, row: Row, summary: str) -> str | None:
        if row["attempts"] >= self._settings.max_attempts:
            return self._give_up(lease, summary, "attempts_exhausted")
        self._leases.end(
            lease,
            status="pending",
            next_attempt_at=self._host.now + timedelta(seconds=retry_delay(row["attempts"])),
            last_error=summary,
        )
        return "failed"

    def _give_up(self, lease: Lease, summary: str, reason: str) -> str | None:
        """Give up the message, and call `email_delivery_failed` in the same unit of work.

        Its content is stored until its link expires, for ``authhost email retry``. Returns
        None if another worker has claimed the message.
        """
        table = outbox_table.c
        dead = update(outbox_table).where(lease.is_held()).values(status="dead", last_error=summary)
        fields = select(table.kind, table.user_id).where(table.id == lease.message)
        try:
            with self._host.request() as request:
                if not request.db.execute(dead).rowcount:
                    return None
                kind, user_id = request.db.execute(fields).one()
                request.call_hook(HOOK, message_id=lease.message, kind=kind, user_id=user_id, reason=reason)
        except Exception as failure:  # of the database, or of a required plugin
            log.error("message %s cannot be given up: %s", lease.message, type(failure).__name__)
        else:
            log.error("message %s is given up: %s", lease.message, summary)
        return "failed"

    def _finish(self, lease: Lease, status: str) -> str:
        """Set a final status. The content of the message is deleted."""
        sent_at = self._host.now if status == "sent" else None
        self._leases.end(lease, **ERASED_CONTENT, status=status, sent_at=sent_at, last_error=None)
        return "sent" if status == "sent" else "dropped"


def erase_expired(host: Host) -> None:
    """Delete the content of messages whose link has expired.

    Waiting messages become ``expired``, messages that were given up stay ``dead``.
    """
    table = outbox_table.c
    ended = table.expires_at <= host.now
    waiting, given_up = and_(ended, table.status == "pending"), and_(ended, table.status == "dead")
    with host.engine.connect() as connection:
        if connection.execute(select(table.id).where(or_(waiting, given_up)).limit(1)).first() is None:
            return
    with host.engine.begin() as connection:
        connection.execute(
            update(outbox_table).where(waiting).values(**ERASED_CONTENT, status="expired", last_error=None)
        )
        connection.execute(update(outbox_table).where(given_up).values(ERASED_CONTENT))


def retry_delay(attempts: int) -> float:
    """Return the seconds until the next attempt: 2, 4, 8 and so on, up to an hour.

    They vary by a quarter, so that messages are not all tried at the same time.
    """
    return min(MAX_RETRY_DELAY, 2.0**attempts) * random.uniform(0.75, 1.25)  # noqa: S311


def clean(host: Host, settings: EmailSettings) -> int:
    """Delete messages that were finished more than ``keep_sent_days`` ago. Returns their number."""
    before = host.now - timedelta(days=settings.keep_sent_days)
    old = and_(outbox_table.c.status.not_in(OPEN_STATUSES), outbox_table.c.created_at < before)
    with host.engine.begin() as connection:
        count: int = connection.execute(delete(outbox_table).where(old)).rowcount
    return count


def change_status(host: Host, identifier: UUID, to: str, *, of: tuple[str, ...]) -> bool:
    """Set the status of one message by hand. Returns False if its status is not one of ``of``."""
    values: dict[str, Any] = {"status": to}
    if to == "pending":
        values |= {"next_attempt_at": host.now, "attempts": 0, "last_error": None}
    else:
        values |= ERASED_CONTENT
    table = outbox_table.c
    here = and_(table.id == identifier, table.status.in_(of), table.context.is_not(None))
    with host.engine.begin() as connection:
        return bool(connection.execute(update(outbox_table).where(here).values(values)).rowcount)


def clean_outbox(host: Host) -> str:
    """Delete old messages for ``authhost maintain``, and say how many."""
    return f"{clean(host, host.plugin_settings('email'))} messages deleted"
