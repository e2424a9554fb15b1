"""Who delivers what: a message is claimed by a lease, which a worker that dies loses to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Host
from sqlalchemy import ColumnElement, and_, or_, select, update

from authhost_email.rendering import ON_REQUEST
from authhost_email.tables import outbox_table

CLAIM = 50
WAITING = ("pending", "sending")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """A message, and the claim by which it is somebody's."""

    message: UUID
    claim: UUID

    def holds(self) -> ColumnElement[bool]:
        """That nobody else has claimed the message meanwhile."""
        table = outbox_table.c
        return and_(table.id == self.message, table.claim == self.claim, table.status == "sending")


class Leases:
    """Claims messages by the batch; each then has the whole lease from the moment of its try."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host, self._length = host, timedelta(seconds=seconds)

    def claim(self) -> list[Lease]:
        """Take what is due. Notices of one kind to one recipient keep their order.

        Nothing waits for a message of another kind, nor what somebody asked for for an older one.
        """
        table, now, claim = outbox_table.c, self._host.now, self._host.new_id()
        earlier = outbox_table.alias()
        first = or_(
            table.kind.in_(ON_REQUEST),
            ~select(earlier.c.id)
            .where(
                earlier.c.recipient == table.recipient,
                earlier.c.kind == table.kind,
                earlier.c.status.in_(WAITING),
                earlier.c.id < table.id,
            )
            .exists(),
        )
        due = (
            select(table.id)
            .where(table.status.in_(WAITING), table.next_attempt_at <= now, first)
            .order_by(table.id)
            .limit(CLAIM)
            .with_for_update(skip_locked=True)
        )
        with self._host.engine.begin() as connection:
            found = connection.execute(due).scalars().all()
            if found:
                taken = {"status": "sending", "claim": claim, "next_attempt_at": now + self._length}
                connection.execute(update(outbox_table).where(table.id.in_(found)).values(taken))
        return [Lease(message, claim) for message in found]

    def begin(self, lease: Lease) -> Row | None:
        """The message, for one more try; None where the lease has run out and somebody else has it.

        Raises `ValueError` for a row that cannot be read.
        """
        table = outbox_table.c
        one_more = {"attempts": table.attempts + 1, "next_attempt_at": self._host.now + self._length}
        with self._host.engine.begin() as connection:
            if not connection.execute(update(outbox_table).where(lease.holds()).values(one_more)).rowcount:
                return None
            row: Row = connection.execute(select(outbox_table).where(lease.holds())).one()._asdict()
            return row

    def end(self, lease: Lease, **values: Any) -> None:
        """Write down what became of it, unless somebody else has it."""
        with self._host.engine.begin() as connection:
            connection.execute(update(outbox_table).where(lease.holds()).values(values))
