"""What the plugin stores about one user: a copy of it, and its deletion.

An address counts as the user's only if it is verified: anybody can add an address
that is not theirs. Messages about the account belong to the user in any case.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from authhost_hookspecs import Request, User, utc
from sqlalchemy import ColumnElement, delete, or_, select

from authhost_email.tables import device_table, outbox_table, suppression_table


def data_of(request: Request, user: User) -> dict[str, Any]:
    """Return messages, suppressed addresses and known devices of a user, as values for JSON."""
    account = request.account(user.id)
    verified = {each.email for each in account.email_addresses if each.verified} if account else set()
    message, suppression, device = outbox_table.c, suppression_table.c, device_table.c
    messages = select(message.created_at, message.kind, message.recipient, message.status, message.sent_at)
    suppressed = select(suppression.recipient, suppression.reason, suppression.created_at)
    devices = select(device.seen_at).where(device.user_id == user.id)
    return {
        "messages": [
            {
                "created_at": utc(row.created_at).isoformat(),
                "kind": row.kind,
                "recipient": row.recipient,
                "status": row.status,
                "sent_at": utc(row.sent_at).isoformat() if row.sent_at is not None else None,
            }
            for row in request.db.execute(messages.where(_of(user, verified)).order_by(message.id))
        ],
        "suppressed": [
            {
                "recipient": row.recipient,
                "reason": row.reason,
                "created_at": utc(row.created_at).isoformat(),
            }
            for row in request.db.execute(suppressed.where(suppression.recipient.in_(verified)))
        ],
        "devices": [
            {"seen_at": utc(row.seen_at).isoformat()}
            for row in request.db.execute(devices.order_by(device.seen_at))
        ],
    }


def delete_data_of(request: Request, user: User) -> None:
    """Delete the messages, the suppression and the known devices of a user, in this transaction."""
    verified = [user.email] if user.email is not None and user.email_verified else []
    request.db.execute(delete(outbox_table).where(_of(user, verified)))
    request.db.execute(delete(suppression_table).where(suppression_table.c.recipient.in_(verified)))
    request.db.execute(delete(device_table).where(device_table.c.user_id == user.id))


def _of(user: User, verified: Collection[str]) -> ColumnElement[bool]:
    return or_(outbox_table.c.user_id == user.id, outbox_table.c.recipient.in_(verified))
