"""The outbox."""

from __future__ import annotations

from sqlalchemy import JSON, Column, DateTime, Index, Integer, MetaData, String, Table, Uuid
from sqlalchemy.dialects import mysql

metadata = MetaData()


def _time(name: str, *, nullable: bool = True) -> Column[object]:
    kind = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    return Column(name, kind, nullable=nullable)


outbox_table = Table(
    "authhost_email_outbox",
    metadata,
    Column("id", Uuid(), primary_key=True),
    _time("created_at", nullable=False),
    Column("kind", String(64), nullable=False),
    Column("recipient", String(254), nullable=False),
    # What the template needs. Emptied once it is sent: it may hold a link with a key.
    Column("context", JSON(none_as_null=True)),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer(), nullable=False),
    _time("next_attempt_at", nullable=False),
    _time("sent_at"),
    Column("last_error", String(255)),
    Index("ix_authhost_email_outbox_due", "status", "next_attempt_at"),
)
