"""Leases: a worker claims messages for a limited time. If it dies, another worker takes them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import ColumnElement, and_, or_, select, update

from authhost_email.rendering import UNAUTHENTICATED_KINDS
from authhost_email.statuses import WAITING_STATUSES
from authhost_email.tables import outbox_table

CLAIM_SIZE = 50
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed message."""

    message: UUID
    claim: UUID

    def is_held(self) -> ColumnElement[bool]:
        """Return the condition that no other worker has claimed the message since."""
        table = outbox_table.c
        return and_(table.id == self.message, table.claim == self.claim, table.status == "sending")


class Leases:
    """Claims messages in batches. The lease of a message starts again when its delivery is tried."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host, self._length = host, timedelta(seconds=seconds)

    def claim(self) -> list[Lease]:
        """Claim messages that are due. Notices of one kind to one recipient are claimed in order.

        A message never waits for a message of another kind. A message of
        `UNAUTHENTICATED_KINDS` does not wait for older messages either.
        """
        table, now, claim = outbox_table.c, self._host.now, self._host.new_id()
        earlier = outbox_table.alias()
        first = or_(
            table.kind.in_(UNAUTHENTICATED_KINDS),
            ~select(earlier.c.id)
            .where(
                earlier.c.recipient == table.recipient,
                earlier.c.kind == table.kind,
                earlier.c.status.in_(WAITING_STATUSES),
                earlier.c.id < table.id,
            )
            .exists(),
        )
        due = (
            select(table.id)
            .where(table.status.in_(WAITING_STATUSES), table.next_attempt_at <= now, first)
            .order_by(table.id)
            .limit(CLAIM_SIZE)
            .with_for_update(skip_locked=True)
        )
        with self._host.engine.begin() as connection:
            found = connection.execute(due).scalars().all()
            if found:
                taken = {"status": "sending", "claim": claim, "next_attempt_at": now + self._length}
                connection.execute(update(outbox_table).where(table.id.in_(found)).values(taken))
        return [Lease(message, claim) for message in found]

    def begin(self, lease: Lease) -> Row | None:
        """Start one more attempt. Returns the row, or None if another worker has claimed the message.

        Raises `ValueError` if the row cannot be read.
        """
        table = outbox_table.c
        one_more = {"attempts": table.attempts + 1, "next_attempt_at": self._host.now + self._length}
        with self._host.engine.begin() as connection:
            if not connection.execute(update(outbox_table).where(lease.is_held()).values(one_more)).rowcount:
                return None
            row: Row = connection.execute(select(outbox_table).where(lease.is_held())).one()._asdict()
            return row

    def end(self, lease: Lease, **values: Any) -> None:
        """Store the result of the attempt, unless another worker has claimed the message."""
        with self._host.engine.begin() as connection:
            connection.execute(update(outbox_table).where(lease.is_held()).values(values))
