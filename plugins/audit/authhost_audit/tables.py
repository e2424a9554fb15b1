"""The tables of the trail.

Rows of events, leaves and batches are only added. The exceptions are pruning
and erasure, see `authhost_audit.retention`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from authhost_audit.types import Identifier, UtcDateTime, fixed

metadata = MetaData()

SCHEMA = 1
"""The version of the structure of a record."""
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}


# `salt` and the columns after it are personal. Only their digest is sealed, so they can be erased.
# `data` and `changes` are JSON stored as text, because the seal covers the exact characters.
event_table = Table(
    "authhost_audit_event",
    metadata,
    Column("id", Identifier(), primary_key=True),
    Column("time", UtcDateTime(), nullable=False),
    Column("schema", SmallInteger(), nullable=False),
    Column("version", String(32), nullable=False),
    Column("event", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64)),
    Column("flow", String(64)),
    Column("actor_id", Identifier()),
    Column("user_id", Identifier()),
    Column("session_ref", String(64)),
    Column("request_id", Identifier()),
    Column("method", String(64)),
    Column("provider", String(64)),
    Column("plugin", String(128)),
    Column("data", Text(), nullable=False),
    Column("salt", fixed(16)),
    Column("ip_address", String(45)),
    Column("user_agent", String(512)),
    Column("identifier", String(64)),
    Column("uid", String(255)),
    Column("changes", Text()),
    Index("ix_authhost_audit_event_user", "user_id", "id"),
    Index("ix_authhost_audit_event_actor", "actor_id", "id"),
    **OPTIONS,
)
PERSONAL = ("ip_address", "user_agent", "identifier", "uid", "changes")
SEALED = tuple(column.name for column in event_table.columns if column.name not in ("salt", *PERSONAL))

# One row for each sealed record: its digests, and its position in its batch.
leaf_table = Table(
    "authhost_audit_leaf",
    metadata,
    Column("event_id", Identifier(), primary_key=True),
    Column("batch", Integer(), nullable=False),
    Column("position", Integer(), nullable=False),
    Column("kind", SmallInteger(), nullable=False),
    Column("digest", fixed(32), nullable=False),
    Column("personal", fixed(32), nullable=False),
    UniqueConstraint("batch", "position", name="uq_authhost_audit_leaf_batch"),
    **OPTIONS,
)

batch_table = Table(
    "authhost_audit_batch",
    metadata,
    Column("number", Integer(), primary_key=True, autoincrement=False),
    Column("previous", fixed(32), nullable=False),
    Column("root", fixed(32), nullable=False),
    Column("size", Integer(), nullable=False),
    Column("total", BigInteger(), nullable=False),
    # The watermark: an older record that is in no batch was committed too late, or inserted.
    Column("through", Identifier(), nullable=False),
    Column("sealed_at", UtcDateTime(), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("signature", fixed(64), nullable=False),
    **OPTIONS,
)

# The last record that each receiver has received, and which process sends to it. The row
# "recording" stores whether recording was on when a host was started last.
cursor_table = Table(
    "authhost_audit_cursor",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("batch", Integer(), nullable=False),
    Column("position", Integer(), nullable=False),
    Column("owner", String(36)),
    Column("until", UtcDateTime()),
    Column("updated_at", UtcDateTime(), nullable=False),
    **OPTIONS,
)
