"""The last place of each user."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Float, MetaData, String, Table

metadata = MetaData()

place_table = Table(
    "authhost_geovelocity_place",
    metadata,
    # A keyed hash of the provider and the person's identifier there.
    Column("person", String(64), primary_key=True),
    Column("latitude", Float(), nullable=False),
    Column("longitude", Float(), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)
