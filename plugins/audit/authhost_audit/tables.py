"""The table of the audit trail."""

from __future__ import annotations

from sqlalchemy import JSON, Column, DateTime, Index, MetaData, String, Table, Uuid
from sqlalchemy.dialects import mysql

metadata = MetaData()

event_table = Table(
    "authhost_audit_event",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column(
        "time",
        DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
        nullable=False,
    ),
    Column("event", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64)),
    Column("flow", String(64)),
    Column("actor_id", Uuid()),
    Column("user_id", Uuid()),
    Column("session_id", Uuid()),
    Column("request_id", Uuid(), nullable=False),
    Column("ip_address", String(45)),
    Column("user_agent", String(512), nullable=False),
    Column("details", JSON(), nullable=False),
    Index("ix_authhost_audit_event_time", "time"),
    Index("ix_authhost_audit_event_user", "user_id", "time"),
)
