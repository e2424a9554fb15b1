"""The choice of each user."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, MetaData, String, Table, Uuid

metadata = MetaData()

preference_table = Table(
    "authhost_newsletter_preference",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    Column("frequency", String(16), nullable=False),
    Column("about_products", Boolean(), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
