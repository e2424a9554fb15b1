"""Create the tables of the trail: records, leaves, batches, and the cursors of the receivers."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from authhost_audit.types import Identifier, UtcDateTime

revision = "0001"
down_revision = None
compatible_from = "0001"

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
APPEND_ONLY = ("authhost_audit_event", "authhost_audit_leaf", "authhost_audit_batch")
FUNCTION = """
CREATE FUNCTION authhost_audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('authhost.audit', true) = 'keeping' THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is only ever added to; see authhost audit prune and forget';
END $$
"""


def fixed(length: int) -> sa.LargeBinary:
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "authhost_audit_event",
        sa.Column("id", Identifier(), primary_key=True),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("schema", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("flow", sa.String(64)),
        sa.Column("actor_id", Identifier()),
        sa.Column("user_id", Identifier()),
        sa.Column("session_ref", sa.String(64)),
        sa.Column("request_id", Identifier()),
        sa.Column("method", sa.String(64)),
        sa.Column("provider", sa.String(64)),
        sa.Column("plugin", sa.String(128)),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("salt", fixed(16)),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512)),
        sa.Column("identifier", sa.String(64)),
        sa.Column("uid", sa.String(255)),
        sa.Column("changes", sa.Text()),
        **OPTIONS,
    )
    op.create_index("ix_authhost_audit_event_user", "authhost_audit_event", ["user_id", "id"])
    op.create_index("ix_authhost_audit_event_actor", "authhost_audit_event", ["actor_id", "id"])
    op.create_table(
        "authhost_audit_leaf",
        sa.Column("event_id", Identifier(), primary_key=True),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("digest", fixed(32), nullable=False),
        sa.Column("personal", fixed(32), nullable=False),
        sa.UniqueConstraint("batch", "position", name="uq_authhost_audit_leaf_batch"),
        **OPTIONS,
    )
    op.create_table(
        "authhost_audit_batch",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("previous", fixed(32), nullable=False),
        sa.Column("root", fixed(32), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("through", Identifier(), nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("signature", fixed(64), nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "authhost_audit_cursor",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(36)),
        sa.Column("until", UtcDateTime()),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        **OPTIONS,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
        for table in APPEND_ONLY:
            for when, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
                name = f"{table}_{each.lower()}"
                op.execute(
                    f"CREATE TRIGGER {name} BEFORE {when} ON {table} "
                    f"FOR EACH {each} EXECUTE FUNCTION authhost_audit_keep()"
                )


def downgrade() -> None:
    for table in (*APPEND_ONLY, "authhost_audit_cursor"):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION authhost_audit_keep()")
