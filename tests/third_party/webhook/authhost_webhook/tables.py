"""The outbox with the events that are not delivered yet."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, Uuid

metadata = MetaData()

event_table = Table(
    "authhost_webhook_event",
    metadata,
    # Ordered by time, so it gives the order of delivery.
    Column("id", Uuid(), primary_key=True),
    Column("body", Text(), nullable=False),
    Column("attempts", Integer(), nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
)
