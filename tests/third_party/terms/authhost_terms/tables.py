"""The version of the terms that each user has accepted."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, MetaData, String, Table, Uuid

metadata = MetaData()

acceptance_table = Table(
    "authhost_terms_acceptance",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
)
