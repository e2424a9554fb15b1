"""Delivery from the outbox, after the commit that put a message there.

What can never be sent is set aside at once, so that it holds nothing up.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from authhost_hookspecs import CannotOpen, Host
from jinja2 import TemplateError
from sqlalchemy import and_, delete, or_, select, update

from authhost_email.addresses import key
from authhost_email.devices import judge_candidates
from authhost_email.errors import NoAddress
from authhost_email.leases import WAITING, Lease, Leases, Row
from authhost_email.on_request import HOUR, has_precedence, next_turn, supersede
from authhost_email.rendering import ON_REQUEST, compose, render
from authhost_email.settings import EmailSettings
from authhost_email.tables import DONE_WITH, outbox_table, purpose_of_link, suppression_table, utc
from authhost_email.transports import Permanent, Transport, transport_of
from authhost_email.words import shown

log = logging.getLogger("authhost.email")

LONGEST_WAIT = 3600.0
OPEN = (*WAITING, "candidate")
ERROR_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the messages of one delivery, as numbers of messages."""

    sent: int = 0
    failed: int = 0
    """Those that were tried in vain: they are tried again, or were given up."""
    deferred: int = 0
    """Those that wait for their turn, since ``max_per_hour`` is reached."""
    dropped: int = 0
    """Those that are not to be sent: the address is suppressed, or the link has ended."""


class Outbox:
    """Claims due messages, sends each, and writes down what became of it."""

    def __init__(self, host: Host, settings: EmailSettings) -> None:
        self._host, self._settings = host, settings
        self._leases = Leases(host, settings.lease)

    def deliver_pending(self) -> int:
        """Try what is due, until nothing is; return how many were sent."""
        return self.deliver().sent

    def deliver(self) -> Delivered:
        """Try what is due, until nothing is. Raises `NoSuchTransport`, and what the database raises."""
        outcomes: Counter[str] = Counter()
        transport = transport_of(self._settings)
        try:
            forget_ended(self._host)
            while True:
                judge_candidates(self._host)
                supersede(self._host)
                claimed = self._leases.claim()
                if not claimed:
                    return Delivered(**outcomes)
                outcomes.update(filter(None, (self._deliver(transport, lease) for lease in claimed)))
        finally:
            transport.close()

    def _deliver(self, transport: Transport, lease: Lease) -> str | None:
        """What became of the message, by the name that `Delivered` has for it; None for somebody else's."""
        try:
            row = self._leases.begin(lease)
        except ValueError as error:
            return self._dead(lease, error)
        if row is None:
            return None
        if row["attempts"] > self._settings.max_attempts:
            return self._dead(lease, Permanent("each worker that tried it has died"))
        if isinstance(row["context"], dict) and row["context"].get("link"):  # of a former version, in clear
            row = self._sealed(lease, row)
        try:
            message = self._written(row)
        except CannotOpen as error:
            return self._dead(lease, _unreadable(error))
        except Exception as error:  # a template may do anything
            broken = isinstance(error, TemplateError) or not isinstance(error, OSError)
            return self._dead(lease, error) if broken else self._failed(lease, row, error)
        if message is None:
            return self._done(lease, "expired")
        unwanted = self._unwanted(row)
        if unwanted is not None:
            return self._done(lease, unwanted)
        turn = self._turn(row)
        if turn > self._host.now:
            return self._deferred(lease, row, turn)
        try:
            transport.send(row["id"], row["recipient"], message)
        except Permanent as error:
            return self._dead(lease, error)
        except Exception as error:  # a library's own, which need be no OSError
            return self._failed(lease, row, error)
        return self._done(lease, "sent")

    def _sealed(self, lease: Lease, row: Row) -> Row:
        """The row with its link encrypted, which is stored at once."""
        context = dict(row["context"])
        purpose = purpose_of_link(row["id"], row["recipient"])
        values = {"sealed_link": self._host.seal(context.pop("link"), purpose), "context": context}
        self._leases.end(lease, **values)
        return {**row, **values}

    def _unwanted(self, row: Row) -> str | None:
        """Why it is not to be sent at all, as a status.

        An address that nobody has confirmed may be a stranger's: it gets
        ``max_per_hour`` notices and no more.
        """
        listed = suppression_table.c.recipient
        with self._host.engine.connect() as connection:
            found = connection.execute(select(listed).where(listed == key(row["recipient"])))
            if found.first() is not None:
                return "suppressed"
        if row["kind"] in ON_REQUEST or row["context"].get("verified"):
            return None
        return "limited" if len(self._recent(row, on_request=False)) >= self._settings.max_per_hour else None

    def _turn(self, row: Row) -> datetime:
        """When it may be sent; now, unless anybody may cause it and too many were sent."""
        now, kind = self._host.now, row["kind"]
        if kind not in ON_REQUEST:
            return now
        sent, per_hour = self._recent(row, on_request=True), self._settings.max_per_hour
        turn = next_turn(now, kind, sent, per_hour)
        if turn > now or kind != "email_confirmation" or has_precedence(self._host, row):
            return turn
        return next_turn(now, kind, [(kind, now), *sent], per_hour)

    def _recent(self, row: Row, *, on_request: bool) -> list[tuple[str, datetime]]:
        """The kinds and times of what was sent to the recipient in the last hour, newest first."""
        table = outbox_table.c
        recently = and_(
            table.recipient == row["recipient"],
            table.status == "sent",
            table.kind.in_(ON_REQUEST) if on_request else table.kind.not_in(ON_REQUEST),
            table.sent_at > self._host.now - HOUR,
        )
        newest = select(table.kind, table.sent_at).where(recently).order_by(table.sent_at.desc())
        with self._host.engine.connect() as connection:
            return [
                (kind, utc(time))
                for kind, time in connection.execute(newest.limit(self._settings.max_per_hour))
            ]

    def _written(self, row: Row) -> EmailMessage | None:
        """The message; None where its link works no longer. Raises `CannotOpen`."""
        context, settings = row["context"], self._settings
        expires = context.get("expires")
        if expires and datetime.fromisoformat(expires) <= self._host.now:
            return None
        if row["sealed_link"] is not None:
            purpose = purpose_of_link(row["id"], row["recipient"])
            context = {**context, "link": self._host.open(row["sealed_link"], purpose)}
        rendered = render(settings, row["kind"], row["recipient"], row["language"], context)
        return compose(settings, rendered, row["id"], row["recipient"], utc(row["created_at"]))

    # What became of it.

    def _deferred(self, lease: Lease, row: Row, turn: datetime) -> str:
        """It waits for its turn. That was no try."""
        reason = f"waits until {turn:%H:%M:%S} UTC, since the address got max_per_hour messages on request"
        self._leases.end(
            lease,
            status="pending",
            next_attempt_at=turn,
            attempts=row["attempts"] - 1,
            last_error=reason,
        )
        return "deferred"

    def _failed(self, lease: Lease, row: Row, error: Exception) -> str:
        if row["attempts"] >= self._settings.max_attempts:
            return self._dead(lease, error)
        self._leases.end(
            lease,
            status="pending",
            next_attempt_at=self._host.now + timedelta(seconds=backoff(row["attempts"])),
            last_error=in_short(error),
        )
        return "failed"

    def _dead(self, lease: Lease, error: Exception) -> str:
        """Given up. What it said is kept until its link ends, so that it can be tried again by hand."""
        log.error("message %s is given up: %s", lease.message, in_short(error))
        self._leases.end(lease, status="dead", last_error=in_short(error))
        return "failed"

    def _done(self, lease: Lease, status: str) -> str:
        """For good. What it said is not kept any longer."""
        sent_at = self._host.now if status == "sent" else None
        self._leases.end(lease, **DONE_WITH, status=status, sent_at=sent_at, last_error=None)
        return "sent" if status == "sent" else "dropped"


def forget_ended(host: Host) -> None:
    """Empty the messages whose link has ended: those that wait expire, and those given up stay given up."""
    table = outbox_table.c
    ended = table.expires_at <= host.now
    waits, given_up = and_(ended, table.status == "pending"), and_(ended, table.status == "dead")
    with host.engine.connect() as connection:
        if connection.execute(select(table.id).where(or_(waits, given_up)).limit(1)).first() is None:
            return
    with host.engine.begin() as connection:
        connection.execute(
            update(outbox_table).where(waits).values(**DONE_WITH, status="expired", last_error=None)
        )
        connection.execute(update(outbox_table).where(given_up).values(DONE_WITH))


def _unreadable(error: CannotOpen) -> Permanent:
    """What the operator can do about a link that no key opens."""
    return Permanent(
        f"the link cannot be decrypted: {error} Put the former key back into encryption_keys "
        "and run `authhost email retry ID`, or let the person ask again"
    )


def in_short(error: Exception) -> str:
    """A transport's own words; of another error the name alone, since its words may quote the message."""
    said = str(error) if isinstance(error, (Permanent, OSError, NoAddress)) else ""
    return shown(said, longest=ERROR_LENGTH) or type(error).__name__


def backoff(attempts: int) -> float:
    """Seconds until the next try: 2, 4, 8 … an hour, give or take a quarter, so that not all come at once."""
    return min(LONGEST_WAIT, 2.0**attempts) * random.uniform(0.75, 1.25)  # noqa: S311


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
        values |= DONE_WITH
    table = outbox_table.c
    here = and_(table.id == identifier, table.status.in_(of), table.context.is_not(None))
    with host.engine.begin() as connection:
        return bool(connection.execute(update(outbox_table).where(here).values(values)).rowcount)
