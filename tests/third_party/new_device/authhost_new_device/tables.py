"""The devices of each user."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, MetaData, String, Table, Uuid

metadata = MetaData()

device_table = Table(
    "authhost_newdevice_device",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    # A keyed hash, so that the table does not reveal the device.
    Column("device", String(64), primary_key=True),
    Column("first_seen", DateTime(timezone=True), nullable=False),
)
