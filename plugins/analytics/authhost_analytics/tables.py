"""The table of events: appended to, never updated, so that no login waits for another."""

from __future__ import annotations

from sqlalchemy import Column, Date, Index, MetaData, String, Table, Uuid

metadata = MetaData()

event_table = Table(
    "authhost_analytics_event",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("day", Date(), nullable=False),
    Column("event", String(64), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("provider", String(64)),
    Index("ix_authhost_analytics_event_day", "day", "event"),
)
