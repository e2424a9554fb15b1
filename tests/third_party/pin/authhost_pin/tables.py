"""The PIN of each user that has one, and the wrong ones since the last right one."""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table, Text, Uuid

metadata = MetaData()

pin_table = Table(
    "authhost_pin_pin",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    Column("sealed", Text(), nullable=False),
    Column("failures", Integer(), nullable=False),
)
