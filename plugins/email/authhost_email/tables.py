"""The tables: the outbox, suppressed addresses, and known devices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects import mysql

metadata = MetaData()

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
KIND_LENGTH, STATUS_LENGTH, ADDRESS_LENGTH = 64, 16, 254
SEALED_LENGTH = 65_535
"""Of a TEXT column of MariaDB, in bytes."""


def _time(name: str, *, nullable: bool = True) -> Column[Any]:
    kind = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    return Column(name, kind, nullable=nullable)


# Statuses: `pending`, `sending` (until `next_attempt_at`), `candidate` (for a notice of a new device);
# final are `sent`, `dead`, `cancelled`, `suppressed`, `limited`, `expired` and `superseded`.
outbox_table = Table(
    "authhost_email_outbox",
    metadata,
    Column("id", Uuid(), primary_key=True),
    _time("created_at", nullable=False),
    Column("kind", String(KIND_LENGTH), nullable=False),
    Column("recipient", String(ADDRESS_LENGTH), nullable=False),
    Column("language", String(16), nullable=False),
    # The data of the template, without the link. NULL in messages with a final status.
    Column("context", JSON(none_as_null=True)),
    # The link, or the content of a message of another plugin: encrypted for this row and this recipient.
    Column("sealed_link", Text()),
    # When the link expires. The content of the message is deleted then.
    _time("expires_at"),
    # The account that the message is about. A newer link for the same account supersedes this one.
    Column("user_id", Uuid()),
    Column("status", String(STATUS_LENGTH), nullable=False),
    Column("attempts", Integer(), nullable=False),
    _time("next_attempt_at", nullable=False),
    # The lease of the worker that is `sending` it.
    Column("claim", Uuid()),
    _time("sent_at"),
    Column("last_error", String(255)),
    Index("ix_authhost_email_outbox_due", "status", "next_attempt_at"),
    Index("ix_authhost_email_outbox_recipient", "recipient", "status", "id"),
    Index("ix_authhost_email_outbox_expires", "expires_at"),
    **OPTIONS,
)
ERASED_CONTENT: dict[str, Any] = {"context": None, "sealed_link": None, "expires_at": None}
"""The values that delete the content of a message."""


SEALED = {"authhost_email_outbox.sealed_link": "email.outbox {id} {recipient}"}
"""The purpose for which a link is encrypted: it decrypts only in its row, for its recipient."""


def link_purpose(identifier: UUID, recipient: str) -> str:
    """Return the purpose for which the link of a row is encrypted."""
    return SEALED["authhost_email_outbox.sealed_link"].format(id=identifier, recipient=recipient)


suppression_table = Table(
    "authhost_email_suppression",
    metadata,
    Column("recipient", String(ADDRESS_LENGTH), primary_key=True),
    Column("reason", String(255), nullable=False),
    _time("created_at", nullable=False),
    **OPTIONS,
)

device_table = Table(
    "authhost_email_device",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    Column(
        "digest",
        LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"),
        primary_key=True,
    ),
    _time("seen_at", nullable=False),
    **OPTIONS,
)
